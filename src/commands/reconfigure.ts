/** `reconfigure`: now, under the lock, verified. */

import type { Selection } from '../reconcile/look.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { type Environment, withReconciler } from './context.ts';
import { type ExitCode, exitCodeOfOutcome } from './exit-codes.ts';
import {
  count,
  jsonDeferral,
  jsonStep,
  type Output,
  printDeferrals,
  printProblems,
  printSteps,
} from './output.ts';
import { runPlan } from './plan.ts';

export interface ReconfigureOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
}

export async function runReconfigure(
  environment: Environment,
  selection: Selection,
  options: ReconfigureOptions,
): Promise<ExitCode> {
  if (options.dryRun === true) return runPlan(environment, selection, { json: options.json === true });
  return withReconciler(environment, async (reconciler) => {
    const outcome = await reconcile(reconciler, { trigger: 'command', selection });
    if (options.json === true) environment.output.json(jsonOutcome(outcome));
    else printOutcome(environment.output, outcome);
    return exitCodeOfOutcome(outcome.outcome);
  });
}

function jsonOutcome({
  outcome,
  steps,
  deferrals,
  problems,
  held,
  metadataFailure,
  durationMs,
}: ReconcileOutcome): object {
  return {
    outcome,
    steps: steps.map(jsonStep),
    held: held.map(jsonStep),
    deferrals: deferrals.map(jsonDeferral),
    problems,
    metadataProblem: metadataFailure?.message ?? null,
    durationMs,
  };
}

function printOutcome(output: Output, result: ReconcileOutcome): void {
  printSteps(output, result.steps);
  printDeferrals(output, result.deferrals);
  printProblems(output, result.problems);
  if (result.held.length > 0) {
    const what = count(result.held.length, 'removal');
    output.line(
      output.style('yellow', `! ${what} not done: the metadata did not confirm what it no longer lists`),
    );
  }
  if (result.metadataFailure !== null) {
    output.line(output.style('yellow', `! by the last good answer: ${result.metadataFailure.message}`));
  }
  output.line(summary(result));
}

function summary({ outcome, steps, durationMs }: ReconcileOutcome): string {
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
