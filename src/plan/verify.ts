/** Whether the kernel is now as it was to become. */
import type { DesiredState, NicProblem } from '../model/desired.ts';
import type { HostState } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import { describeAction } from './describe.ts';
import { type PlanOptions, planChanges } from './diff.ts';

export interface VerifyInput {
  /** Observed after the changes. */
  readonly host: HostState;
  /** As it was planned for: what others changed meanwhile is the next run's business, not a failure of this one. */
  readonly desired: DesiredState;
  /** The kernel steps that were done. */
  readonly done: readonly Step[];
}

/** One problem for each NIC that has a step left of those that were done. */
export function verify({ host, desired, done }: VerifyInput, options: PlanOptions): readonly NicProblem[] {
  // Files are still to come, as a rule: of thousands of steps none has to be put into words for those.
  const kinds = new Set(done.map(({ kind }) => kind));
  const left = planChanges(host, desired, options).steps.filter(({ kind }) => kinds.has(kind));
  if (left.length === 0) return [];
  const remaining = new Set(left.map(stepKey));
  const missing = new Map<MacAddress, Step[]>();
  for (const step of done) {
    if (remaining.has(stepKey(step))) missing.set(step.mac, [...(missing.get(step.mac) ?? []), step]);
  }
  return [...missing].map(([mac, steps]) => ({
    mac,
    ...(steps[0] === undefined ? {} : { stepKind: steps[0].kind }),
    message: `verifying ${steps[0]?.interface}: the kernel took it, but it does not show: ${steps.map(describeAction).join(', ')}`,
  }));
}

function stepKey(step: Step): string {
  return `${step.mac} ${describeAction(step)}`;
}
