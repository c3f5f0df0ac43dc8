/** `release`: all that the agent owns on a NIC is given back, and the NIC is left alone from then on. */
import type { Selection } from '../reconcile/look.ts';
import { lookReleased, type Release, releaseSelected, resumeSelected } from '../reconcile/release.ts';
import { type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode, exitCodeOfOutcome } from './exit-codes.ts';
import { count, type Output, printProblems, printSteps } from './output.ts';

export interface ReleaseOptions {
  readonly dryRun?: boolean;
}

/** `selection`: null for all NICs. */
export function runRelease(
  environment: Environment,
  selection: Selection,
  { dryRun }: ReleaseOptions,
): Promise<ExitCode> {
  const { output } = environment;
  return withReconciler(environment, async (reconciler) => {
    if (dryRun === true) {
      const { steps } = (await lookReleased(reconciler, selection)).plan;
      printSteps(output, steps);
      output.line(`${count(steps.length, 'step')} to do; without --dry-run they are done and remembered.`);
      return EXIT.ok;
    }
    const result = await releaseSelected(reconciler, selection);
    printRelease(output, result);
    return exitCodeOfRelease(result);
  });
}

/** Before reconfigure: the release of the selected NICs is over. */
export function runResume(environment: Environment, selection: Selection): Promise<void> {
  return withReconciler(environment, (reconciler) => resumeSelected(reconciler, selection));
}

/** Without an answer of the metadata a run is degraded, but what was ours can be given back all the same. */
function exitCodeOfRelease({ outcome: { outcome, problems, held } }: Release): ExitCode {
  return problems.length === 0 && held.length === 0 ? EXIT.ok : exitCodeOfOutcome(outcome);
}

function printRelease(output: Output, result: Release): void {
  const { names, outcome } = result;
  const { steps, problems, durationMs } = outcome;
  printSteps(output, steps);
  printProblems(output, problems);
  const who = names.join(', ');
  if (exitCodeOfRelease(result) !== EXIT.ok) {
    const again = 'what is left is tried again by every run, `eni-agent reconfigure` is one';
    return output.line(
      output.style('red', `Released ${who}, but not everything could be given back: ${again}.`),
    );
  }
  const done =
    steps.length === 0
      ? 'nothing of ours was there'
      : `${count(steps.length, 'step')} done and verified in ${durationMs} ms`;
  const [only, ...others] = names;
  const back = `\`eni-agent reconfigure ${others.length === 0 ? only : '--all'}\` takes ${others.length === 0 ? 'it' : 'them'} back`;
  output.line(`Released ${who}: ${done}; ${back}.`);
}
