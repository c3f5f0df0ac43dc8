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
  /** Those in our window. */
  readonly byTable: ReadonlyMap<number, readonly Rule[]>;
  /** Those of another table for what a NIC has now. */
  readonly movedTo: ReadonlyMap<MacAddress, readonly { readonly rule: Rule }[]>;
  readonly moved: ReadonlySet<Rule>;
}

/** What a rule matches, and its priority and table. */
type Place = string;

export function indexRules(
  { rules }: HostState,
  { interfaces }: DesiredState,
  window: RuleWindow,
): RuleIndex {
  const wanted = new Set(interfaces.flatMap((nic) => nic.rules.map(placeOf)));
  const claims = interfaces.flatMap((nic) =>
    [...new Set(nic.rules.map(ruleKey))].map((key) => ({ key, mac: nic.mac, table: nic.table })),
  );
  const claimants = grouped(claims, ({ key }) => key);
  const ours = rules.filter((rule) => isInWindow(rule, window));
  const moves = ours
    .filter((rule) => !wanted.has(placeOf(rule)))
    .flatMap((rule) => (claimants.get(ruleKey(rule)) ?? []).map(({ mac, table }) => ({ rule, mac, table })))
    .filter(({ rule, table }) => table !== rule.table);
  return {
    present: new Set(rules.filter(({ foreign }) => !foreign).map(placeOf)),
    byTable: grouped(ours, ({ table }) => table),
    movedTo: grouped(moves, ({ mac }) => mac),
    moved: new Set(moves.map(({ rule }) => rule)),
  };
}

export function addRules(desired: DesiredInterface, index: RuleIndex, protocol: number): readonly Step[] {
  return desired.rules
    .filter((rule) => !index.present.has(placeOf(rule)))
    .map(({ reason, ...rule }) => makeStep('add-rule', desired, { ...rule, protocol }, `${reason}, missing`));
}

/** Rules of another table for what this NIC has now: deleted before ours is added, since the lower slot would win. */
export function removeMovedRules(desired: DesiredInterface, { movedTo }: RuleIndex): readonly Step[] {
  return (movedTo.get(desired.mac) ?? []).map(({ rule }) =>
    makeStep('remove-rule', desired, args(rule), `moves to table ${desired.table}`),
  );
}

/** What is not desired at our priority; the second of two equal ones too (kernels before 4.17 take duplicates). */
export function removeRules(
  desired: DesiredInterface,
  host: HostState,
  { byTable, moved }: RuleIndex,
): readonly Step[] {
  const seen = new Set<Place>();
  const places = new Set(desired.rules.map(placeOf));
  const owned = new Set<string>(
    (host.state.nics[desired.mac]?.addresses ?? []).map(({ address }) => address),
  );
  const wanted = new Set<string>(desired.addresses.map(({ address }) => address));
  const isTableGone = !desired.attached || desired.rules.length === 0;
  const steps: Step[] = [];
  for (const present of byTable.get(desired.table) ?? []) {
    const place = placeOf(present);
    const isWanted = places.has(place) && !seen.has(place);
    seen.add(place);
    if (isWanted || moved.has(present)) continue;
    const source = present.source?.split('/')[0] ?? '';
    const withdrawal = isTableGone || (owned.has(source) && !wanted.has(source));
    const reason = withdrawal ? 'its address is not listed any more' : 'nothing needs it';
    steps.push(makeStep('remove-rule', desired, args(present), reason, withdrawal));
  }
  return steps;
}

function placeOf(rule: DesiredRule | Rule): Place {
  return `${rule.priority} ${rule.table} ${ruleKey(rule)}`;
}

function ruleKey(rule: Pick<Rule, 'family' | 'source' | 'outputInterface' | 'mark'>): string {
  const mark = rule.mark === null ? '' : formatMark(rule.mark);
  return `${rule.family} ${rule.source ?? ''} ${rule.outputInterface ?? ''} ${mark}`;
}

function args({ foreign: _, ...rule }: Rule): RuleArguments {
  return rule;
}
