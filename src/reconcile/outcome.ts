/** What a run came to, in the words and numbers of the contract. */
import type { AgentError } from '../errors.ts';
import type { Deferral, DeferralReason, NicProblem } from '../model/desired.ts';
import type { Step } from '../model/plan.ts';
import type { Outcome } from '../model/state.ts';

export interface ReconcileOutcome {
  readonly outcome: Outcome;
  /** Those that were done and stayed. */
  readonly steps: readonly Step[];
  /** Not done: removals that the metadata did not confirm yet, and what somebody else keeps undoing. */
  readonly held: readonly Step[];
  readonly deferrals: readonly Deferral[];
  /** What failed, per NIC. */
  readonly problems: readonly NicProblem[];
  /** Why the run went by the last good answer; null when the metadata answered. */
  readonly metadataFailure: AgentError | null;
  readonly durationMs: number;
}

/** Deferrals that are not as they should be; `no-link no-metadata not-ready` are merely pending, the rest is somebody's wish. */
const DEGRADING: ReadonlySet<DeferralReason> = new Set<DeferralReason>(['invalid-metadata', 'table-in-use']);
export function isDegrading({ reason }: Deferral): boolean {
  return DEGRADING.has(reason);
}

export function judge(result: Omit<ReconcileOutcome, 'outcome' | 'durationMs'>): Outcome {
  const isDegraded =
    result.problems.length > 0 || result.metadataFailure !== null || result.deferrals.some(isDegrading);
  if (isDegraded) return 'degraded';
  return result.steps.length > 0 ? 'applied' : 'in-sync';
}
