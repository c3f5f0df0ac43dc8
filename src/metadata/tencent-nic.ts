/** One ENI of Tencent's metadata: four requests, whatever the number of its addresses, and one when these are as before. */
import { AgentError } from '../errors.ts';
import { type NicMetadata, nicContradiction } from '../model/metadata.ts';
import { familyOf, type IpAddress, type MacAddress, parseIpAddress, parseNetmask } from '../model/net.ts';
import { orderAddresses } from './order.ts';
import { malformed, parseListing, parseValue, type Reader } from './reader.ts';

/**
 * `path` is the ENI's directory in the spelling that the listing returned (URLs are case-sensitive), with its slash.
 * `known`: what it was, for one that has kept its addresses. Rejects with an AgentError if anything is missing or wrong: a part of an
 * ENI's addresses is never an answer.
 */
export async function readNic(
  reader: Reader,
  path: string,
  mac: MacAddress,
  known: NicMetadata | undefined,
): Promise<NicMetadata> {
  const listing = `${path}local-ipv4s/`;
  const early = known === undefined ? undefined : await reader.required(listing);
  if (known !== undefined && early !== undefined && isListedIn(known, listing, early)) return known;
  const [text, primary] = await Promise.all([
    early ?? reader.required(listing),
    readValue(reader, `${path}primary-local-ipv4`, parseIpv4, 'an IPv4 address'),
  ]);
  const listed = parseAddresses(listing, text);
  if (!listed.includes(primary)) {
    throw new AgentError(
      'metadata-malformed',
      `${path}local-ipv4s/: primary address ${primary} is not in the list`,
    );
  }
  const [prefixLength, gateway] = await Promise.all([
    readValue(reader, `${path}local-ipv4s/${primary}/subnet-mask`, parseSubnetMask, 'a subnet mask'),
    readValue(reader, `${path}local-ipv4s/${primary}/gateway`, parseIpv4, 'an IPv4 address'),
  ]);
  const primaryFirst = new Set([primary, ...listed]);
  const addresses = orderAddresses([...primaryFirst].map((address) => ({ address, prefixLength })));
  const nic: NicMetadata = { mac, addresses, gateway };
  const contradiction = nicContradiction(nic);
  if (contradiction !== undefined) throw new AgentError('metadata-malformed', `${path}: ${contradiction}`);
  listings.set(nic, text);
  return nic;
}

/** Of each ENI the text that its addresses were read from: the same text need not be read again. */
const listings = new WeakMap<NicMetadata, string>();

/** Whether `text` lists the very addresses that it had, in any order. */
function isListedIn(nic: NicMetadata, listing: string, text: string): boolean {
  if (listings.get(nic) === text) return true;
  const { addresses } = nic;
  const listed = parseAddresses(listing, text);
  return addresses.length === listed.length && addresses.every(({ address }) => listed.includes(address));
}

function parseAddresses(path: string, text: string): IpAddress[] {
  return parseListing(path, text, 'a list of IPv4 addresses').map((entry) => {
    const address = parseIpv4(entry);
    if (address === undefined) throw malformed(path, entry, 'an IPv4 address');
    return address;
  });
}

async function readValue<Value>(
  reader: Reader,
  path: string,
  parse: (text: string) => Value | undefined,
  expected: string,
): Promise<Value> {
  return parseValue(path, await reader.required(path), parse, expected);
}

function parseIpv4(text: string): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address !== undefined && familyOf(address) === 4 ? address : undefined;
}

/** Dotted. A mask of 0.0.0.0 would make the whole of IPv4 the ENI's subnet. */
function parseSubnetMask(text: string): number | undefined {
  const prefixLength = parseNetmask(text);
  return prefixLength === 0 ? undefined : prefixLength;
}
