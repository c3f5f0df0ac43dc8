/** Writes a run down in the history. A disk that does not take it costs the run nothing but the record. Under the lock. */
import type { Log } from '../log.ts';
import type { HistoryRun } from '../model/history.ts';
import type { Step } from '../model/plan.ts';
import { entryOf } from '../plan/describe.ts';
import { appendHistory } from '../system/history-file.ts';
import type { Paths } from '../system/paths.ts';

export interface RunRecord
  extends Pick<HistoryRun, 'at' | 'trigger' | 'outcome' | 'durationMs' | 'problems'> {
  /** All that was to be done. */
  readonly tried: readonly Step[];
  /** Those of them that were done and stayed. */
  readonly done: readonly Step[];
}

/** Nothing for a run that found nothing to do. */
export async function recordRun(
  { paths, log }: { readonly paths: Paths; readonly log: Log },
  { tried, done, problems, ...run }: RunRecord,
): Promise<void> {
  if (tried.length === 0) return;
  const kept = new Set(done);
  const problem = await appendHistory(paths, {
    ...run,
    steps: done.map(entryOf),
    undone: tried.filter((step) => !kept.has(step)).map(entryOf),
    omitted: 0,
    problems: problems.map(({ mac, message }) => ({ mac, message })),
  });
  if (problem !== null) log.warn({ problem }, 'the run is not in the history');
}
