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

/** What comes of it when a rule takes the packet. */
interface Taking {
  /** That may have decided: whether the packet is one for such a route cannot be told. */
  readonly maybe: readonly Found[];
  /** Certain; `contradiction`: it is something else than the kernel's answer. */
  readonly end: Found | Passed | 'nothing' | 'contradiction';
}

const NOTHING: Taking = { maybe: [], end: 'nothing' };

export function decide(tables: Tables, flow: Flow, answer: LookupAnswer): Decision {
  if (isForGroup(flow))
    return { kind: 'unasked', rule: null, route: null, passed: [], others: [], candidates: [] };
  const passed: Passed[] = [];
  const others: RuleDetails[] = [];
  const candidates: Found[] = [];
  let isContradicted = false;
  for (const { rule, verdict } of walk(tables.rules, flow)) {
    if (mayTakeOthers(rule, flow)) others.push(rule);
    const { maybe, end } = verdict === 'no' ? NOTHING : take(rule, tables.routes, flow, answer);
    candidates.push(...maybe, ...(isFound(end) ? [end] : []));
    if (verdict !== 'yes') continue;
    isContradicted = end === 'contradiction';
    if (isContradicted || isFound(end)) break;
    if (isPassed(end) && maybe.length === 0) passed.push(end);
  }
  return { ...conclude(candidates, answer, isContradicted), passed, others };
}

function isPassed(end: Taking['end']): end is Passed {
  return typeof end === 'object' && 'reason' in end;
}

function isFound(end: Taking['end']): end is Found {
  return typeof end === 'object' && !('reason' in end);
}

function conclude(
  candidates: readonly Found[],
  answer: LookupAnswer,
  isContradicted: boolean,
): Pick<Decision, 'kind' | 'rule' | 'route' | 'candidates'> {
  const [first, ...more] = candidates;
  const isRefused = answer.kind === 'refusal' && answer.reason === 'no-route';
  if (first === undefined && isRefused && !isContradicted)
    return { kind: 'none', rule: null, route: null, candidates: [] };
  if (first === undefined || more.some(({ rule }) => rule !== first.rule)) {
    const rules = new Set(candidates.map(({ rule }) => rule));
    return { kind: 'unknown', rule: null, route: null, candidates: [...rules] };
  }
  return { kind: 'rule', rule: first.rule, route: more.length === 0 ? first.route : null, candidates: [] };
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

function take(rule: RuleDetails, routes: readonly Route[], flow: Flow, answer: LookupAnswer): Taking {
  const refusing = REFUSING[rule.action];
  if (refusing !== undefined) {
    const isSo = answer.kind === 'refusal' && answer.reason === refusing;
    return { maybe: [], end: isSo ? { rule, route: null } : 'contradiction' };
  }
  if (rule.action !== 'table') return NOTHING;
  if (rule.table === LOCAL_TABLE)
    return { maybe: [], end: isLocal(answer) ? { rule, route: null } : 'nothing' };
  return takeTable(rule, routes, flow, answer);
}

function takeTable(rule: RuleDetails, routes: readonly Route[], flow: Flow, answer: LookupAnswer): Taking {
  const maybe: Found[] = [];
  for (const group of routesTo(flow.destination, rule.table, routes)) {
    const best = group.filter(({ type }) => type !== 'other');
    const [first] = best;
    if (first !== undefined && isSuppressed(first, rule))
      return { maybe, end: { rule, reason: 'suppressed', route: first } };
    const route = best.find((entry) => agrees(entry, answer));
    if (route !== undefined) return { maybe, end: { rule, route } };
    // One for a tos or a source of its own: whether it was for this packet shows where it alone is like the answer.
    const odd = group.find((entry) => entry.type === 'other' && agrees(entry, answer));
    if (odd !== undefined) maybe.push({ rule, route: odd });
    if (first?.type === 'throw') return { maybe, end: { rule, reason: 'throw', route: first } };
    if (first !== undefined) return { maybe, end: 'contradiction' };
  }
  const isEmpty = !routes.some(({ table, family }) => table === rule.table && family === rule.family);
  return { maybe, end: { rule, reason: isEmpty ? 'empty' : 'no-route', route: null } };
}

function isSuppressed({ destination }: Route, { suppressPrefixLength }: RuleDetails): boolean {
  return suppressPrefixLength !== null && splitCidr(destination).prefixLength <= suppressPrefixLength;
}

function isLocal(answer: LookupAnswer): boolean {
  if (answer.kind === 'refusal') return false;
  return answer.table === null ? LOCAL_TYPES.includes(answer.type) : answer.table === LOCAL_TABLE;
}
