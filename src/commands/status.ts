/** `status`: what is, what should be, and what is in between. By the last good answer; the metadata is never asked. */

import type { OverallState } from '../reconcile/status.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { printReport } from './print-report.ts';
import { withReport } from './with-report.ts';

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

function exitCodeOfState(state: OverallState): ExitCode {
  if (state === 'failed') return EXIT.failed;
  return state === 'degraded' ? EXIT.degraded : EXIT.ok;
}
