/** Carries the steps of a run out: journal, apply, look again, verify, and for each NIC keep or undo. Under the lock. */
import { type Applied, applySteps } from '../apply/apply.ts';
import { isFileStep, isKernelStep } from '../apply/executors.ts';
import { rollBack } from '../apply/transaction.ts';
import { errorMessage } from '../errors.ts';
import type { NicProblem } from '../model/desired.ts';
import type { MacAddress } from '../model/net.ts';
import type { KernelStep, Step } from '../model/plan.ts';
import { observe, observeKernel } from '../observe/observe.ts';
import { verify } from '../plan/verify.ts';
import { hasJournal, readJournal, writeJournal } from '../system/journal.ts';
import { planOptions, type View } from './look.ts';
import { setMarks } from './marks.ts';
import { handOver, takeBack, tellOfProfiles } from './profiles.ts';
import type { Reconciler } from './reconcile.ts';

export interface Verdict {
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

export async function carryOut(reconciler: Reconciler, view: View, steps: readonly Step[]): Promise<Verdict> {
  const unfinished = readJournal(reconciler.applier.paths);
  await keepJournal(reconciler, [...unfinished, ...steps.filter(isKernelStep)]);
  const marking = await setMarks(steps, view.host.marks.length > 0);
  const handed = await handOver(reconciler, view, steps);
  const applied = await applySteps(handed.steps, view.reading.metadata.primaryMac, reconciler.applier);
  const failures = await undoFailed(reconciler, view, applied, unfinished);
  const chosen = new Set(view.chosen.map(({ mac }) => mac));
  // What has verified is there to stay from here on, also when its files do not get their names any more.
  const others = unfinished.filter(({ mac }) => !chosen.has(mac));
  await keepJournal(reconciler, others);
  const failedMacs = new Set([...failures.keys()].map(({ mac }) => mac));
  await takeBack({ paths: reconciler.applier.paths, log: reconciler.log }, handed.writes, failedMacs);
  const problems = await keepVerified(applied, failures);
  const unfiled = new Set(problems.filter(({ isAboutFiles }) => isAboutFiles).map(({ mac }) => mac));
  const isKept = (step: Step): boolean => !failedMacs.has(step.mac) && !marking.failed.includes(step);
  const filed = steps.filter((step) => isKept(step) && !unfiled.has(step.mac));
  const untold = await tellOfProfiles(reconciler, view, filed, handed);
  return {
    problems: [...problems, ...untold, ...marking.problems],
    done: steps.filter((step) => isKept(step) && !(isFileStep(step) && unfiled.has(step.mac))),
    hasMarks: marking.hasMarks,
    failedMacs,
    isForbidden: applied.some(({ failure }) => failure?.code === 'permission-denied'),
  };
}

/** For the case that this run is killed, which is no reason not to run. */
async function keepJournal(
  { applier: { paths }, log }: Reconciler,
  steps: readonly KernelStep[],
): Promise<void> {
  try {
    if (steps.length > 0 || hasJournal(paths)) await writeJournal(paths, steps);
  } catch (error) {
    log.warn({ file: paths.journal, problem: errorMessage(error) }, 'journal not written');
  }
}

/**
 * Why each of those failed that did: the kernel refused, or what it took does not show. Everything of them is as it was, also before
 * the run that was killed, whose steps are `unfinished`.
 */
async function undoFailed(
  reconciler: Reconciler,
  view: View,
  applied: readonly Applied[],
  unfinished: readonly KernelStep[],
): Promise<ReadonlyMap<Applied, NicProblem>> {
  const mismatches = await verifyDone(reconciler, view, applied);
  const failures = new Map<Applied, NicProblem>();
  for (const entry of applied.toReversed()) {
    const mismatch = mismatches.find(({ mac }) => mac === entry.mac);
    const failure = refused(entry) ?? (mismatch === undefined ? null : await undone(entry, mismatch));
    if (failure === null) continue;
    failures.set(entry, failure);
    // What the kernel will not undo stays ours by what is observed next, and goes with it.
    await rollBack(
      reconciler.applier.kernel,
      unfinished.filter(({ mac }) => mac === entry.mac),
    );
  }
  return withGone(reconciler, view, failures);
}

/** The files of the others take their names. */
async function keepVerified(
  applied: readonly Applied[],
  failures: ReadonlyMap<Applied, NicProblem>,
): Promise<readonly NicProblem[]> {
  const problems: NicProblem[] = [];
  for (const entry of applied) {
    const problem = failures.get(entry) ?? (await entry.keep());
    if (problem !== null) problems.push(problem);
  }
  return problems;
}

function refused({ mac, failure, refused: step }: Applied): NicProblem | null {
  if (failure === null) return null;
  const isGone = failure.code === 'link-gone';
  return { mac, message: failure.message, isGone, ...(step === null ? {} : { stepKind: step.kind }) };
}

async function verifyDone(
  { observer, config }: Reconciler,
  { desired, host: before }: View,
  applied: readonly Applied[],
): Promise<readonly NicProblem[]> {
  const done = applied.flatMap((entry) => entry.done);
  const looking = done.length === 0 ? Promise.resolve(null) : observeKernel(observer);
  // Whatever the look says: when it is over no file is under way any more.
  await Promise.allSettled([looking, ...applied.map(({ prepared }) => prepared)]);
  const now = await looking;
  return now === null ? [] : verify({ host: { ...before, ...now }, desired, done }, planOptions(config));
}

/** A link that goes takes its objects along: what the kernel refuses or does not show meanwhile is no error of anybody. */
async function withGone(
  { observer }: Reconciler,
  { desired }: View,
  failures: ReadonlyMap<Applied, NicProblem>,
): Promise<ReadonlyMap<Applied, NicProblem>> {
  if (failures.size === 0) return failures;
  const { links } = (await observe(observer)).host;
  const isGone = (of: MacAddress): boolean => {
    const linkIndex = desired.interfaces.find(({ mac }) => mac === of)?.linkIndex ?? null;
    return linkIndex !== null && !links.some(({ index }) => index === linkIndex);
  };
  return new Map(
    [...failures].map(([entry, problem]) => [
      entry,
      { ...problem, isGone: problem.isGone === true || isGone(problem.mac) },
    ]),
  );
}

async function undone(entry: Applied, mismatch: NicProblem): Promise<NicProblem> {
  const left = await entry.undo();
  const tail =
    left.length === 0
      ? 'rolled back'
      : `rolled back, except what the kernel would not undo: ${left.join(', ')}`;
  return { ...mismatch, message: `${mismatch.message}; ${tail}` };
}
