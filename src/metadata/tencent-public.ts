/** The public addresses of one ENI of Tencent's metadata: one request where there is none, which is the common case. */
import type { NicMetadata } from '../model/metadata.ts';
import { familyOf, type IpAddress, parseIpAddress } from '../model/net.ts';
import { parseListing, parseValue, type Reader } from './reader.ts';

/**
 * By private address. `path` is the ENI's directory as in `readNic`. The listing does not say which private address a public
 * one belongs to, so the addresses are asked one after the other until all are found. Rejects with an AgentError.
 */
export async function readPublicAddresses(
  reader: Reader,
  path: string,
  { addresses }: NicMetadata,
): Promise<ReadonlyMap<IpAddress, IpAddress>> {
  const found = new Map<IpAddress, IpAddress>();
  const listing = (await reader.optional(`${path}public-ipv4s`)) ?? '';
  if (listing.trim() === '') return found;
  const { length } = parseListing(`${path}public-ipv4s`, listing, 'a list of IPv4 addresses');
  for (const { address } of addresses.filter((entry) => familyOf(entry.address) === 4)) {
    if (found.size === length) break;
    const key = `${path}local-ipv4s/${address}/public-ipv4`;
    const text = await reader.optional(key);
    if (text !== null) found.set(address, parseValue(key, text, parseIpAddress, 'an IPv4 address'));
  }
  return found;
}
