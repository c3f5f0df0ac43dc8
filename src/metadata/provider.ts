/** The port to a cloud: one instance's ENIs and private IPs, in the neutral words of model/metadata.ts. */
import type { InstanceMetadata, NicMetadata } from '../model/metadata.ts';
import type { IpAddress } from '../model/net.ts';

export interface MetadataProvider {
  readonly name: 'tencent' | 'file';
  /**
   * Reads everything anew. What it resolves with is whole: every ENI that the cloud lists is either in `nics`, with all
   * of its addresses, or in `invalid`, with the problem. It never leaves one out and never shortens its addresses.
   * What it rejects with is an AgentError, and says nothing about the ENIs:
   * `metadata-unreachable` (no answer, a broken connection, HTTP 5xx, no file), `metadata-malformed` (an answer that
   * contradicts itself or is no metadata), `config-untrusted` (a file that others than root can write).
   */
  fetch(): Promise<InstanceMetadata>;
  /** By private address; of an ENI of the last fetch. Only for people to read. Rejects with an AgentError as `fetch` does. */
  publicAddresses(nic: NicMetadata): Promise<ReadonlyMap<IpAddress, IpAddress>>;
  /** Ends what is under way (a running fetch rejects) and closes the idle connection. */
  close(): void;
}
