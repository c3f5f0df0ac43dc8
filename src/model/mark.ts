/** Firewall marks: how a connection remembers by which NIC it came in. Only the bits of one mask are ever ours. */
import { type Family, type IfName, parseIfName } from './net.ts';

/** Bits within a mask; the others are not looked at. */
export interface FirewallMark {
  readonly value: number;
  readonly mask: number;
}

/**
 * Two rules of the firewall for one NIC and family: a connection that comes in by the NIC is marked; its packets that come from
 * elsewhere (a container's replies) get the mark before they are routed.
 */
export interface ConnectionMark extends FirewallMark {
  readonly family: Family;
  readonly ifname: IfName;
}

export const ALL_BITS = 0xffff_ffff;

/** How many NICs the mask can tell apart: every combination of its bits but none of them. */
export function capacityOf(mask: number): number {
  return 2 ** bitsOf(mask) - 1;
}

function bitsOf(mask: number): number {
  return mask.toString(2).replaceAll('0', '').length;
}

/**
 * Slot 0 has all bits of the mask and each slot after it the next smaller combination, since people who choose marks by hand
 * count from 1 up. Slots beyond the capacity begin again from above.
 */
export function markOfSlot(slot: number, mask: number): FirewallMark {
  let value = mask;
  for (let count = slot % capacityOf(mask); count > 0; count -= 1) value = ((value - 1) & mask) >>> 0;
  return { value, mask };
}

export function isSameMark(a: FirewallMark | null, b: FirewallMark | null): boolean {
  return a?.value === b?.value && a?.mask === b?.mask;
}

/** One of the same family and link takes its place: the firewall knows one for each. */
export function isSamePlace(a: ConnectionMark, b: ConnectionMark): boolean {
  return a.family === b.family && a.ifname === b.ifname;
}

/** As `ip rule` and iptables write it: `0x7e/0x7f`. */
export function formatMark({ value, mask }: FirewallMark): string {
  return `0x${value.toString(16)}/0x${mask.toString(16)}`;
}

const TAG = /^eni-agent:1:(?<family>[46]):(?<ifname>[^:]+):(?<value>[0-9a-f]{1,8}):(?<mask>[0-9a-f]{1,8})$/;

/**
 * What the firewall's rules of a mark are called, so that they can be found again. The 1 is the form of the rules: with another
 * form the old ones are not found, and made anew.
 */
export function markTag({ family, ifname, value, mask }: ConnectionMark): string {
  return `eni-agent:1:${family}:${ifname}:${value.toString(16)}:${mask.toString(16)}`;
}

/** One that is not whole has the value 0, which no NIC has: it is not what anybody wants, and can be taken away. */
function marksOfTags(
  tags: readonly string[],
  isWhole: (mark: ConnectionMark, count: number) => boolean,
): readonly ConnectionMark[] {
  const counts = new Map<string, number>();
  for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].flatMap(([tag, count]) => {
    const mark = parseTag(tag);
    if (mark === undefined) return [];
    return [isWhole(mark, count) ? mark : { ...mark, value: 0 }];
  });
}

function parseTag(tag: string): ConnectionMark | undefined {
  const { family, ifname = '', value = '', mask = '' } = TAG.exec(tag)?.groups ?? {};
  const name = parseIfName(ifname);
  if (name === undefined) return undefined;
  return {
    family: family === '6' ? 6 : 4,
    ifname: name,
    value: Number.parseInt(value, 16),
    mask: Number.parseInt(mask, 16),
  };
}

/** Of nftables, family inet. */
export const NFT_TABLE = 'eni_agent';
/** The one that marks and the one that restores. */
const NFT_RULES = 2;

/** In our table of nftables, where both rules of a mark have its tag for a comment. */
export function marksOfNft(comments: readonly string[]): readonly ConnectionMark[] {
  return marksOfTags(comments, (_, count) => count === NFT_RULES);
}

/** In our chain of iptables, where a mark has a list of its tag's name, and the jump into the chain has one too. */
export function marksOfXtables(listNames: readonly string[]): readonly ConnectionMark[] {
  return marksOfTags(listNames, ({ family }) => listNames.includes(jumpTag(family)));
}

/** Of every form of the rules. */
export function jumpTag(family: Family): string {
  return `eni-agent:jump:${family}`;
}

/** Of a mark or the jump, whatever the form of the rules was. */
export function isTagOf(family: Family, tag: string): boolean {
  return tag === jumpTag(family) || new RegExp(`^eni-agent:\\d+:${family}:`).test(tag);
}
