/** The outcome of a run as one JSON document: what `reconfigure --json` prints, and what the daemon answers. */
import * as v from 'valibot';
import { OUTCOMES } from '../model/state.ts';
import { entryOf } from '../plan/describe.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import type { Release } from '../reconcile/release.ts';
import { parseAnswer } from '../system/control-client.ts';
import { STEP_ENTRY } from '../system/step-schema.ts';

const outcomeDocument = v.object({
  outcome: v.picklist(OUTCOMES),
  steps: v.array(STEP_ENTRY),
  held: v.array(STEP_ENTRY),
  lapsed: v.array(STEP_ENTRY),
  deferrals: v.array(
    v.object({ mac: v.string(), ifname: v.nullable(v.string()), reason: v.string(), detail: v.string() }),
  ),
  problems: v.array(v.object({ mac: v.string(), message: v.string() })),
  metadataProblem: v.nullable(v.string()),
  storageProblem: v.nullable(v.string()),
  confirmBy: v.nullable(v.string()),
  durationMs: v.number(),
});

export type OutcomeDocument = v.InferOutput<typeof outcomeDocument>;

export function toDocument(result: ReconcileOutcome): OutcomeDocument {
  const { outcome, steps, held, lapsed, deferrals, problems, durationMs } = result;
  const { metadataFailure, storageProblem, confirmBy } = result;
  return {
    outcome,
    steps: steps.map(entryOf),
    held: held.map(entryOf),
    lapsed: lapsed.map(entryOf),
    deferrals: [...deferrals],
    problems: problems.map(({ mac, message }) => ({ mac, message })),
    metadataProblem: metadataFailure?.message ?? null,
    storageProblem,
    confirmBy,
    durationMs,
  };
}

const releasedDocument = v.object({ names: v.array(v.string()), outcome: outcomeDocument });

/** What `release` came to: the names of the NICs, and the outcome of the run that cleared them. */
export type ReleasedDocument = v.InferOutput<typeof releasedDocument>;

export function toReleased({ names, outcome }: Release): ReleasedDocument {
  return { names: [...names], outcome: toDocument(outcome) };
}

export function parseDocument(answer: unknown): OutcomeDocument {
  return parseAnswer(outcomeDocument, answer);
}

export function parseReleased(answer: unknown): ReleasedDocument {
  return parseAnswer(releasedDocument, answer);
}
