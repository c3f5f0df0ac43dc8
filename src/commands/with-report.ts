/** Where a status report comes from. */
import { connectControl } from '../system/control-client.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { parseReport, type Report } from './report.ts';

/** The daemon's word when there is one: then everything else that a look takes need not even be loaded. */
export async function withReport<T>(environment: Environment, use: (report: Report) => T): Promise<T> {
  const daemon = await connectControl(createPaths(environment.options.root).control);
  if (daemon !== null) return use(parseReport(await daemon.status()));
  const [{ withReconciler }, { makeReport }] = await Promise.all([
    import('./context.ts'),
    import('./make-report.ts'),
  ]);
  return withReconciler(environment, async (reconciler) => use(await makeReport(reconciler, null)));
}
