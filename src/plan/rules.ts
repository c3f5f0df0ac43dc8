/** Rules: at our priority, in our table, exactly those that are desired, each once. */
import type { DesiredInterface, DesiredRule, DesiredState } from '../model/desired.ts';
import type { HostState, Rule } from '../model/host.ts';
import { formatMark } from '../model/mark.ts';
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

export function addRules(desired: DesiredInterface, host: HostState, protocol: number): readonly Step[] {
  return desired.rules
    .filter((rule) => !host.rules.some((present) => !present.foreign && isSameRule(rule, present)))
    .map(({ reason, ...rule }) => makeStep('add-rule', desired, { ...rule, protocol }, `${reason}, missing`));
}

/** Rules of another table for what this NIC has now: deleted before ours is added, since the lower slot would win. */
export function removeMovedRules(
  desired: DesiredInterface,
  all: DesiredState,
  host: HostState,
  window: RuleWindow,
): readonly Step[] {
  return host.rules
    .filter((present) => isInWindow(present, window) && isMovedTo(desired, present, all))
    .map((present) => makeStep('remove-rule', desired, args(present), `moves to table ${desired.table}`));
}

/** What is not desired at our priority; the second of two equal ones too (kernels before 4.17 take duplicates). */
export function removeRules(
  desired: DesiredInterface,
  all: DesiredState,
  host: HostState,
  window: RuleWindow,
): readonly Step[] {
  const seen = new Set<string>();
  const owned = new Set<string>(
    (host.state.nics[desired.mac]?.addresses ?? []).map(({ address }) => address),
  );
  const wanted = new Set<string>(desired.addresses.map(({ address }) => address));
  const isTableGone = !desired.attached || desired.rules.length === 0;
  const steps: Step[] = [];
  for (const present of host.rules) {
    if (present.table !== desired.table || !isInWindow(present, window)) continue;
    const key = ruleKey(present);
    const isWanted = desired.rules.some((rule) => isSameRule(rule, present)) && !seen.has(key);
    seen.add(key);
    if (isWanted || all.interfaces.some((other) => isMovedTo(other, present, all))) continue;
    const source = present.source?.split('/')[0] ?? '';
    const withdrawal = isTableGone || (owned.has(source) && !wanted.has(source));
    const reason = withdrawal ? 'its address is not listed any more' : 'nothing needs it';
    steps.push(makeStep('remove-rule', desired, args(present), reason, withdrawal));
  }
  return steps;
}

function isMovedTo(desired: DesiredInterface, present: Rule, all: DesiredState): boolean {
  if (present.table === desired.table) return false;
  const key = ruleKey(present);
  const isClaimed = desired.rules.some((rule) => ruleKey(rule) === key);
  return isClaimed && !all.interfaces.some(({ rules }) => rules.some((rule) => isSameRule(rule, present)));
}

function isSameRule(desired: DesiredRule, present: Rule): boolean {
  return (
    present.table === desired.table &&
    present.priority === desired.priority &&
    ruleKey(present) === ruleKey(desired)
  );
}

function ruleKey(rule: Pick<Rule, 'family' | 'source' | 'outputInterface' | 'mark'>): string {
  const mark = rule.mark === null ? '' : formatMark(rule.mark);
  return `${rule.family} ${rule.source ?? ''} ${rule.outputInterface ?? ''} ${mark}`;
}

function args({ foreign: _, ...rule }: Rule): RuleArguments {
  return rule;
}
