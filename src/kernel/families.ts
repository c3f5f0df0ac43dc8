/** What addresses, routes and rules have in common: a family in the first byte of the fixed part, and addresses as bytes. */
import {
  addressBits,
  type Cidr,
  FAMILIES,
  type Family,
  type IpAddress,
  ipFromBytes,
  networkOf,
} from '../model/net.ts';
import { malformed } from './codec.ts';
import type { Rtnetlink } from './socket.ts';

/** AF_INET and AF_INET6 (linux/socket.h, the same numbers on every architecture). */
const ADDRESS_FAMILY = { 4: 2, 6: 10 } as const satisfies Record<Family, number>;

export function addressFamily(family: Family): number {
  return ADDRESS_FAMILY[family];
}

/**
 * Dumps a kind of object of both families and decodes each; what decodes to undefined is left out.
 *
 * One dump per family instead of one with AF_UNSPEC: that one compares the families' generation counters with each
 * other on some kernels, and then always looks interrupted. A kernel without IPv6 answers a question for IPv6 with
 * everything it has, hence the look at the family.
 */
export async function dumpFamilies<Decoded>(
  rtnetlink: Rtnetlink,
  messageType: number,
  fixedBytes: number,
  decode: (body: Uint8Array, family: Family) => Decoded | undefined,
): Promise<Decoded[]> {
  const decoded: Decoded[] = [];
  for (const family of FAMILIES) {
    const question = new Uint8Array(fixedBytes);
    question[0] = addressFamily(family);
    for (const body of await rtnetlink.dump(messageType, question)) {
      const value = body[0] === addressFamily(family) ? decode(body, family) : undefined;
      if (value !== undefined) decoded.push(value);
    }
  }
  return decoded;
}

export function decodeAddress(bytes: Uint8Array, family: Family): IpAddress {
  if (bytes.length * 8 !== addressBits(family))
    throw malformed(`an IPv${family} address has ${bytes.length} bytes`);
  return ipFromBytes(bytes);
}

export function decodePrefixLength(prefixLength: number, family: Family): number {
  if (prefixLength > addressBits(family))
    throw malformed(`an IPv${family} prefix has a length of ${prefixLength}`);
  return prefixLength;
}

export function decodeNetwork(bytes: Uint8Array, prefixLength: number, family: Family): Cidr {
  return networkOf({
    address: decodeAddress(bytes, family),
    prefixLength: decodePrefixLength(prefixLength, family),
  });
}
