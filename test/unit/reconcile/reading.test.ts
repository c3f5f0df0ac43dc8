import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import { fetchMetadata, readingOf, rememberedAnswer } from '../../../src/reconcile/reading.ts';
import { AT, eni, hostOf, instance, link, macOf } from '../builders.ts';

const PRIMARY = eni(1, '10.0.0.4/24', '10.0.0.1');
const SECOND = eni(2, '10.0.1.4/24', '10.0.1.1');
const GOOD = instance([PRIMARY, SECOND]);
const BROKEN: InstanceMetadata = {
  ...instance([PRIMARY]),
  invalid: [{ mac: macOf(2), problem: 'half of it' }],
};
const DOWN = new AgentError('metadata-unreachable', 'reading mac: timeout');

function hostWith(answer: InstanceMetadata | null, text: Parameters<typeof link>[2] = {}) {
  const state = { metadata: answer === null ? null : { readAt: AT, answer } };
  return hostOf({ links: [link(1, 'eth0', text)], state });
}

describe('a reading', () => {
  test('is the new answer when there is one', () => {
    expect(readingOf({ metadata: GOOD }, hostWith(BROKEN))).toEqual({ metadata: GOOD, failure: null });
  });

  test('is the last good answer when there is none, and says why', () => {
    expect(readingOf({ failure: DOWN }, hostWith(GOOD))).toEqual({ metadata: GOOD, failure: DOWN });
  });

  test('is a failure when there never was an answer: nothing is ever read as "no addresses"', () => {
    expect(() => readingOf({ failure: DOWN }, hostWith(null))).toThrow(
      /timeout; there is no earlier answer.*nothing was touched/,
    );
  });

  test.each([
    ['the answer of another machine (a cloned image) is none', { mac: macOf(7) }],
    ['nor is that of one whose MAC this one has merely taken', { permanentMac: macOf(7) }],
  ])('%s', (_, text) => {
    expect(() => readingOf({ failure: DOWN }, hostWith(GOOD, text))).toThrow(/another machine/);
  });

  test('by the last good answer trusts what was good before it broke', () => {
    const remembered = rememberedAnswer(BROKEN, GOOD);
    expect(readingOf({ failure: DOWN }, hostWith(remembered)).metadata).toEqual(GOOD);
  });
});

describe('what is remembered of an answer', () => {
  test.each<readonly [string, InstanceMetadata, InstanceMetadata | undefined, InstanceMetadata]>([
    ['is all of a good one', GOOD, BROKEN, GOOD],
    [
      'is the last good reading of a NIC beside its problem',
      BROKEN,
      GOOD,
      { ...GOOD, invalid: BROKEN.invalid },
    ],
    ['is the problem alone where there never was a good one', BROKEN, undefined, BROKEN],
    ['forgets a NIC that is listed no more', instance([PRIMARY]), GOOD, instance([PRIMARY])],
  ])('%s', (_, answer, before, expected) => {
    expect(rememberedAnswer(answer, before)).toEqual(expected);
  });

  test('survives one broken answer after another', () => {
    const twice = rememberedAnswer(BROKEN, rememberedAnswer(BROKEN, GOOD));
    expect(twice).toEqual({ ...GOOD, invalid: BROKEN.invalid });
  });
});

describe('fetching', () => {
  const provider = (fetch: () => Promise<InstanceMetadata>) => ({ name: 'file' as const, fetch }) as never;

  test('tells an answer from a failure of the metadata, and from a defect of ours', async () => {
    expect(await fetchMetadata(provider(async () => GOOD))).toEqual({ metadata: GOOD });
    expect(await fetchMetadata(provider(() => Promise.reject(DOWN)))).toEqual({ failure: DOWN });
    await expect(fetchMetadata(provider(() => Promise.reject(new TypeError('ours'))))).rejects.toThrow(
      'ours',
    );
  });
});
