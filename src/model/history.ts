/** What is remembered of a run that changed something, or tried to. */
import type { StepEntry } from './plan.ts';
import type { Outcome, Trigger } from './state.ts';

export interface HistoryRun {
  /** ISO time at which it began. */
  readonly at: string;
  readonly trigger: Trigger;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Those that were done and stayed. */
  readonly steps: readonly StepEntry[];
  /** Those that were tried and are undone again. */
  readonly undone: readonly StepEntry[];
  /** Steps of both kinds for which there was no room. */
  readonly omitted: number;
  /** What went wrong, per NIC. */
  readonly problems: readonly { readonly mac: string; readonly message: string }[];
}
