/** Which steps of a plan a run does, and what is ours after it. Pure. */
import type { HostState } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, Lapse, Trigger } from '../model/state.ts';
import type { Confirmed } from './confirm.ts';
import { lapsedAfter, lapsedSteps } from './lapse.ts';
import type { Looker, View } from './look.ts';
import { intendedNics, settledNics, unchangedNic } from './ownership.ts';

export interface Division {
  /** Done now. */
  readonly due: readonly Step[];
  /** Waiting for more answers of the metadata, or left to whoever undoes it. */
  readonly held: readonly Step[];
  /** Not done again: nobody had confirmed it. */
  readonly lapsed: readonly Step[];
}

export function divide(
  { memory, configDigest }: Looker,
  trigger: Trigger,
  { isConfirmed }: Pick<Confirmed, 'isConfirmed'>,
  { plan, host }: View,
): Division {
  const lapsed = trigger === 'command' ? [] : lapsedSteps(host.state, configDigest, plan.steps);
  const due: Step[] = [];
  const held: Step[] = [];
  for (const step of plan.steps) {
    if (lapsed.includes(step)) continue;
    const isDue = (isConfirmed || !step.withdrawal) && !memory.isFought(step);
    (isDue ? due : held).push(step);
  }
  return { due, held, lapsed };
}

/** What is still left undone after this run. */
export function lapseAfter(
  { configDigest }: Looker,
  trigger: Trigger,
  { host, chosen, plan }: View,
): Lapse | null {
  const macs = new Set(chosen.map(({ mac }) => mac));
  return lapsedAfter(host.state, { configuration: configDigest, trigger, macs, planned: plan.steps });
}

/** What failed has what is still there; what is left undone has what it had; what was held back is still ours; the rest is settled. */
export function rememberedNics(
  { host, chosen }: View,
  steps: readonly Step[],
  { held, lapsed }: Omit<Division, 'due'>,
  { failedMacs, after }: { readonly failedMacs: ReadonlySet<MacAddress>; readonly after: HostState },
  at: string,
): AgentState['nics'] {
  const lapsedMacs = new Set(lapsed.map(({ mac }) => mac));
  // Those of which a part is done now.
  const heldMacs = new Set(
    [...held, ...steps.filter(({ mac }) => lapsedMacs.has(mac))].map(({ mac }) => mac),
  );
  const isSettled = ({ mac }: { readonly mac: MacAddress }): boolean =>
    !failedMacs.has(mac) && !heldMacs.has(mac) && !lapsedMacs.has(mac);
  const settled = settledNics(host.state.nics, chosen.filter(isSettled), steps, at);
  const waiting = chosen.filter(({ mac }) => heldMacs.has(mac) && !failedMacs.has(mac));
  const intended = intendedNics(settled, waiting, steps);
  const failed = chosen.filter(({ mac }) => failedMacs.has(mac));
  return {
    ...intended,
    ...Object.fromEntries(failed.map((nic) => [nic.mac, unchangedNic(after, nic)])),
  };
}
