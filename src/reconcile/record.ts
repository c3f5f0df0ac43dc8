/** Writes a run down in the history. A disk that does not take it costs the run nothing but the record. Under the lock. */
import type { Log } from '../log.ts';
import type { Step } from '../model/plan.ts';
import type { LastRun } from '../model/state.ts';
import { entryOf } from '../plan/describe.ts';
import { appendHistory } from '../system/history-file.ts';
import type { Paths } from '../system/paths.ts';

export interface RunRecord {
  /** All that was to be done. */
  readonly tried: readonly Step[];
  /** Those of them that were done and stayed. */
  readonly done: readonly Step[];
  /** Why the disk does not even take the state, which is said already; null when it does. */
  readonly storageProblem: string | null;
}

/** Nothing for a run that found nothing to do. */
export async function recordRun(
  { paths, log }: { readonly paths: Paths; readonly log: Log },
  { at, trigger, outcome, durationMs, failures }: Omit<LastRun, 'steps'>,
  { tried, done, storageProblem }: RunRecord,
): Promise<void> {
  if (tried.length === 0) return;
  const kept = new Set(done);
  const problem = await appendHistory(paths, {
    at,
    trigger,
    outcome,
    durationMs,
    steps: done.map(entryOf),
    undone: tried.filter((step) => !kept.has(step)).map(entryOf),
    omitted: 0,
    problems: failures.map(({ mac, message }) => ({ mac, message })),
  });
  if (problem !== null && storageProblem === null) log.warn({ problem }, 'the run is not in the history');
}
