/** The kernel steps of one NIC: all in one send, and all undone when one of them is refused. */
import os from 'node:os';
import { AgentError } from '../errors.ts';
import { explainErrno } from '../kernel/errors.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import { inverseOf, isAlreadyDone, type KernelQuirks, type KernelStep, requestOf } from './executors.ts';

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
}

const { ENODEV, EPERM } = os.constants.errno;

interface Refusal {
  readonly step: KernelStep;
  readonly errno: number;
}

export async function runTransaction(
  kernel: Kernel,
  steps: readonly KernelStep[],
): Promise<TransactionResult> {
  if (steps.length === 0) return { done: [], failure: null };
  const errnos = await kernel.rtnetlink.transact(steps.map((step) => requestOf(step, kernel.quirks)));
  const answered = steps.map((step, index) => ({ step, errno: errnos[index] ?? 0 }));
  const done = answered.filter(({ errno }) => errno === 0).map(({ step }) => step);
  const refused = answered.find(({ step, errno }) => errno !== 0 && !isAlreadyDone(step, errno));
  if (refused === undefined) return { done, failure: null };
  const leftBehind = await rollBack(kernel, done);
  return { done: [], failure: refusalError(refused, kernel, leftBehind) };
}

/** Undoes in reverse order; returns in words what could not be undone. A link that is gone took everything with it. */
export async function rollBack(kernel: Kernel, done: readonly KernelStep[]): Promise<readonly string[]> {
  if (done.length === 0) return [];
  const reversed = done.toReversed();
  const errnos = await kernel.rtnetlink.transact(reversed.map((step) => inverseOf(step, kernel.quirks)));
  return reversed.filter((step, index) => !isUndone(step, errnos[index] ?? 0)).map(kernel.words);
}

/** Somebody else may have undone it before us. */
function isUndone(step: KernelStep, errno: number): boolean {
  const { EEXIST, ESRCH, ENOENT, EADDRNOTAVAIL } = os.constants.errno;
  const isRemoval = step.kind.startsWith('remove-');
  return (
    errno === 0 || errno === ENODEV || (isRemoval ? [EEXIST] : [ESRCH, ENOENT, EADDRNOTAVAIL]).includes(errno)
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
