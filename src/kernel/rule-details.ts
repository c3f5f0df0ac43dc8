/** Rules with everything that they select by: for telling which one decided, where `decodeRule` only tells ours from others'. */

import type { RuleAction, RuleDetails } from '../model/lookup.ts';
import { FAMILIES, type Family } from '../model/net.ts';
import { type Attributes, decodeAttributes, readU8, readU16, readU32 } from './codec.ts';
import { decodeNetwork, dumpFamilies } from './families.ts';
import { decodeRule } from './rules.ts';
import type { Rtnetlink } from './socket.ts';

/** linux/fib_rules.h; struct fib_rule_hdr as in rules.ts. */
const RTM_GETRULE = 34;
const FIB_RULE_HDR_BYTES = 12;
const FIB_RULE_INVERT = 0x02;
const FRA_DST = 1;
const FRA_IIFNAME = 3;
const FRA_GOTO = 4;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_FWMASK = 16;
const FRA_UID_RANGE = 20;
const FRA_IP_PROTO = 22;
const SUPPRESS_NOTHING = 0xffffffff;
const EVERY_BIT = 0xffffffff;

/** FR_ACT_* */
const ACTIONS: Readonly<Record<number, RuleAction>> = {
  1: 'table',
  2: 'goto',
  3: 'nop',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};

/** A packet has these or not, whatever its addresses are: its protocol, its ports, its tunnel, its VRF. */
const SPECIAL_NAMES: Readonly<Record<number, string>> = {
  12: 'tun_id',
  19: 'l3mdev',
  23: 'sport',
  24: 'dport',
};
const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp' };

/** Source, priority, realms (which select nothing), table, output interface, padding, protocol, masks of ports; and those above. */
const KNOWN_ATTRIBUTES: ReadonlySet<number> = new Set([
  FRA_DST,
  2,
  FRA_IIFNAME,
  FRA_GOTO,
  6,
  FRA_FWMARK,
  11,
  12,
  FRA_SUPPRESS_IFGROUP,
  FRA_SUPPRESS_PREFIXLEN,
  15,
  FRA_FWMASK,
  17,
  18,
  19,
  FRA_UID_RANGE,
  21,
  FRA_IP_PROTO,
  23,
  24,
  28,
  29,
]);

/** All rules of both families, in the kernel's order. Throws AgentError `answer-lost`. */
export function dumpRuleDetails(rtnetlink: Rtnetlink): Promise<readonly RuleDetails[]> {
  return dumpFamilies(rtnetlink, {
    name: 'rule details',
    messageType: RTM_GETRULE,
    fixedBytes: FIB_RULE_HDR_BYTES,
    decode: decodeRuleDetails,
    counted: FAMILIES,
  });
}

export function decodeRuleDetails(body: Uint8Array, family: Family): RuleDetails {
  const attributes = decodeAttributes(body, FIB_RULE_HDR_BYTES);
  const destination = attributes.get(FRA_DST);
  const suppressed = attributes.u32(FRA_SUPPRESS_PREFIXLEN) ?? SUPPRESS_NOTHING;
  const action = ACTIONS[readU8(body, 7)] ?? 'other';
  return {
    ...decodeRule(body, family),
    action,
    target: action === 'goto' ? (attributes.u32(FRA_GOTO) ?? null) : null,
    inverted: (readU32(body, 8) & FIB_RULE_INVERT) !== 0,
    destination: destination === undefined ? null : decodeNetwork(destination, readU8(body, 1), family),
    inputInterface: attributes.text(FRA_IIFNAME) ?? null,
    mark: decodeMark(attributes),
    uids: decodeUids(attributes),
    special: decodeSpecial(body, attributes),
    suppressPrefixLength: suppressed === SUPPRESS_NOTHING ? null : suppressed,
    opaque: action === 'other' || isOpaque(attributes),
  };
}

/** A mask of 0 selects nothing. */
function decodeMark(attributes: Attributes): RuleDetails['mark'] {
  const value = attributes.u32(FRA_FWMARK);
  const mask = attributes.u32(FRA_FWMASK);
  if (value === undefined && mask === undefined) return null;
  return mask === 0 ? null : { value: value ?? 0, mask: mask ?? EVERY_BIT };
}

/** struct fib_rule_uid_range: u32 first, u32 last. */
function decodeUids(attributes: Attributes): RuleDetails['uids'] {
  const range = attributes.get(FRA_UID_RANGE);
  return range === undefined ? null : { first: readU32(range), last: readU32(range, 4) };
}

function decodeSpecial(body: Uint8Array, attributes: Attributes): readonly string[] {
  const tos = readU8(body, 3);
  const protocol = attributes.get(FRA_IP_PROTO);
  const number = protocol === undefined ? 0 : readU8(protocol, 0);
  return [
    ...(tos === 0 ? [] : [`tos ${tos}`]),
    ...(number === 0 ? [] : [`ipproto ${PROTOCOL_NAMES[number] ?? number}`]),
    ...Object.entries(SPECIAL_NAMES).flatMap(([type, name]) => {
      const value = attributes.get(Number(type));
      return value === undefined ? [] : [specialText(name, value)];
    }),
  ];
}

/** struct fib_rule_port_range: u16 first, u16 last. */
function specialText(name: string, value: Uint8Array): string {
  if (name !== 'sport' && name !== 'dport') return name;
  const [first, last] = [readU16(value, 0), readU16(value, 2)];
  return first === last ? `${name} ${first}` : `${name} ${first}-${last}`;
}

function isOpaque(attributes: Attributes): boolean {
  if ((attributes.u32(FRA_SUPPRESS_IFGROUP) ?? SUPPRESS_NOTHING) !== SUPPRESS_NOTHING) return true;
  return attributes.types().some((type) => !KNOWN_ATTRIBUTES.has(type));
}
