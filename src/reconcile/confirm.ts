/** Nothing is withdrawn on one answer: as many equal ones as configured, at least a second apart (docs/decisions). */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Plan, Step } from '../model/plan.ts';
import { type Looker, lookWhenReady, type Selection, type View } from './look.ts';
import { fetchMetadata } from './reading.ts';

/** CONTRACT: equal answers count when they are at least 1 s apart. */
const ANSWER_INTERVAL_MS = 1_000;
/** Answers that keep changing: what is not agreed on in this many is left for the next run. */
const MAXIMUM_EXTRA_ANSWERS = 10;

export interface Confirmed {
  readonly view: View;
  /** The withdrawals of the view may be done. */
  readonly isConfirmed: boolean;
}

/** Reads again while the plan withdraws something, until enough answers agree or the metadata fails. */
export async function confirmWithdrawals(
  looker: Looker,
  first: View,
  selection: Selection,
): Promise<Confirmed> {
  const needed = looker.config.daemon.removalConfirmations;
  let view = first;
  let answers = view.reading.failure === null ? 1 : 0;
  const limit = needed + MAXIMUM_EXTRA_ANSWERS;
  for (let asked = answers; hasWithdrawals(view.plan) && answers < needed; asked += 1) {
    if (view.reading.failure !== null || asked >= limit) return { view, isConfirmed: false };
    await delay(ANSWER_INTERVAL_MS);
    const fetched = await fetchMetadata(looker.provider);
    if ('failure' in fetched) return { view, isConfirmed: false };
    answers = isDeepStrictEqual(fetched.metadata, view.reading.metadata) ? answers + 1 : 1;
    view = await lookWhenReady(looker, fetched, selection);
  }
  return { view, isConfirmed: true };
}

function hasWithdrawals({ steps }: Plan): boolean {
  return steps.some(({ withdrawal }) => withdrawal);
}

/** The same plan, whose removals say that one answer is not enough for them. */
export function withConfirmationsDue(plan: Plan, needed: number): Plan {
  if (needed <= 1) return plan;
  const note = `; done when ${needed} equal answers say so, this is the first`;
  const steps = plan.steps.map(
    (step): Step => (step.withdrawal ? { ...step, reason: step.reason + note } : step),
  );
  return { ...plan, steps };
}
