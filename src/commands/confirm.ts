/** `reconfigure --confirm` and `--commit`: a change that is rolled back unless somebody who is still there says so. */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { AgentError } from '../errors.ts';
import type { NetworkEvent } from '../model/events.ts';
import type { Selection } from '../reconcile/look.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { assumingResumed, resumeSelected } from '../reconcile/release.ts';
import { commitTrial, type TrialRequest } from '../reconcile/trial.ts';
import { connectControl } from '../system/control-client.ts';
import { startDetached } from '../system/detached.ts';
import { createPaths, type Paths } from '../system/paths.ts';
import { readTrusted } from '../system/trust.ts';
import { type Context, createContext, digest, type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type OutcomeDocument, toDocument } from './outcome-document.ts';
import { type Output, printError } from './output.ts';
import { confirmationDue } from './print-run.ts';
import { ringHooks } from './ring-hooks.ts';

/** By this process, also where the daemon runs: the configuration that is tried is ours, and the daemon holds still meanwhile. */
export function tryOut(
  environment: Environment,
  selection: Selection,
  all: boolean,
  confirmMs: number,
): Promise<OutcomeDocument> {
  return withReconciler(environment, async (reconciler, context) => {
    const resumes = all || selection !== null;
    const resumed = resumes ? await assumingResumed(reconciler, selection) : reconciler;
    const trial = await makeRequest(environment, context, confirmMs);
    const outcome = await reconcile(resumed, { trigger: 'command', selection, trial });
    // Hooks hear of it from runCommit().
    // Nothing to confirm, and so nothing to take back: the end of a release is final.
    if (resumes && outcome.outcome === 'in-sync') await resumeSelected(reconciler, selection);
    return toDocument(outcome);
  });
}

async function makeRequest(
  { options }: Environment,
  { paths, text }: Context,
  confirmMs: number,
): Promise<TrialRequest> {
  const id = randomUUID();
  const isStanding =
    options.config === undefined || paths.below(path.resolve(options.config)) === paths.config;
  const standing = isStanding
    ? text
    : ((await readTrusted(paths.config, paths.root))?.toString('utf8') ?? '');
  const [script = '', ...rest] = [process.argv[1], '--root', paths.root, 'guard', id];
  const command = [process.execPath, ...process.execArgv, script, ...rest] as const;
  let guardian: Promise<void> | undefined;
  return {
    id,
    confirmMs,
    configuration: isStanding ? null : text,
    standing: digest(standing),
    startGuardian: () => {
      guardian ??= startDetached({ name: `eni-agent-confirm-${id}`, command, paths });
      return guardian;
    },
  };
}

/** Whoever can still say it is not cut off. */
export async function runCommit(
  environment: Environment,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const { options, output } = environment;
  const paths = createPaths(options.root);
  const { configuration, events } = await commitTrial(paths, () => reloadDaemon(paths));
  if (json === true) output.json({ committed: true, configuration });
  else {
    const where = configuration === null ? '' : `; its configuration is now ${configuration}`;
    output.line(`Confirmed: the change stays${where}.`);
  }
  await ringConfirmed(environment, events);
  return EXIT.ok;
}

/** What is confirmed stays so, whatever the configuration has become meanwhile. */
async function ringConfirmed(environment: Environment, events: readonly NetworkEvent[]): Promise<void> {
  if (events.length === 0) return;
  try {
    await ringHooks(await createContext(environment), events);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    printError(environment.stderr, `running hooks: ${error.message}`);
  }
}

/** One that does not answer, or is of a version that cannot be told, hears of the file by itself. */
async function reloadDaemon({ control }: Paths): Promise<void> {
  try {
    await (await connectControl(control))?.reload();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
}

export async function printConfirmation(
  environment: Environment,
  output: Output,
  { confirmBy, outcome }: OutcomeDocument,
): Promise<void> {
  if (confirmBy !== null) return output.line(output.style('yellow', confirmationDue(confirmBy)));
  if (outcome !== 'in-sync') return;
  output.line('So there is nothing to confirm.');
  const { root, config } = environment.options;
  if (config !== undefined || (await connectControl(createPaths(root).control)) === null) return;
  output.line(
    'The daemon applies the configuration as soon as it is saved. To try one first, save it elsewhere: `eni-agent --config FILE reconfigure --confirm 60s`.',
  );
}
