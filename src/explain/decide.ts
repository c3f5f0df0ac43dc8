/**
 * Which rule and which route made the kernel's answer: the rules are walked as the kernel walks them, and what comes out is
 * held against its answer. What cannot be told is said to be so, never guessed.
 */
import type { Route } from '../model/host.ts';
import type { Flow, LookupAnswer, RefusalReason, RuleAction, RuleDetails, WayType } from '../model/lookup.ts';
import { type Cidr, cidrContains, familyOf, splitCidr } from '../model/net.ts';
import { agrees, routesTo } from './routes.ts';
import { LOCAL_TABLE, matchRule, mayTakeOthers, type Verdict } from './rules.ts';

/** Multicast, and the broadcast of whatever network. */
const IPV4_GROUPS: readonly Cidr[] = ['224.0.0.0/4' as Cidr, '255.255.255.255/32' as Cidr];

/** What is in the table local alone, where the kernel does not say the table. */
const LOCAL_TYPES: readonly WayType[] = ['local', 'broadcast'];

/** A rule that took the packet, whose table then did not decide. */
export interface Passed {
  readonly rule: RuleDetails;
  /** `throw`: the table hands it on; `suppressed`: the rule does not want that route. */
  readonly reason: 'empty' | 'no-route' | 'throw' | 'suppressed';
  readonly route: Route | null;
}

export interface Decision {
  /** `none`: no rule led anywhere; `unasked`: none was asked; `unknown`: it cannot be told, among `candidates` where there are some. */
  readonly kind: 'rule' | 'none' | 'unasked' | 'unknown';
  readonly rule: RuleDetails | null;
  /** null for the table local, which is not listed, and for a rule that decides by itself. */
  readonly route: Route | null;
  readonly passed: readonly Passed[];
  /** Rules on the way that take packets with a mark, a protocol, a port or a user of theirs. */
  readonly others: readonly RuleDetails[];
  readonly candidates: readonly RuleDetails[];
}

export interface Tables {
  /** In the kernel's order. */
  readonly rules: readonly RuleDetails[];
  /** Without those of table local. */
  readonly routes: readonly Route[];
}

interface Found {
  readonly rule: RuleDetails;
  readonly route: Route | null;
}

type Taking = { readonly found: Found } | { readonly passed: Passed } | 'elsewhere' | 'contradiction';

export function decide(tables: Tables, flow: Flow, answer: LookupAnswer): Decision {
  if (isForGroup(flow))
    return { kind: 'unasked', rule: null, route: null, passed: [], others: [], candidates: [] };
  const passed: Passed[] = [];
  const others: RuleDetails[] = [];
  const candidates: Found[] = [];
  let isContradicted = false;
  for (const { rule, verdict } of walk(tables.rules, flow)) {
    if (mayTakeOthers(rule, flow)) others.push(rule);
    const taking = verdict === 'no' ? 'elsewhere' : take(rule, tables.routes, flow, answer);
    isContradicted = taking === 'contradiction' && verdict === 'yes';
    if (isContradicted) break;
    if (typeof taking === 'string') continue;
    if ('found' in taking) candidates.push(taking.found);
    else if (verdict === 'yes') passed.push(taking.passed);
    if ('found' in taking && verdict === 'yes') break;
  }
  const [first, ...more] = candidates;
  const isRefused = answer.kind === 'refusal' && answer.reason === 'no-route';
  if (first === undefined && isRefused && !isContradicted)
    return { kind: 'none', rule: null, route: null, passed, others, candidates: [] };
  if (first === undefined || more.length > 0) {
    const rules = candidates.map(({ rule }) => rule);
    return { kind: 'unknown', rule: null, route: null, passed, others, candidates: rules };
  }
  return { kind: 'rule', ...first, passed, others, candidates: [] };
}

/** To a group IPv4 sends by the device of the source (ip_route_output_key_hash_rcu). */
function isForGroup({ source, destination }: Flow): boolean {
  return source !== null && IPV4_GROUPS.some((group) => cidrContains(group, destination));
}

/** The rules in the order in which the kernel comes to them. */
function* walk(
  all: readonly RuleDetails[],
  flow: Flow,
): Generator<{ readonly rule: RuleDetails; readonly verdict: Verdict }> {
  const rules = all.filter(({ family }) => family === familyOf(flow.destination));
  for (let index = 0; index < rules.length; index += 1) {
    const rule = rules[index];
    if (rule === undefined) return;
    const verdict = matchRule(rule, flow);
    yield { rule, verdict };
    if (rule.action !== 'goto' || verdict !== 'yes') continue;
    // A goto to a priority that no rule has yet is passed over.
    const target = rules.findIndex(({ priority }, at) => at > index && priority === rule.target);
    if (target !== -1) index = target - 1;
  }
}

/** What the answer of a rule that decides by itself is (fib4_rule_action, fib6_rule_action). */
const REFUSING: Readonly<Partial<Record<RuleAction, RefusalReason>>> = {
  unreachable: 'no-route',
  prohibit: 'prohibited',
  blackhole: 'invalid',
};

/** What comes of it when the rule takes the packet; `contradiction`: something else than the kernel's answer. */
function take(rule: RuleDetails, routes: readonly Route[], flow: Flow, answer: LookupAnswer): Taking {
  const refusing = REFUSING[rule.action];
  if (refusing !== undefined) {
    const isSo = answer.kind === 'refusal' && answer.reason === refusing;
    return isSo ? { found: { rule, route: null } } : 'contradiction';
  }
  if (rule.action !== 'table') return 'elsewhere';
  if (rule.table === LOCAL_TABLE) return isLocal(answer) ? { found: { rule, route: null } } : 'elsewhere';
  for (const group of routesTo(flow.destination, rule.table, routes)) {
    const route = group.find((entry) => agrees(entry, answer));
    if (route !== undefined) return { found: { rule, route } };
    // One for a tos or a source of its own: it was not for this packet.
    const best = group.find(({ type }) => type !== 'other');
    if (best === undefined) continue;
    if (isSuppressed(best, rule)) return { passed: { rule, reason: 'suppressed', route: best } };
    return best.type === 'throw' ? { passed: { rule, reason: 'throw', route: best } } : 'contradiction';
  }
  const isEmpty = !routes.some(({ table, family }) => table === rule.table && family === rule.family);
  return { passed: { rule, reason: isEmpty ? 'empty' : 'no-route', route: null } };
}

function isSuppressed({ destination }: Route, { suppressPrefixLength }: RuleDetails): boolean {
  return suppressPrefixLength !== null && splitCidr(destination).prefixLength <= suppressPrefixLength;
}

function isLocal(answer: LookupAnswer): boolean {
  if (answer.kind === 'refusal') return false;
  return answer.table === null ? LOCAL_TYPES.includes(answer.type) : answer.table === LOCAL_TABLE;
}
