/** What addresses, routes and rules have in common: a family in the first byte of the fixed part, and addresses as bytes. */

import { AgentError } from '../errors.ts';
import {
  addressBits,
  type Cidr,
  FAMILIES,
  type Family,
  type IpAddress,
  ipFromBytes,
  networkFromBytes,
} from '../model/net.ts';
import { malformed } from './codec.ts';
import { decodeAll, joinAll } from './memo.ts';
import type { Rtnetlink } from './socket.ts';

/** AF_INET and AF_INET6 (linux/socket.h, the same numbers on every architecture). */
const ADDRESS_FAMILY = { 4: 2, 6: 10 } as const satisfies Record<Family, number>;

export function addressFamily(family: Family): number {
  return ADDRESS_FAMILY[family];
}

/** Attempts at a list that others keep changing. */
const CONFIRMATIONS = 8;

export interface FamilyDump<Decoded> {
  /** What `decode` makes: no other dump has this name. */
  readonly name: string;
  /** RTM_GET* */
  readonly messageType: number;
  /** The length of the fixed part, whose first byte is the family. */
  readonly fixedBytes: number;
  /** undefined leaves the object out. */
  readonly decode: (body: Uint8Array, family: Family) => Decoded | undefined;
  /**
   * The families whose long dumps the kernel goes on with by counting, without a mark when the list has changed meanwhile:
   * one that somebody shortens in front misses an object, one that grows there has it twice.
   */
  readonly counted: readonly Family[];
}

/**
 * Dumps a kind of object of both families.
 *
 * One dump per family instead of one with AF_UNSPEC: that one compares the families' generation counters with each
 * other on some kernels, and then always looks interrupted.
 */
export async function dumpFamilies<Decoded>(
  rtnetlink: Rtnetlink,
  kind: FamilyDump<Decoded>,
): Promise<readonly Decoded[]> {
  const lists: (readonly Decoded[])[] = [];
  for (const family of FAMILIES) {
    const dump = kind.counted.includes(family) ? dumpConfirmed : dumpFamily;
    lists.push((await dump(rtnetlink, kind, family)).objects);
  }
  return joinAll(rtnetlink, kind.name, lists);
}

interface FamilyObjects<Decoded> {
  readonly objects: readonly Decoded[];
  /** They came in one datagram: the kernel made the list in one go. */
  readonly isWhole: boolean;
}

/** Until a list is whole, or is the same twice. */
async function dumpConfirmed<Decoded>(
  rtnetlink: Rtnetlink,
  kind: FamilyDump<Decoded>,
  family: Family,
): Promise<FamilyObjects<Decoded>> {
  let before: readonly Decoded[] | undefined;
  for (let attempt = 0; attempt <= CONFIRMATIONS; attempt += 1) {
    const dumped = await dumpFamily(rtnetlink, kind, family);
    if (dumped.isWhole || dumped.objects === before) return dumped;
    before = dumped.objects;
  }
  throw new AgentError(
    'answer-lost',
    `listing IPv${family} ${kind.name}: they changed during each of ${CONFIRMATIONS} attempts`,
  );
}

async function dumpFamily<Decoded>(
  rtnetlink: Rtnetlink,
  { name, messageType, fixedBytes, decode }: FamilyDump<Decoded>,
  family: Family,
): Promise<FamilyObjects<Decoded>> {
  const question = new Uint8Array(fixedBytes);
  const number = addressFamily(family);
  question[0] = number;
  const bodies = await rtnetlink.dump(messageType, question);
  const objects = decodeAll(rtnetlink, `IPv${family} ${name}`, bodies, (body) =>
    // A kernel without IPv6 answers a question for IPv6 with everything it has.
    body[0] === number ? decode(body, family) : undefined,
  );
  return { objects, isWhole: bodies[0]?.buffer === bodies.at(-1)?.buffer };
}

export function decodeAddress(bytes: Uint8Array, family: Family): IpAddress {
  checkAddressLength(bytes, family);
  return ipFromBytes(bytes);
}

export function decodePrefixLength(prefixLength: number, family: Family): number {
  if (prefixLength > addressBits(family))
    throw malformed(`an IPv${family} prefix has a length of ${prefixLength}`);
  return prefixLength;
}

export function decodeNetwork(bytes: Uint8Array, prefixLength: number, family: Family): Cidr {
  checkAddressLength(bytes, family);
  return networkFromBytes(bytes, decodePrefixLength(prefixLength, family));
}

function checkAddressLength(bytes: Uint8Array, family: Family): void {
  if (bytes.length * 8 !== addressBits(family))
    throw malformed(`an IPv${family} address has ${bytes.length} bytes`);
}
