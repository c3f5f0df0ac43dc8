/** `release`: all that the agent owns on a NIC is given back, and the NIC is left alone from then on. */
import { entryOf } from '../plan/describe.ts';
import type { Selection } from '../reconcile/look.ts';
import { lookReleased, releaseSelected } from '../reconcile/release.ts';
import { connectControl } from '../system/control-client.ts';
import { createContext, type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode, exitCodeOfOutcome } from './exit-codes.ts';
import { parseReleased, type ReleasedDocument, toReleased } from './outcome-document.ts';
import type { Output } from './output.ts';
import { count, printProblems, printSteps, printStorageProblem } from './print-run.ts';
import { ringHooks } from './ring-hooks.ts';

export interface ReleaseOptions {
  readonly dryRun?: boolean;
}

/** `selection`: null for all NICs. */
export async function runRelease(
  environment: Environment,
  selection: Selection,
  { dryRun }: ReleaseOptions,
): Promise<ExitCode> {
  if (dryRun === true) return showRelease(environment, selection);
  const result = await release(environment, selection);
  printRelease(environment.output, result);
  return exitCodeOfRelease(result);
}

function showRelease(environment: Environment, selection: Selection): Promise<ExitCode> {
  const { output } = environment;
  return withReconciler(environment, async (reconciler) => {
    const { steps } = (await lookReleased(reconciler, selection)).plan;
    printSteps(output, steps.map(entryOf));
    output.line(`${count(steps.length, 'step')} to do; without --dry-run they are done and remembered.`);
    return EXIT.ok;
  });
}

async function release(environment: Environment, selection: Selection): Promise<ReleasedDocument> {
  const { paths } = await createContext(environment);
  const daemon = await connectControl(paths.control);
  if (daemon !== null) return parseReleased(await daemon.release({ selection, dryRun: false }));
  return withReconciler(environment, async (reconciler, context) => {
    const released = await releaseSelected(reconciler, selection);
    await ringHooks(context, released.outcome.events);
    return toReleased(released);
  });
}

/** Without an answer of the metadata a run is degraded, but what was ours can be given back all the same. */
function exitCodeOfRelease({ outcome: { outcome, ...result } }: ReleasedDocument): ExitCode {
  const isDone = result.problems.length === 0 && result.held.length === 0 && result.storageProblem === null;
  return isDone ? EXIT.ok : exitCodeOfOutcome(outcome);
}

function printRelease(output: Output, result: ReleasedDocument): void {
  const { names, outcome } = result;
  const { steps, problems, durationMs } = outcome;
  printSteps(output, steps);
  printProblems(output, problems);
  printStorageProblem(output, outcome.storageProblem);
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
