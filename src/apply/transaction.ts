/** The kernel steps of one NIC: in as few sends as may be, and all undone when one of them is refused. */

import os from 'node:os';
import { AgentError } from '../errors.ts';
import { explainErrno } from '../kernel/errors.ts';
import { isSamePlace } from '../kernel/routes.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { KernelStep, StepOf } from '../model/plan.ts';
import { inverseOf, isAlreadyDone, isRemoval, type KernelQuirks, requestOf } from './executors.ts';

export interface Kernel {
  readonly rtnetlink: Rtnetlink;
  readonly quirks: KernelQuirks;
  /** A step in words, for messages: `adding address 10.0.1.5/24 on eth1`. */
  readonly words: (step: KernelStep) => string;
}

export interface TransactionResult {
  /** Done by us, in order; empty after a failure, when they were undone again. */
  readonly done: readonly KernelStep[];
  readonly failure: AgentError | null;
  /** The step that it is about. */
  readonly refused: KernelStep | null;
}

const { ENODEV, EPERM } = os.constants.errno;

interface Refusal {
  readonly step: KernelStep;
  readonly errno: number;
}

/**
 * Nothing is taken away before all that was added ahead of it is accepted: a refusal then costs no address that stays. For a
 * NIC that only grows that is one send.
 */
export async function runTransaction(
  kernel: Kernel,
  steps: readonly KernelStep[],
): Promise<TransactionResult> {
  const done: KernelStep[] = [];
  for (const batch of splitBeforeRemovals(steps)) {
    const errnos = await send(kernel, batch, requestOf, steps);
    done.push(...batch.filter((step, index) => isDone(step, errnos[index] ?? 0)));
    const refused = firstRefusal(batch, errnos);
    if (refused === undefined) continue;
    const leftBehind = await rollBack(kernel, [...done, ...notReached(steps, done)]);
    return { done: [], failure: refusalError(refused, kernel, leftBehind), refused: refused.step };
  }
  return { done, failure: null, refused: null };
}

function firstRefusal(batch: readonly KernelStep[], errnos: readonly number[]): Refusal | undefined {
  const at = (index: number): number => errnos[index] ?? 0;
  const index = batch.findIndex((step, index) => at(index) !== 0 && !isAlreadyDone(step, at(index)));
  const step = batch[index];
  return step === undefined ? undefined : { step, errno: at(index) };
}

function splitBeforeRemovals(steps: readonly KernelStep[]): readonly (readonly KernelStep[])[] {
  const batches: KernelStep[][] = [];
  for (const step of steps) {
    const batch = batches.at(-1);
    const before = batch?.at(-1);
    if (before !== undefined && (isRemoval(before) || !isRemoval(step))) batch?.push(step);
    else batches.push([step]);
  }
  return batches;
}

/**
 * What was there before us is not ours to undo. What was to go and is gone already is: the kernel takes routes and secondary
 * addresses along with an address that we remove, and a route that takes another's place ends that one.
 */
function isDone(step: KernelStep, errno: number): boolean {
  return errno === 0 || (isRemoval(step) && isAlreadyDone(step, errno));
}

/** Routes that were to be removed later, and whose place a new one took: they are not there any more, either. */
function notReached(steps: readonly KernelStep[], done: readonly KernelStep[]): readonly KernelStep[] {
  const isReplaced = exchanges(done);
  return steps.filter((step) => step.kind === 'remove-route' && !done.includes(step) && isReplaced(step));
}

/** Undoes in reverse order; returns in words what could not be undone. */
export async function rollBack(kernel: Kernel, done: readonly KernelStep[]): Promise<readonly string[]> {
  return (await undo(kernel, done)).map(kernel.words);
}

/** Undoes in reverse order; returns what could not be undone. A link that is gone took everything with it. */
export async function undo(kernel: Kernel, done: readonly KernelStep[]): Promise<readonly KernelStep[]> {
  const reversed = done.toReversed();
  const errnos = await send(kernel, reversed, inverseOf, done);
  return reversed.filter((step, index) => !isUndone(step, errnos[index] ?? 0));
}

function send(
  { rtnetlink, quirks }: Kernel,
  steps: readonly KernelStep[],
  makeRequest: typeof requestOf,
  all: readonly KernelStep[],
): Promise<readonly number[]> {
  const isReplacing = exchanges(all);
  const replacing = { ...quirks, replace: true };
  return rtnetlink.transact(steps.map((step) => makeRequest(step, isReplacing(step) ? replacing : quirks)));
}

/** A route that takes the place of one that we remove, or the other way round: one step for the kernel, without a gap. */
function exchanges(steps: readonly KernelStep[]): (step: KernelStep) => boolean {
  const added = steps.filter(({ kind }) => kind === 'add-route') as StepOf<'add-route'>[];
  const removed = steps.filter(({ kind }) => kind === 'remove-route') as StepOf<'remove-route'>[];
  return (step) => {
    if (step.kind !== 'add-route' && step.kind !== 'remove-route') return false;
    const opposite = step.kind === 'add-route' ? removed : added;
    return opposite.some((other) => isSamePlace(other.arguments, step.arguments));
  };
}

/** Somebody else may have undone it before us. */
function isUndone(step: KernelStep, errno: number): boolean {
  const { EEXIST, ESRCH, ENOENT, EADDRNOTAVAIL } = os.constants.errno;
  return (
    errno === 0 ||
    errno === ENODEV ||
    (isRemoval(step) ? [EEXIST] : [ESRCH, ENOENT, EADDRNOTAVAIL]).includes(errno)
  );
}

function refusalError(
  { step, errno }: Refusal,
  { words }: Kernel,
  leftBehind: readonly string[],
): AgentError {
  const code = errno === ENODEV ? 'link-gone' : errno === EPERM ? 'permission-denied' : 'kernel-refused';
  const undone =
    leftBehind.length === 0
      ? 'rolled back'
      : `rolled back, except what the kernel would not undo: ${leftBehind.join(', ')}`;
  const message = `${words(step)}: ${explainErrno(step, errno)} (${undone})`;
  return new AgentError(code, message, { details: { errno, step: step.kind, interface: step.interface } });
}
