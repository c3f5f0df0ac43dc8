/** What a run came to, in the words and numbers of the contract. */
import type { AgentError } from '../errors.ts';
import type { Deferral, DeferralReason, NicProblem } from '../model/desired.ts';
import type { NetworkEvent } from '../model/events.ts';
import type { MacAddress } from '../model/net.ts';
import type { Plan, Step } from '../model/plan.ts';
import type { Outcome } from '../model/state.ts';

export interface ReconcileOutcome {
  readonly outcome: Outcome;
  /** Those that were done and stayed. */
  readonly steps: readonly Step[];
  /** Not done: removals that the metadata did not confirm yet, and what somebody else keeps undoing. */
  readonly held: readonly Step[];
  /** Not done: it was rolled back before, since nobody confirmed it. */
  readonly lapsed: readonly Step[];
  readonly deferrals: readonly Deferral[];
  /** What failed, per NIC. */
  readonly problems: readonly NicProblem[];
  /** Why the run went by the last good answer; null when the metadata answered. */
  readonly metadataFailure: AgentError | null;
  /** Why the disk does not have the state; null when it does, or nothing had to be written. */
  readonly storageProblem: string | null;
  /** ISO time at which what was done is rolled back unless it is confirmed; null for what stays. */
  readonly confirmBy: string | null;
  /** For the operator's hooks. */
  readonly events: readonly NetworkEvent[];
  readonly durationMs: number;
}

/** Deferrals that are not as they should be; `no-link no-metadata not-ready` are merely pending, the rest is somebody's wish. */
const DEGRADING: ReadonlySet<DeferralReason> = new Set<DeferralReason>(['invalid-metadata', 'table-in-use']);
export function isDegrading({ reason }: Deferral): boolean {
  return DEGRADING.has(reason);
}

export function judge(
  result: Omit<ReconcileOutcome, 'outcome' | 'confirmBy' | 'events' | 'durationMs'>,
): Outcome {
  const isDegraded =
    result.problems.length > 0 ||
    result.lapsed.length > 0 ||
    result.metadataFailure !== null ||
    result.deferrals.some(isDegrading);
  if (isDegraded) return 'degraded';
  return result.steps.length > 0 ? 'applied' : 'in-sync';
}

/** What the network is, it is; but a reboot or a detach may find less than there was. */
export function withStorageProblem<R extends Pick<ReconcileOutcome, 'outcome' | 'storageProblem'>>(
  result: R,
  storageProblem: string | null,
): R {
  if (storageProblem === null) return result;
  const isGood = result.outcome === 'in-sync' || result.outcome === 'applied';
  return { ...result, storageProblem, ...(isGood ? { outcome: 'degraded' } : {}) };
}

/**
 * The NICs that are better left alone for a while: what was tried with them failed. Not for what their plan says anyway, nor for
 * marks or files alone: what the kernel needs must not wait for those.
 */
export function failedNics(
  problems: readonly NicProblem[],
  plan: Pick<Plan, 'problems'>,
): ReadonlySet<MacAddress> {
  const standing = new Set(plan.problems.map(({ message }) => message));
  const tried = problems.filter(
    ({ message, isAboutMarks, isAboutFiles }) =>
      isAboutMarks !== true && isAboutFiles !== true && !standing.has(message),
  );
  return new Set(tried.map(({ mac }) => mac));
}
