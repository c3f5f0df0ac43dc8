/** The port to a cloud: one instance's ENIs and private IPs, in the neutral words of model/metadata.ts. */
import type { InstanceMetadata, NicMetadata } from '../model/metadata.ts';
import type { IpAddress, MacAddress } from '../model/net.ts';

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
  /**
   * The same, and cheaper: asks for the ENIs and their addresses, but for what an ENI keeps for life (its primary address, its subnet, its
   * gateway; docs/decisions/0021) only each thirtieth time, after a failure, and where addresses have changed.
   * `expected`: ENIs that may be new. They are asked for while the answer is still under way that says which there are; the result is the
   * same without. Never rejects.
   */
  refresh(expected?: Promise<readonly MacAddress[]>): Promise<InstanceMetadata>;
  /**
   * Milliseconds for which the service asked to be left alone (at most 60 s), 0 when it did not: of the endpoint that answered the last
   * fetch, or the longest of all when none did. A fetch asks all the same.
   */
  retryAfterMs(): number;
  /** By private address; of an ENI of the last fetch. Only for people to read. Rejects with an AgentError as `fetch` does. */
  publicAddresses(nic: NicMetadata): Promise<ReadonlyMap<IpAddress, IpAddress>>;
  /** Ends what is under way (a running fetch rejects) and closes the idle connection. */
  close(): void;
}
