/** Counts equal answers of the metadata: nothing is withdrawn on the word of one (CONTRACT: at least 1 s apart). */
import { isDeepStrictEqual } from 'node:util';
import type { InstanceMetadata } from '../model/metadata.ts';

export const ANSWER_INTERVAL_MS = 1_000;

export interface AnswerCount {
  readonly metadata: InstanceMetadata;
  /** Equal answers in a row, each at least ANSWER_INTERVAL_MS after the one counted before. */
  readonly count: number;
  /** When the last one was counted; milliseconds of a monotonic clock. */
  readonly countedAt: number;
}

/**
 * Whether they say the same. What is wrong with a NIC is worded by whichever of its keys failed first, and that is another one each time.
 */
export function isSameAnswer(one: InstanceMetadata, other: InstanceMetadata): boolean {
  return isDeepStrictEqual(withoutWords(one), withoutWords(other));
}

function withoutWords({ invalid, ...metadata }: InstanceMetadata) {
  return { ...metadata, invalid: invalid.map(({ mac }) => mac) };
}

export function countAnswer(
  before: AnswerCount | null,
  metadata: InstanceMetadata,
  now: number,
): AnswerCount {
  if (before === null || !isSameAnswer(before.metadata, metadata))
    return { metadata, count: 1, countedAt: now };
  return now - before.countedAt < ANSWER_INTERVAL_MS
    ? before
    : { metadata: before.metadata, count: before.count + 1, countedAt: now };
}
