/** `status`: what is, what should be, and what is in between. By the last good answer; the metadata is never asked. */

import type { OverallState } from '../reconcile/status.ts';
import { connectControl } from '../system/control-client.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { printReport } from './print-report.ts';
import { parseReport, type Report } from './report.ts';

export interface StatusOptions {
  readonly json?: boolean;
  /** Again whenever something changed; needs the daemon. */
  readonly watch?: boolean;
}

export async function runStatus(environment: Environment, { json, watch }: StatusOptions): Promise<ExitCode> {
  if (watch === true) return (await import('./watch.ts')).runWatch(environment, json === true);
  return withReport(environment, (report) => {
    if (json === true) environment.output.json(report);
    else printReport(environment.output, report);
    return exitCodeOfState(report.state);
  });
}

/** The daemon's word when there is one: then everything else that a look takes need not even be loaded. */
async function withReport<T>(environment: Environment, use: (report: Report) => T): Promise<T> {
  const daemon = await connectControl(createPaths(environment.options.root).control);
  if (daemon !== null) return use(parseReport(await daemon.status()));
  const [{ withReconciler }, { makeReport }] = await Promise.all([
    import('./context.ts'),
    import('./make-report.ts'),
  ]);
  return withReconciler(environment, async (reconciler) => use(await makeReport(reconciler, null)));
}

function exitCodeOfState(state: OverallState): ExitCode {
  if (state === 'failed') return EXIT.failed;
  return state === 'degraded' ? EXIT.degraded : EXIT.ok;
}
