/**
 * The conductor: look, confirm, and under the lock look again, write the intent, apply, verify, keep or undo, remember.
 * Level-triggered: whatever rang, the world is compared with what should be, never with memory.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Applier } from '../apply/apply.ts';
import { isMarkStep } from '../apply/executors.ts';
import { AgentError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, Trigger } from '../model/state.ts';
import type { Trial } from '../model/trial.ts';
import { observe } from '../observe/observe.ts';
import { describeStep } from '../plan/describe.ts';
import { leftovers, removeLeftovers } from '../system/atomic-file.ts';
import { hasJournal } from '../system/journal.ts';
import { withLock } from '../system/lock.ts';
import type { Paths } from '../system/paths.ts';
import { readTrial, removeTrial } from '../system/trial-file.ts';
import { carryOut } from './carry-out.ts';
import { type Confirmed, confirmWithdrawals } from './confirm.ts';
import { type Division, divide, lapseAfter, rememberedNics } from './division.ts';
import { eventsOfRun } from './events.ts';
import {
  isCurrent,
  type Looker,
  look,
  lookWhenReady,
  rememberedMetadata,
  type Selection,
  type View,
} from './look.ts';
import { judge, type ReconcileOutcome, withStorageProblem } from './outcome.ts';
import { intendedNics, settledNics } from './ownership.ts';
import { type Fetched, fetchMetadata } from './reading.ts';
import { recordRun } from './record.ts';
import { beginRemembering, type Remembrance } from './remember.ts';
import { beginTrial, requireNoTrial, type TrialRequest } from './trial.ts';

export interface Reconciler extends Looker {
  readonly applier: Applier;
  readonly log: Log;
}

export interface ReconcileRequest {
  readonly trigger: Trigger;
  readonly selection: Selection;
  /** What is done is rolled back unless it is confirmed. */
  readonly trial?: TrialRequest;
}

/** `nics`: what is ours after it; null where nothing was to be remembered. */
type Result = Omit<ReconcileOutcome, 'events' | 'durationMs'> & { readonly nics: AgentState['nics'] | null };

/** One shot: waits for udev and for the confirmation of withdrawals. Throws AgentError when nothing could be done at all. */
export async function reconcile(
  reconciler: Reconciler,
  request: ReconcileRequest,
): Promise<ReconcileOutcome> {
  const startedAt = performance.now();
  const { selection } = request;
  await requireNoTrial(reconciler);
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

/**
 * Makes the host what the view says it should be; what fails for one NIC is in the outcome. Nothing while a change of somebody
 * else waits for its confirmation.
 */
export async function settle(
  reconciler: Reconciler,
  request: ReconcileRequest,
  confirmed: Confirmed,
  startedAt = performance.now(),
): Promise<ReconcileOutcome> {
  const { nics, ...result } = await settleOnce(reconciler, request, confirmed).catch(
    async (error: unknown) => {
      if (!(error instanceof AgentError && error.code === 'answer-lost')) throw error;
      // What was done before is unknown, but can be seen.
      const { view, overdue } = confirmed;
      const again = await look(reconciler, fetchedOf(view), request.selection, overdue);
      return settleOnce(reconciler, request, { ...confirmed, view: again });
    },
  );
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
  const { view } = confirmed;
  const events = nics === null ? [] : eventsOfRun(view, nics, result);
  const outcome = { ...result, events, durationMs };
  report(reconciler.log, request.trigger, outcome, view.host.state.lastRun?.failures ?? []);
  return outcome;
}

async function settleOnce(
  reconciler: Reconciler,
  request: ReconcileRequest,
  confirmed: Confirmed,
): Promise<Result> {
  const { view } = confirmed;
  if (waitsForAnother(view.trial, request)) return standStill(view);
  const division = divide(reconciler, request.trigger, confirmed, view);
  if (!needsWrite(reconciler, request, view, division)) {
    return summarise(view, { ...division, steps: [], problems: [] });
  }
  if (division.due.length > 0) await request.trial?.startGuardian();
  const { lock } = reconciler.applier.paths;
  return withLock(lock, () => changeAndRemember(reconciler, request, confirmed));
}

function waitsForAnother(trial: Trial | null, request: ReconcileRequest): boolean {
  return trial !== null && trial.id !== request.trial?.id;
}

function standStill(view: View): Result {
  return summarise(view, { steps: [], held: view.plan.steps, lapsed: [], problems: [] });
}

function needsWrite(
  reconciler: Reconciler,
  request: ReconcileRequest,
  view: View,
  { due, held, lapsed }: Division,
): boolean {
  return (
    due.length > 0 ||
    view.rejectedState !== null ||
    view.parkedState !== null ||
    !isRemembered(reconciler, view, [...held, ...lapsed]) ||
    view.host.state.hasMarks !== view.host.marks.length > 0 ||
    lapseAfter(reconciler, request.trigger, view) !== view.host.state.lapsed ||
    strayTemporaries(reconciler.applier.paths).length > 0 ||
    hasJournal(reconciler.applier.paths)
  );
}

/** The state has the answer, and of each NIC without a step that waits what is settled. */
function isRemembered({ observer }: Reconciler, view: View, waiting: readonly Step[]): boolean {
  const { chosen, host, reading } = view;
  const macs = new Set(waiting.map(({ mac }) => mac));
  const from = [host.state, chosen, reading.metadata, reading.failure, [...macs].join(' ')];
  return observer.memo.of('remembered', from, () => {
    const { metadata, nics } = host.state;
    const others = chosen.filter(({ mac }) => !macs.has(mac));
    return (
      rememberedMetadata(view, '') === metadata && isDeepStrictEqual(settledNics(nics, others, [], ''), nics)
    );
  });
}

function strayTemporaries(paths: Paths): readonly string[] {
  return [paths.networkScripts, paths.connections, paths.stateDirectory, paths.runDirectory].flatMap(
    leftovers,
  );
}

/** Under the lock: the plan is made again when another run may have been here since. */
async function changeAndRemember(
  reconciler: Reconciler,
  request: ReconcileRequest,
  { view: seen, isConfirmed, overdue }: Confirmed,
): Promise<Result> {
  const startedAt = performance.now();
  const { trigger, selection } = request;
  const { paths } = reconciler.applier;
  const at = new Date().toISOString();
  const view = isCurrent(reconciler, seen)
    ? seen
    : await look(reconciler, fetchedOf(seen), selection, overdue);
  if (waitsForAnother(readTrial(paths), request) || (view.isClone && !isConfirmed)) return standStill(view);
  const remembrance = await beginRemembering(paths, view.rejectedState, reconciler.log);
  const { due: steps, held, lapsed } = divide(reconciler, trigger, { isConfirmed }, view);
  const confirmBy = await beginTrial(request.trial, paths, view.host, steps);
  await writeIntent(remembrance, view, steps, at);
  const verdict = await carryOut(reconciler, view, steps);
  // Not before: the NIC is waited for, and what a killed run has left is in nobody's way.
  removeLeftovers(strayTemporaries(paths));
  const { problems, done, failedMacs, isForbidden, hasMarks } = verdict;
  const isNothingDone = failedMacs.size > 0 && done.length === 0;
  const result = {
    ...summarise(view, { steps: done, held, lapsed, problems }),
    confirmBy: done.length === 0 ? null : confirmBy,
    ...(isNothingDone ? { outcome: isForbidden ? ('failed' as const) : ('rolled-back' as const) } : {}),
  };
  const after = failedMacs.size === 0 ? view.host : (await observe(reconciler.observer)).host;
  const nics = rememberedNics(view, steps, { held, lapsed }, { failedMacs, after }, at);
  const { outcome } = result;
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
  const lastRun = { at, trigger, outcome, steps: done.length, durationMs, failures: result.problems };
  const metadata = rememberedMetadata(view, at);
  const memory = { metadata, nics, hasMarks, lapsed: lapseAfter(reconciler, trigger, view), lastRun };
  await remembrance.write({ ...view.host.state, ...memory }, { durable: true });
  if (confirmBy !== null && done.length === 0) await removeTrial(paths);
  const storageProblem = remembrance.problem();
  await recordRun({ paths, log: reconciler.log }, lastRun, { tried: steps, done, storageProblem });
  return withStorageProblem({ ...result, nics }, storageProblem);
}

function fetchedOf({ reading }: View): Fetched {
  return reading.failure === null ? { metadata: reading.metadata } : { failure: reading.failure };
}

/**
 * Ahead of the kernel. Not synced: a power cut takes the kernel's state with it, and a killed process does not lose it. With the
 * answer that it comes of, so that it can stand in for the file that replaces it.
 */
async function writeIntent(
  remembrance: Remembrance,
  view: View,
  steps: readonly Step[],
  at: string,
): Promise<void> {
  const { state } = view.host;
  const nics = intendedNics(state.nics, view.chosen, steps);
  const hasMarks = state.hasMarks || steps.some(isMarkStep);
  const intent = { ...state, metadata: rememberedMetadata(view, at), nics, hasMarks };
  if (steps.length === 0 || isDeepStrictEqual(intent, state)) return;
  await remembrance.write(intent, { durable: false });
}

function summarise(
  { plan, reading }: View,
  { steps, held, lapsed, problems }: Pick<Result, 'steps' | 'held' | 'lapsed' | 'problems'>,
): Result {
  const result = {
    steps,
    held,
    lapsed,
    deferrals: plan.deferrals,
    problems: [...plan.problems, ...problems],
    metadataFailure: reading.failure,
    storageProblem: null,
  };
  return { ...result, outcome: judge(result), confirmBy: null, nics: null };
}

/** Info when something changed, warn when something is not as it should be; in sync is silent. */
function report(
  log: Log,
  trigger: Trigger,
  result: ReconcileOutcome,
  reported: NonNullable<AgentState['lastRun']>['failures'],
): void {
  for (const step of result.steps)
    log.debug({ mac: step.mac, interface: step.interface }, describeStep(step));
  // A NIC that was pulled while it was set up is no error: what is left of it goes when the metadata says so.
  for (const { mac, message, isGone, isAboutFiles } of result.problems) {
    // A disk that stays full is tried in every run, and told of once.
    const isKnown = isAboutFiles === true && reported.some((entry) => entry.message === message);
    if (!isKnown) log[isGone === true ? 'info' : 'error']({ mac }, message);
  }
  const { outcome, steps, durationMs } = result;
  if (steps.length > 0) {
    const macs = [...new Set(steps.map(({ mac }) => mac))];
    const interfaces = [...new Set(steps.map((step) => step.interface))];
    const fields = { trigger, outcome, steps: steps.length, durationMs, interfaces, macs };
    log.info(fields, 'network configuration changed');
  }
}
