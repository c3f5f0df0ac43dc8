/** The one place that makes a step. */
import type { DesiredInterface } from '../model/desired.ts';
import type { StepArguments, StepKind, StepOf } from '../model/plan.ts';

/** `withdrawal`: the metadata stopped listing something, so the step waits until enough answers agree. */
export function makeStep<Kind extends StepKind>(
  kind: Kind,
  { mac, ifname }: Pick<DesiredInterface, 'mac' | 'ifname'>,
  args: StepArguments[Kind],
  reason: string,
  withdrawal = false,
): StepOf<Kind> {
  return { kind, mac, interface: ifname, reason, withdrawal, arguments: args } as StepOf<Kind>;
}
