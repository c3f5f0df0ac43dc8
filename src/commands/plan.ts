/** `plan`: what reconfigure would change, and why. Changes nothing. */

import type { Plan } from '../model/plan.ts';
import { entryOf } from '../plan/describe.ts';
import { withConfirmationsDue } from '../reconcile/confirm.ts';
import { look, type Selection, type View } from '../reconcile/look.ts';
import { fetchMetadata } from '../reconcile/reading.ts';
import { assumingResumed } from '../reconcile/release.ts';
import { type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';
import { count, deferralEntry, printDeferrals, printProblems, printSteps } from './print-run.ts';

export interface PlanOptions {
  readonly json?: boolean;
  /** Exit 5 when changes are pending. */
  readonly check?: boolean;
  /** As reconfigure does when it is told which NICs: the release of those selected is over. */
  readonly resumes?: boolean;
}

export function runPlan(
  environment: Environment,
  selection: Selection,
  options: PlanOptions,
): Promise<ExitCode> {
  return withReconciler(environment, async (found) => {
    const reconciler = options.resumes === true ? await assumingResumed(found, selection) : found;
    const view = await look(reconciler, await fetchMetadata(reconciler.provider), selection);
    const plan = withConfirmationsDue(view.plan, reconciler.config.daemon.removalConfirmations);
    const { failure } = view.reading;
    if (failure !== null) reconciler.log.warn({ problem: failure.message }, 'metadata unavailable');
    for (const { mac, message } of plan.problems) reconciler.log.error({ mac }, message);
    printPlan(environment.output, plan, view, options.json === true);
    if (options.check === true && plan.steps.length > 0) return EXIT.pending;
    return failure === null ? EXIT.ok : EXIT.degraded;
  });
}

function printPlan(output: Output, plan: Plan, { reading }: View, asJson: boolean): void {
  if (asJson) {
    const inSync = plan.steps.length === 0;
    output.json({ inSync, steps: plan.steps.map(entryOf), deferrals: plan.deferrals.map(deferralEntry) });
    return;
  }
  printSteps(output, plan.steps.map(entryOf));
  printDeferrals(output, plan.deferrals);
  printProblems(output, plan.problems);
  const source = reading.failure === null ? '' : ' (by the last good answer of the metadata)';
  output.line(
    plan.steps.length === 0
      ? `In sync: nothing to change${source}.`
      : `${count(plan.steps.length, 'step')} to do${source}; \`eni-agent reconfigure\` does them.`,
  );
}
