/**
 * What was rolled back since nobody confirmed it is not done again by the agent's own doing: until the operator says
 * `reconfigure`, or the configuration is another one, those steps are left undone, and status and log say so. Pure.
 */
import type { MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, Lapse, Trigger } from '../model/state.ts';
import { stepKey } from '../plan/describe.ts';

/** The steps that a run of the agent's own doing leaves undone. `configuration`: the digest of the one it goes by. */
export function lapsedSteps(
  { lapsed }: AgentState,
  configuration: string,
  planned: readonly Step[],
): readonly Step[] {
  if (lapsed === null || lapsed.configuration !== configuration) return [];
  const keys = new Set(lapsed.steps);
  return planned.filter((step) => keys.has(stepKey(step)));
}

export interface Remembering {
  readonly configuration: string;
  readonly trigger: Trigger;
  /** The NICs that the run is about. */
  readonly macs: ReadonlySet<MacAddress>;
  /** What it found to be done there. */
  readonly planned: readonly Step[];
}

/** What is still to be left undone after a run: nothing that the operator asked for, and nothing that nobody plans any more. */
export function lapsedAfter(
  { lapsed }: AgentState,
  { configuration, trigger, macs, planned }: Remembering,
): Lapse | null {
  if (lapsed === null || lapsed.configuration !== configuration) return null;
  const wanted = new Set(trigger === 'command' ? [] : planned.map(stepKey));
  const isAbout = (key: string): boolean => macs.has(key.slice(0, key.indexOf(' ')) as MacAddress);
  const steps = lapsed.steps.filter((key) => !isAbout(key) || wanted.has(key));
  if (steps.length === 0) return null;
  return steps.length === lapsed.steps.length ? lapsed : { ...lapsed, steps };
}
