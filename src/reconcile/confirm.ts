/** Nothing is withdrawn on one answer: as many equal ones as configured, at least a second apart (docs/decisions). */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Plan, Step } from '../model/plan.ts';
import { type Looker, lookWhenReady, type ReadyView, type Selection } from './look.ts';
import { fetchMetadata } from './reading.ts';

/** CONTRACT: equal answers count when they are at least 1 s apart. */
const ANSWER_INTERVAL_MS = 1_000;
/** Answers that keep changing: what is not agreed on in this many is left for the next run. */
const MAXIMUM_EXTRA_ANSWERS = 10;

export interface Confirmed extends ReadyView {
  /** Enough answers were equal: withdrawals may be done. */
  readonly isConfirmed: boolean;
}

/** Reads again while the plan withdraws something, until enough answers agree or the metadata fails. */
export async function confirmWithdrawals(
  looker: Looker,
  first: ReadyView,
  selection: Selection,
): Promise<Confirmed> {
  const needed = looker.config.daemon.removalConfirmations;
  let ready = first;
  let answers = first.view.reading.failure === null ? 1 : 0;
  const limit = needed + MAXIMUM_EXTRA_ANSWERS;
  for (let asked = answers; hasWithdrawals(ready.view.plan) && answers < needed; asked += 1) {
    const { reading } = ready.view;
    if (reading.failure !== null || asked >= limit) break;
    await delay(ANSWER_INTERVAL_MS);
    const fetched = await fetchMetadata(looker.provider);
    if ('failure' in fetched) break;
    answers = isDeepStrictEqual(fetched.metadata, reading.metadata) ? answers + 1 : 1;
    ready = await lookWhenReady(looker, fetched, selection);
  }
  return { ...ready, isConfirmed: answers >= needed };
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
