/** Nothing is withdrawn on one answer: as many equal ones as configured, at least a second apart (docs/decisions). */
import { setTimeout as delay } from 'node:timers/promises';
import type { Plan, Step } from '../model/plan.ts';
import { ANSWER_INTERVAL_MS, type AnswerCount, countAnswer } from './answers.ts';
import { type Looker, lookWhenReady, type ReadyView, type Selection, type View } from './look.ts';
import { fetchMetadata } from './reading.ts';

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
  const limit = needed + MAXIMUM_EXTRA_ANSWERS;
  const { reading } = first.view;
  let ready = first;
  let answers: AnswerCount | null =
    reading.failure === null ? countAnswer(null, reading.metadata, performance.now()) : null;
  for (let asked = 1; answers !== null && answers.count < needed && asked < limit; asked += 1) {
    if (!needsConfirmation(ready.view)) break;
    await delay(ANSWER_INTERVAL_MS);
    const fetched = await fetchMetadata(looker.provider);
    if ('failure' in fetched) break;
    answers = countAnswer(answers, fetched.metadata, performance.now());
    ready = await lookWhenReady(looker, fetched, selection);
  }
  return { ...ready, isConfirmed: (answers?.count ?? 0) >= needed };
}

function needsConfirmation({ plan, isClone }: View): boolean {
  return isClone || plan.steps.some(({ withdrawal }) => withdrawal);
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
