/** `reconfigure`: now, verified. The daemon does it when there is one, else this process does, under the lock. */
import type { Selection } from '../reconcile/look.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import { type Reconciler, reconcile } from '../reconcile/reconcile.ts';
import { resumeSelected } from '../reconcile/release.ts';
import { connectControl } from '../system/control-client.ts';
import { printConfirmation, tryOut } from './confirm.ts';
import { createContext, type Environment, withReconciler } from './context.ts';
import { type ExitCode, exitCodeOfOutcome } from './exit-codes.ts';
import { type OutcomeDocument, parseDocument, toDocument } from './outcome-document.ts';
import type { Output } from './output.ts';
import { runPlan } from './plan.ts';
import {
  count,
  deferralEntry,
  printDeferrals,
  printProblems,
  printSteps,
  printStorageProblem,
  printUndone,
} from './print-run.ts';
import { ringHooks } from './ring-hooks.ts';

export interface ReconfigureOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly all?: boolean;
  /** Milliseconds until what was done is rolled back unless it is confirmed. */
  readonly confirm?: number;
}

export async function runReconfigure(
  environment: Environment,
  selection: Selection,
  options: ReconfigureOptions,
): Promise<ExitCode> {
  if (options.dryRun === true) {
    const resumes = options.all === true || selection !== null;
    return runPlan(environment, selection, { json: options.json === true, resumes });
  }
  const { output } = environment;
  const all = options.all === true;
  const document =
    options.confirm === undefined
      ? await reconfigure(environment, selection, all)
      : await tryOut(environment, selection, all, options.confirm);
  if (options.json === true) {
    output.json({ ...document, deferrals: document.deferrals.map(deferralEntry) });
  } else {
    printOutcome(output, document);
    if (options.confirm !== undefined) await printConfirmation(environment, output, document);
  }
  return exitCodeOfOutcome(document.outcome);
}

async function reconfigure(
  environment: Environment,
  selection: Selection,
  all: boolean,
): Promise<OutcomeDocument> {
  const { paths } = await createContext(environment);
  const daemon = await connectControl(paths.control);
  if (daemon !== null) return parseDocument(await daemon.reconfigure({ selection, all, dryRun: false }));
  return withReconciler(environment, async (reconciler, context) => {
    const outcome = await reconfigureWith(reconciler, selection, all);
    await ringHooks(context, outcome.events);
    return toDocument(outcome);
  });
}

/** A NIC that is named, or `--all`, ends a release. */
export async function reconfigureWith(
  reconciler: Reconciler,
  selection: Selection,
  all: boolean,
): Promise<ReconcileOutcome> {
  if (all || selection !== null) await resumeSelected(reconciler, selection);
  return reconcile(reconciler, { trigger: 'command', selection });
}

function printOutcome(output: Output, result: OutcomeDocument): void {
  printSteps(output, result.steps);
  printDeferrals(output, result.deferrals);
  printProblems(output, result.problems);
  printUndone(output, result);
  if (result.metadataProblem !== null) {
    output.line(output.style('yellow', `! by the last good answer: ${result.metadataProblem}`));
  }
  printStorageProblem(output, result.storageProblem);
  output.line(summary(result));
}

function summary({ outcome, steps, durationMs }: OutcomeDocument): string {
  const done = `${count(steps.length, 'step')} done and verified in ${durationMs} ms`;
  switch (outcome) {
    case 'in-sync':
      return 'In sync: nothing to change.';
    case 'applied':
      return `${done}.`;
    case 'failed':
      return 'Failed: nothing was changed (see above).';
    case 'rolled-back':
      return 'Nothing was changed: what was tried did not hold and was rolled back.';
    case 'degraded':
      return steps.length === 0
        ? 'Degraded: nothing was changed, and something is not as it should be (see above).'
        : `Degraded: ${done}, but something is not as it should be (see above).`;
  }
}
