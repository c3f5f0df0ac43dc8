/** Connection marks: those that are desired, and none of a NIC that wants them no more. */
import type { DesiredInterface, DesiredState } from '../model/desired.ts';
import type { HostState } from '../model/host.ts';
import { type ConnectionMark, isSameMark, isSamePlace, markOfSlot } from '../model/mark.ts';
import type { Step } from '../model/plan.ts';
import { makeStep } from './step.ts';

export function addMarks(desired: DesiredInterface, host: HostState): readonly Step[] {
  const reason = 'replies of forwarded connections leave by the NIC, missing';
  return desired.marks
    .filter((mark) => !host.marks.some((present) => isSameConnectionMark(mark, present)))
    .map((mark) => makeStep('add-mark', desired, mark, reason));
}

/** Not those of a NIC that is only put off: what is not known stays as it is. */
export function removeMarks(
  desired: DesiredInterface,
  all: DesiredState,
  host: HostState,
  forwardedMask: number,
): readonly Step[] {
  return host.marks
    .filter((present) => ownerOf(present, all, forwardedMask) === desired && !isWanted(present, all))
    .map((present) => makeStep('remove-mark', desired, present, 'nothing needs it', !desired.attached));
}

function isSameConnectionMark(a: ConnectionMark, b: ConnectionMark): boolean {
  return isSamePlace(a, b) && isSameMark(a, b);
}

function isWanted(present: ConnectionMark, { interfaces }: DesiredState): boolean {
  return interfaces.some(({ marks }) => marks.some((mark) => isSamePlace(mark, present)));
}

/** By its value, which is the slot's and outlives a rename; one of another mask by the name. */
function ownerOf(
  present: ConnectionMark,
  { interfaces }: DesiredState,
  forwardedMask: number,
): DesiredInterface | undefined {
  const bySlot = interfaces.find(({ slot }) => isSameMark(markOfSlot(slot, forwardedMask), present));
  return bySlot ?? interfaces.find(({ ifname }) => ifname === present.ifname);
}
