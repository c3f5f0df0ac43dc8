/**
 * The conductor: look, confirm, and under the lock look again, write the intent, apply, verify, keep or undo, remember.
 * Level-triggered: whatever rang, the world is compared with what should be, never with memory.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Applied, type Applier, applySteps } from '../apply/apply.ts';
import { isMarkStep } from '../apply/executors.ts';
import type { Log } from '../log.ts';
import type { NicProblem } from '../model/desired.ts';
import type { MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, Trigger } from '../model/state.ts';
import { observe } from '../observe/observe.ts';
import { describeStep } from '../plan/describe.ts';
import { verify } from '../plan/verify.ts';
import { leftovers, removeLeftovers } from '../system/atomic-file.ts';
import { withLock } from '../system/lock.ts';
import type { Paths } from '../system/paths.ts';
import { setStateAside, writeState } from '../system/state-file.ts';
import { type Confirmed, confirmWithdrawals } from './confirm.ts';
import {
  isCurrent,
  type Looker,
  look,
  lookWhenReady,
  planOptions,
  rememberedMetadata,
  type Selection,
  type View,
} from './look.ts';
import { setMarks } from './marks.ts';
import { judge, type ReconcileOutcome } from './outcome.ts';
import { intendedNics, settledNics, unchangedNic } from './ownership.ts';
import { type Fetched, fetchMetadata } from './reading.ts';

export interface Reconciler extends Looker {
  readonly applier: Applier;
  readonly log: Log;
}

export interface ReconcileRequest {
  readonly trigger: Trigger;
  readonly selection: Selection;
}

type Result = Omit<ReconcileOutcome, 'durationMs'>;

/** One shot: waits for udev and for the confirmation of withdrawals. Throws AgentError when nothing could be done at all. */
export async function reconcile(
  reconciler: Reconciler,
  request: ReconcileRequest,
): Promise<ReconcileOutcome> {
  const startedAt = performance.now();
  const { selection } = request;
  const first = await lookWhenReady(reconciler, await fetchMetadata(reconciler.provider), selection);
  const confirmed = await confirmWithdrawals(reconciler, first, selection);
  const outcome = await settle(reconciler, request, confirmed, startedAt);
  const { metadataFailure, held } = outcome;
  if (metadataFailure !== null) {
    reconciler.log.warn({ problem: metadataFailure.message }, 'metadata unavailable');
  }
  const isComplete = held.length === 0 || !['in-sync', 'applied'].includes(outcome.outcome);
  return isComplete ? outcome : { ...outcome, outcome: 'degraded' };
}

/** Makes the host what the view says it should be; what fails for one NIC is in the outcome. */
export async function settle(
  reconciler: Reconciler,
  request: ReconcileRequest,
  confirmed: Confirmed,
  startedAt = performance.now(),
): Promise<ReconcileOutcome> {
  const { view } = confirmed;
  const division = divide(reconciler, confirmed, view);
  const result = needsWrite(reconciler, view, division)
    ? await withLock(reconciler.applier.paths.lock, () => changeAndRemember(reconciler, request, confirmed))
    : summarise(view, { steps: [], held: division.held, problems: [] });
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
  report(reconciler.log, result, durationMs);
  return { ...result, durationMs };
}

interface Division {
  /** Done now. */
  readonly due: readonly Step[];
  /** Waiting for more answers of the metadata, or left to whoever undoes it. */
  readonly held: readonly Step[];
}

function divide(
  { memory }: Looker,
  { isConfirmed }: Pick<Confirmed, 'isConfirmed'>,
  { plan }: View,
): Division {
  const isDue = (step: Step): boolean => (isConfirmed || !step.withdrawal) && !memory.isFought(step);
  return { due: plan.steps.filter(isDue), held: plan.steps.filter((step) => !isDue(step)) };
}

function needsWrite({ applier }: Reconciler, view: View, { due, held }: Division): boolean {
  const { metadata, nics } = view.host.state;
  const waiting = new Set(held.map(({ mac }) => mac));
  const others = view.chosen.filter(({ mac }) => !waiting.has(mac));
  return (
    due.length > 0 ||
    view.rejectedState !== null ||
    rememberedMetadata(view, '') !== metadata ||
    view.host.state.hasMarks !== view.host.marks.length > 0 ||
    !isDeepStrictEqual(settledNics(nics, others, [], ''), nics) ||
    strayTemporaries(applier.paths).length > 0
  );
}

function strayTemporaries(paths: Paths): readonly string[] {
  return [...leftovers(paths.networkScripts), ...leftovers(paths.stateDirectory)];
}

/** Under the lock: the plan is made again when another run may have been here since. */
async function changeAndRemember(
  reconciler: Reconciler,
  { trigger, selection }: ReconcileRequest,
  { view: seen, isConfirmed, trustsLinks }: Confirmed,
): Promise<Result> {
  const startedAt = performance.now();
  const { paths } = reconciler.applier;
  const at = new Date().toISOString();
  const view = isCurrent(reconciler, seen)
    ? seen
    : await look(reconciler, asFetched(seen), selection, trustsLinks);
  if (view.rejectedState !== null) {
    const aside = await setStateAside(paths, view.rejectedState.asideName);
    reconciler.log.warn(
      { file: paths.state, aside, problem: view.rejectedState.problem },
      'state file set aside',
    );
  }
  removeLeftovers(strayTemporaries(paths));
  const { due: steps, held } = divide(reconciler, { isConfirmed }, view);
  await writeIntent(paths, view, steps);
  const { problems, done, failedMacs, isForbidden, hasMarks } = await applyAndVerify(reconciler, view, steps);
  const isNothingDone = failedMacs.size > 0 && done.length === 0;
  const result = {
    ...summarise(view, { steps: done, held, problems }),
    ...(isNothingDone ? { outcome: isForbidden ? ('failed' as const) : ('rolled-back' as const) } : {}),
  };
  const nics = rememberedNics(view, steps, held, failedMacs, at);
  const { outcome } = result;
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
  const lastRun = { at, trigger, outcome, steps: done.length, durationMs, failures: result.problems };
  const metadata = rememberedMetadata(view, at);
  await writeState(paths, { ...view.host.state, metadata, nics, hasMarks, lastRun }, { durable: true });
  return result;
}

function asFetched({ reading }: View): Fetched {
  return reading.failure === null ? { metadata: reading.metadata } : { failure: reading.failure };
}

/** Ahead of the kernel. Not synced: a power cut takes the kernel's state with it, and a killed process does not lose it. */
async function writeIntent(paths: Paths, { host, chosen }: View, steps: readonly Step[]): Promise<void> {
  const nics = intendedNics(host.state.nics, chosen, steps);
  const intent = { ...host.state, nics, hasMarks: host.state.hasMarks || steps.some(isMarkStep) };
  if (steps.length === 0 || isDeepStrictEqual(intent, host.state)) return;
  await writeState(paths, intent, { durable: false });
}

interface Verdict {
  readonly problems: readonly NicProblem[];
  /** The steps that were done and stayed. */
  readonly done: readonly Step[];
  /** Everything of these NICs is as it was. */
  readonly failedMacs: ReadonlySet<MacAddress>;
  /** The kernel lets us change nothing. */
  readonly isForbidden: boolean;
  /** The firewall has marks of ours now. */
  readonly hasMarks: boolean;
}

async function applyAndVerify(reconciler: Reconciler, view: View, steps: readonly Step[]): Promise<Verdict> {
  const marking = await setMarks(steps, view.host.marks.length > 0);
  const applied = await applySteps(steps, view.reading.metadata.primaryMac, reconciler.applier);
  const done = applied.flatMap((entry) => entry.done);
  const host = done.length === 0 ? view.host : (await observe(reconciler.observer)).host;
  const mismatches =
    done.length === 0 ? [] : verify({ host, desired: view.desired, done }, planOptions(reconciler.config));
  const problems: NicProblem[] = [];
  const failedMacs = new Set<MacAddress>();
  for (const entry of applied.toReversed()) {
    const mismatch = mismatches.find(({ mac }) => mac === entry.mac);
    const failure = entry.failure?.message ?? (mismatch === undefined ? null : await undone(entry, mismatch));
    if (failure !== null) failedMacs.add(entry.mac);
    const isGone = entry.failure?.code === 'link-gone';
    const problem = failure === null ? await entry.keep() : { mac: entry.mac, message: failure, isGone };
    if (problem !== null) problems.unshift(problem);
  }
  return {
    problems: [...problems, ...marking.problems],
    done: steps.filter((step) => !failedMacs.has(step.mac) && !marking.failed.includes(step)),
    hasMarks: marking.hasMarks,
    failedMacs,
    isForbidden: applied.some(({ failure }) => failure?.code === 'permission-denied'),
  };
}

async function undone(entry: Applied, mismatch: NicProblem): Promise<string> {
  const left = await entry.undo();
  const tail =
    left.length === 0
      ? 'rolled back'
      : `rolled back, except what the kernel would not undo: ${left.join(', ')}`;
  return `${mismatch.message}; ${tail}`;
}

/** What failed has what it had; what was held back is still ours; the rest is settled. */
function rememberedNics(
  { host, chosen }: View,
  steps: readonly Step[],
  held: readonly Step[],
  failedMacs: ReadonlySet<MacAddress>,
  at: string,
): AgentState['nics'] {
  const heldMacs = new Set(held.map(({ mac }) => mac));
  const isSettled = ({ mac }: { readonly mac: MacAddress }): boolean =>
    !failedMacs.has(mac) && !heldMacs.has(mac);
  const settled = settledNics(host.state.nics, chosen.filter(isSettled), steps, at);
  const waiting = chosen.filter(({ mac }) => heldMacs.has(mac) && !failedMacs.has(mac));
  const intended = intendedNics(settled, waiting, steps);
  const failed = chosen.filter(({ mac }) => failedMacs.has(mac));
  return {
    ...intended,
    ...Object.fromEntries(failed.map((nic) => [nic.mac, unchangedNic(host.state.nics, nic)])),
  };
}

function summarise(
  { plan, reading }: View,
  { steps, held, problems }: Pick<Result, 'steps' | 'held' | 'problems'>,
): Result {
  const result = {
    steps,
    held,
    deferrals: plan.deferrals,
    problems: [...plan.problems, ...problems],
    metadataFailure: reading.failure,
  };
  return { ...result, outcome: judge(result) };
}

/** Info when something changed, warn when something is not as it should be; in sync is silent. */
function report(log: Log, result: Result, durationMs: number): void {
  for (const step of result.steps)
    log.debug({ mac: step.mac, interface: step.interface }, describeStep(step));
  // A NIC that was pulled while it was set up is no error: what is left of it goes when the metadata says so.
  for (const { mac, message, isGone } of result.problems)
    log[isGone === true ? 'info' : 'error']({ mac }, message);
  if (result.steps.length > 0) {
    log.info(
      { outcome: result.outcome, steps: result.steps.length, durationMs },
      'network configuration changed',
    );
  }
}
