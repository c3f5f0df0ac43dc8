/** Policy routing rules. */
import type { Rule } from '../model/host.ts';
import { ALL_BITS, type FirewallMark } from '../model/mark.ts';
import { FAMILIES, type Family, ipToBytes, splitCidr } from '../model/net.ts';
import type { RuleArguments } from '../model/plan.ts';
import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeBody,
  encodeFixed,
  encodeText,
  type KernelRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
  readU8,
  readU32,
} from './codec.ts';
import { addressFamily, decodeNetwork, dumpFamilies } from './families.ts';
import type { Rtnetlink } from './socket.ts';

/** linux/rtnetlink.h */
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const RT_TABLE_UNSPEC = 0;
const RT_TABLE_MAX_IN_HEADER = 255;

/**
 * linux/fib_rules.h. struct fib_rule_hdr: u8 family, destination length, source length, tos, table, two reserved, action; u32 flags.
 */
const FIB_RULE_HDR_BYTES = 12;
const FR_ACT_TO_TBL = 1;
const FIB_RULE_INVERT = 0x02;
const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_PAD = 18;
const FRA_PROTOCOL = 21;
/** What the two suppressors hold when they suppress nothing. */
const SUPPRESS_NOTHING = 0xffffffff;

/** All that a rule without further selectors has. */
const PLAIN_ATTRIBUTES: ReadonlySet<number> = new Set([
  FRA_SRC,
  FRA_PRIORITY,
  FRA_FWMARK,
  FRA_TABLE,
  FRA_FWMASK,
  FRA_OIFNAME,
  FRA_PAD,
  FRA_PROTOCOL,
]);

/** All rules of both families, in the kernel's order: by priority. Throws AgentError `answer-lost`. */
export function dumpRules(rtnetlink: Rtnetlink): Promise<readonly Rule[]> {
  return dumpFamilies(rtnetlink, {
    name: 'rules',
    messageType: RTM_GETRULE,
    fixedBytes: FIB_RULE_HDR_BYTES,
    decode: decodeRule,
    counted: FAMILIES,
  });
}

export function decodeRule(body: Uint8Array, family: Family): Rule {
  const attributes = decodeAttributes(body, FIB_RULE_HDR_BYTES);
  const source = attributes.get(FRA_SRC);
  const protocol = attributes.get(FRA_PROTOCOL);
  return {
    family,
    priority: attributes.u32(FRA_PRIORITY) ?? 0,
    table: attributes.u32(FRA_TABLE) ?? readU8(body, 4),
    source: source === undefined ? null : decodeNetwork(source, readU8(body, 2), family),
    outputInterface: attributes.text(FRA_OIFNAME) ?? null,
    mark: decodeMark(attributes),
    protocol: protocol === undefined ? 0 : readU8(protocol, 0),
    foreign: isForeign(body, attributes),
  };
}

function decodeMark(attributes: Attributes): FirewallMark | null {
  const mask = markMask(attributes);
  return mask === 0 || mask === ALL_BITS ? null : { value: attributes.u32(FRA_FWMARK) ?? 0, mask };
}

function markMask(attributes: Attributes): number {
  return attributes.u32(FRA_FWMASK) ?? (attributes.has(FRA_FWMARK) ? ALL_BITS : 0);
}

/** What is not known to select nothing, an attribute of a later kernel included, makes a rule one that we could not have made. */
function isForeign(body: Uint8Array, attributes: Attributes): boolean {
  const destinationLength = readU8(body, 1);
  const tos = readU8(body, 3);
  const action = readU8(body, 7);
  const flags = readU32(body, 8);
  if (action !== FR_ACT_TO_TBL || destinationLength !== 0 || tos !== 0 || (flags & FIB_RULE_INVERT) !== 0)
    return true;
  // Somebody's who leaves no bit of the mark to others.
  if (markMask(attributes) === ALL_BITS) return true;
  for (const type of attributes.types()) {
    if (PLAIN_ATTRIBUTES.has(type)) continue;
    const isSuppressor = type === FRA_SUPPRESS_PREFIXLEN || type === FRA_SUPPRESS_IFGROUP;
    if (!isSuppressor || attributes.u32(type) !== SUPPRESS_NOTHING) return true;
  }
  return false;
}

/** Kernels before 4.17 pass over the protocol; those before 4.9 take a rule a second time instead of saying EEXIST. */
export function addRuleRequest(rule: RuleArguments): KernelRequest {
  return {
    type: RTM_NEWRULE,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: encodeRule(rule, rule.protocol),
  };
}

/**
 * Removes the rule, whoever made it: the protocol is not compared. The kernel takes the first rule that has everything the
 * message names (fib_nl_delrule), so that of two rules of one priority and table the one with more selectors may match as well.
 */
export function removeRuleRequest(rule: RuleArguments): KernelRequest {
  return { type: RTM_DELRULE, flags: 0, body: encodeRule(rule, null) };
}

function encodeRule(rule: RuleArguments, protocol: number | null): Uint8Array {
  const source = rule.source === null ? null : splitCidr(rule.source);
  const table = rule.table <= RT_TABLE_MAX_IN_HEADER ? rule.table : RT_TABLE_UNSPEC;
  const bytes = [addressFamily(rule.family), 0, source?.prefixLength ?? 0, 0, table, 0, 0, FR_ACT_TO_TBL];
  const attributes: Attribute[] = [
    [FRA_PRIORITY, rule.priority],
    [FRA_TABLE, rule.table],
  ];
  if (source !== null) attributes.push([FRA_SRC, ipToBytes(source.address)]);
  if (rule.outputInterface !== null) attributes.push([FRA_OIFNAME, encodeText(rule.outputInterface)]);
  if (rule.mark !== null) attributes.push([FRA_FWMARK, rule.mark.value], [FRA_FWMASK, rule.mark.mask]);
  if (protocol !== null) attributes.push([FRA_PROTOCOL, Uint8Array.of(protocol)]);
  return encodeBody(encodeFixed(bytes, 0), attributes);
}
