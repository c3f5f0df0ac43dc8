/** Rules: at our priority, in our table, exactly those that are desired, each once. */
import type { DesiredInterface, DesiredRule, DesiredState } from '../model/desired.ts';
import { grouped } from '../model/grouped.ts';
import type { HostState, Rule } from '../model/host.ts';
import { formatMark } from '../model/mark.ts';
import type { MacAddress } from '../model/net.ts';
import type { RuleArguments, Step } from '../model/plan.ts';
import { makeStep } from './step.ts';

/** A rule at the priority of the table that it looks up, within our window: nobody else makes those. */
function isInWindow(rule: Rule, { tableBase, slots }: RuleWindow): boolean {
  return (
    !rule.foreign && rule.priority === rule.table && rule.table >= tableBase && rule.table < tableBase + slots
  );
}

export interface RuleWindow {
  readonly tableBase: number;
  readonly slots: number;
}

/** What is there beside what is wanted, each found without a look at all the others. */
export interface RuleIndex {
  /** Where there is a rule; not those that are foreign. */
  readonly present: ReadonlySet<Place>;
  readonly wanted: ReadonlyMap<DesiredInterface, readonly Placed<DesiredRule>[]>;
  /** Those in our window. */
  readonly byTable: ReadonlyMap<number, readonly Placed<Rule>[]>;
  /** Those of another table for what a NIC has now. */
  readonly movedTo: ReadonlyMap<MacAddress, readonly { readonly rule: Rule }[]>;
  readonly moved: ReadonlySet<Rule>;
}

/** What a rule matches, and its priority and table. */
type Place = string;

/** The place is made once for each rule: of thousands it is most of what a plan costs. */
interface Placed<Of> {
  readonly rule: Of;
  readonly place: Place;
}

export function indexRules(
  { rules }: HostState,
  { interfaces }: DesiredState,
  window: RuleWindow,
): RuleIndex {
  const wanted = new Map(interfaces.map((nic) => [nic, nic.rules.map(placed)]));
  const there = rules.filter(({ foreign }) => !foreign).map(placed);
  const ours = there.filter(({ rule }) => isInWindow(rule, window));
  const moves = movesOf(ours, wanted);
  return {
    present: new Set(there.map(({ place }) => place)),
    wanted,
    byTable: grouped(ours, ({ rule }) => rule.table),
    movedTo: grouped(moves, ({ mac }) => mac),
    moved: new Set(moves.map(({ rule }) => rule)),
  };
}

/** What nobody wants where it is, and a NIC wants in another table. */
function movesOf(
  ours: readonly Placed<Rule>[],
  wanted: RuleIndex['wanted'],
): readonly { readonly rule: Rule; readonly mac: MacAddress }[] {
  const places = new Set([...wanted.values()].flatMap((rules) => rules.map(({ place }) => place)));
  const left = ours.filter(({ place }) => !places.has(place));
  if (left.length === 0) return [];
  const claims = [...wanted.keys()].flatMap((nic) =>
    [...new Set(nic.rules.map(ruleKey))].map((key) => ({ key, nic })),
  );
  const claimants = grouped(claims, ({ key }) => key);
  return left.flatMap(({ rule }) =>
    (claimants.get(ruleKey(rule)) ?? [])
      .filter(({ nic }) => nic.table !== rule.table)
      .map(({ nic }) => ({ rule, mac: nic.mac })),
  );
}

export function addRules(
  desired: DesiredInterface,
  { wanted, present }: RuleIndex,
  protocol: number,
): readonly Step[] {
  return (wanted.get(desired) ?? [])
    .filter(({ place }) => !present.has(place))
    .map(({ rule }) => makeStep('add-rule', desired, args(rule, protocol), `${rule.reason}, missing`));
}

/** Rules of another table for what this NIC has now: deleted before ours is added, since the lower slot would win. */
export function removeMovedRules(desired: DesiredInterface, { movedTo }: RuleIndex): readonly Step[] {
  return (movedTo.get(desired.mac) ?? []).map(({ rule }) =>
    makeStep('remove-rule', desired, args(rule, rule.protocol), `moves to table ${desired.table}`),
  );
}

/** What is not desired at our priority; the second of two equal ones too (kernels before 4.17 take duplicates). */
export function removeRules(
  desired: DesiredInterface,
  host: HostState,
  { wanted: wantedBy, byTable, moved }: RuleIndex,
): readonly Step[] {
  const seen = new Set<Place>();
  const places = new Set(wantedBy.get(desired)?.map(({ place }) => place));
  const owned = new Set<string>(
    (host.state.nics[desired.mac]?.addresses ?? []).map(({ address }) => address),
  );
  const wanted = new Set<string>(desired.addresses.map(({ address }) => address));
  const isTableGone = !desired.attached || desired.rules.length === 0;
  const steps: Step[] = [];
  for (const { rule: present, place } of byTable.get(desired.table) ?? []) {
    const isWanted = places.has(place) && !seen.has(place);
    seen.add(place);
    if (isWanted || moved.has(present)) continue;
    const source = present.source?.split('/')[0] ?? '';
    const withdrawal = isTableGone || (owned.has(source) && !wanted.has(source));
    const reason = withdrawal ? 'its address is not listed any more' : 'nothing needs it';
    steps.push(makeStep('remove-rule', desired, args(present, present.protocol), reason, withdrawal));
  }
  return steps;
}

function placed<Of extends DesiredRule | Rule>(rule: Of): Placed<Of> {
  return { rule, place: `${rule.priority} ${rule.table} ${ruleKey(rule)}` };
}

function ruleKey(rule: Pick<Rule, 'family' | 'source' | 'outputInterface' | 'mark'>): string {
  const mark = rule.mark === null ? '' : formatMark(rule.mark);
  return `${rule.family} ${rule.source ?? ''} ${rule.outputInterface ?? ''} ${mark}`;
}

function args(rule: DesiredRule | Rule, protocol: number): RuleArguments {
  const { family, priority, table, source, outputInterface, mark } = rule;
  return { family, priority, table, source, outputInterface, mark, protocol };
}
