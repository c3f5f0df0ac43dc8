/** `boot`: one shot at boot. Applies, verifies, exits; never hangs past the timeout. */
import type { NetworkEvent } from '../model/events.ts';
import { entryOf } from '../plan/describe.ts';
import { boot } from '../reconcile/boot.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import { type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode, exitCodeOfOutcome } from './exit-codes.ts';
import type { Output } from './output.ts';
import { printDeferrals, printProblems, printSteps, printStorageProblem, printUndone } from './print-run.ts';
import { ringHooks } from './ring-hooks.ts';

export interface BootOptions {
  readonly timeoutMs: number;
}

/** A tenth of the timeout, at most this, is kept for the run that ends it: nothing is waited for in it. */
const LONGEST_RESERVE_MS = 1_000;

export async function runBoot(environment: Environment, { timeoutMs }: BootOptions): Promise<ExitCode> {
  const deadline = performance.now() + timeoutMs - Math.min(timeoutMs / 10, LONGEST_RESERVE_MS);
  let done: ExitCode | null = null;
  const watchdog = setTimeout(() => giveUp(environment, timeoutMs, done), timeoutMs);
  const stop = new AbortController();
  const onSigterm = (): void => stop.abort();
  process.once('SIGTERM', onSigterm);
  try {
    return await withReconciler(environment, async (reconciler, context) => {
      const { output } = environment;
      const all: NetworkEvent[] = [];
      const onRun = ({ steps, events }: ReconcileOutcome): void => {
        printSteps(output, steps.map(entryOf));
        all.push(...events);
      };
      try {
        const outcome = await boot(reconciler, { deadline, signal: stop.signal, onRun });
        printEnd(output, outcome);
        done = exitCodeOfOutcome(outcome.outcome);
        return done;
      } finally {
        await ringHooks(context, all);
      }
    });
  } finally {
    clearTimeout(watchdog);
    process.off('SIGTERM', onSigterm);
  }
}

/**
 * A run that hangs (the lock, the disk) is left where it is, as a kill would leave it: the next one goes on from there. `done`: what the
 * runs came to, when systemd alone is waited for, which is to take the hooks.
 */
function giveUp({ stderr }: Environment, timeoutMs: number, done: ExitCode | null): void {
  const within = `within ${timeoutMs / 1_000} s`;
  const problem =
    done === null
      ? `not done ${within}; what was begun is completed by the next run`
      : `systemd has not taken all hooks ${within}; those are not run, all else is done`;
  stderr.write(`eni-agent: booting: ${problem}\n`);
  // oxlint-disable-next-line unicorn/no-process-exit -- an error would have to wait for the very thing that hangs
  process.exit(done ?? EXIT.failed);
}

function printEnd(output: Output, outcome: ReconcileOutcome): void {
  const { deferrals, problems, metadataFailure, storageProblem } = outcome;
  printDeferrals(output, deferrals);
  printProblems(output, problems);
  printUndone(output, outcome);
  if (metadataFailure !== null) {
    output.line(output.style('yellow', `! by the last good answer: ${metadataFailure.message}`));
  }
  printStorageProblem(output, storageProblem);
  output.line(END[outcome.outcome]);
}

const END: Readonly<Record<ReconcileOutcome['outcome'], string>> = {
  'in-sync': 'The network is as it should be.',
  applied: 'The network is as it should be.',
  degraded: 'Degraded: something is not as it should be (see above).',
  'rolled-back': 'Degraded: what was tried did not hold and was rolled back (see above).',
  failed: 'Failed: nothing was changed (see above).',
};
