/** Whether a rule takes a packet. */
import { MAIN_TABLE } from '../model/host.ts';
import type { Flow, RuleDetails } from '../model/lookup.ts';
import { cidrContains, familyOf, type IpAddress, splitCidr } from '../model/net.ts';

export const LOCAL_TABLE = 255;
export const DEFAULT_TABLE = 253;
/** The three that the kernel itself makes. */
const KERNELS_OWN: readonly (readonly [priority: number, table: number])[] = [
  [0, LOCAL_TABLE],
  [32_766, MAIN_TABLE],
  [32_767, DEFAULT_TABLE],
];
/** The link that a packet of this machine itself comes from, to the rules. */
const OWN_INPUT = 'lo';
/** The kernel's look-up for an unbound IPv4 socket has this source. */
const UNBOUND = '0.0.0.0' as IpAddress;
const ROOT = 0;

export type Verdict = 'yes' | 'no' | 'unknown';

/** For a packet that is bound to no device, unmarked, of root and of no protocol, as the look-up asks for it (fib_rule_match). */
export function matchRule(rule: RuleDetails, flow: Flow): Verdict {
  if (rule.family !== familyOf(flow.destination)) return 'no';
  const matches = selects(rule, flow);
  if (rule.opaque) return matches || rule.inverted ? 'unknown' : 'no';
  return matches === rule.inverted ? 'no' : 'yes';
}

/** The packets that the look-up stands for may have a mark, a protocol, a port or a user, by which this rule takes them. */
export function mayTakeOthers(rule: RuleDetails, flow: Flow): boolean {
  const plain = {
    ...rule,
    mark: null,
    uids: null,
    special: rule.special.filter((word) => word === 'l3mdev'),
  };
  const isSpecial = rule.mark !== null || rule.uids !== null || rule.special.length > 0;
  return (
    isSpecial && matchRule(rule, flow) === 'no' && matchRule({ ...plain, inverted: false }, flow) !== 'no'
  );
}

function selects(rule: RuleDetails, { source, destination, input }: Flow): boolean {
  const { mark, uids } = rule;
  return (
    selectsSource(rule, source) &&
    (rule.destination === null || cidrContains(rule.destination, destination)) &&
    rule.outputInterface === null &&
    (rule.inputInterface === null || rule.inputInterface === (input?.ifname ?? OWN_INPUT)) &&
    (mark === null || (mark.value & mark.mask) === 0) &&
    (uids === null || uids.first <= ROOT) &&
    rule.special.length === 0
  );
}

function selectsSource(rule: RuleDetails, source: IpAddress | null): boolean {
  if (rule.source === null || splitCidr(rule.source).prefixLength === 0) return true;
  if (source !== null) return cidrContains(rule.source, source);
  return rule.family === 4 && cidrContains(rule.source, UNBOUND);
}

export function isKernelsOwn({ priority, table, foreign, source, outputInterface }: RuleDetails): boolean {
  const isPlain = !foreign && source === null && outputInterface === null;
  return isPlain && KERNELS_OWN.some(([at, looksUp]) => priority === at && table === looksUp);
}
