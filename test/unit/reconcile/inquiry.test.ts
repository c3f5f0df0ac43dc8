import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import { createInquiry } from '../../../src/reconcile/inquiry.ts';
import type { Fetched } from '../../../src/reconcile/reading.ts';
import { eni, instance, macOf } from '../builders.ts';

const ANSWER = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);
const EARLIER = { metadata: ANSWER };
const FAILURE = new AgentError('metadata-unreachable', 'reading the instance metadata: HTTP 503');

const INTERVAL_MS = 10_000;

/** A metadata service whose answers are given by hand. */
function openInquiry() {
  const answers: { resolve: (answer: InstanceMetadata) => void; reject: (error: AgentError) => void }[] = [];
  let retryAfterMs = 0;
  const provider: Pick<MetadataProvider, 'refresh' | 'retryAfterMs'> = {
    refresh: () => new Promise((resolve, reject) => answers.push({ resolve, reject })),
    retryAfterMs: () => retryAfterMs,
  };
  let rung = 0;
  const ring = (): void => {
    rung += 1;
  };
  const inquiry = createInquiry(ring, () => 0);
  const ask = (known: Fetched | null, bringsNews = false): Promise<Fetched> =>
    inquiry.ask({ provider: provider as MetadataProvider, known, bringsNews, longestPauseMs: INTERVAL_MS });
  const fail = (number: number): void => answers[number]?.reject(FAILURE);
  return {
    ask,
    answer: (number: number) => answers[number]?.resolve(ANSWER),
    fail,
    /** Asked, and it fails at once. */
    askInVain: (known: Fetched | null, bringsNews = false) => {
      const asking = ask(known, bringsNews);
      fail(answers.length - 1);
      return asking;
    },
    askToWait: (ms: number) => {
      retryAfterMs = ms;
    },
    asked: () => answers.length,
    rung: () => rung,
    forget: () => inquiry.forget(),
  };
}

test('where nothing is known the answer is waited for', async () => {
  const { ask, answer } = openInquiry();
  setTimeout(() => answer(0), 300);
  expect(await ask(null)).toEqual(EARLIER);
});

test('an answer that takes long rings when it is there, and is asked for once', async () => {
  const { ask, answer, asked, rung } = openInquiry();
  expect(await ask(EARLIER)).toBe(EARLIER);
  expect(await ask(EARLIER)).toBe(EARLIER);
  expect(rung()).toBe(0);
  answer(0);
  await expect.poll(rung).toBeGreaterThan(0);
  expect(await ask(EARLIER)).not.toBe(EARLIER);
  expect(asked()).toBe(1);
});

test('whoever rings meanwhile is asked for once more', async () => {
  const { ask, answer, rung } = openInquiry();
  await ask(EARLIER);
  await ask(EARLIER, true);
  answer(0);
  await expect.poll(rung).toBeGreaterThan(0);
  const before = rung();
  await ask(EARLIER);
  expect(rung()).toBe(before + 1);
});

test('whom the caller expects to be new the provider is told', async () => {
  const told: unknown[] = [];
  const refresh = async (expected: unknown): Promise<InstanceMetadata> => {
    told.push(await expected);
    return ANSWER;
  };
  const provider = { refresh, retryAfterMs: () => 0 } as unknown as MetadataProvider;
  const question = { provider, known: null, bringsNews: true, longestPauseMs: INTERVAL_MS };
  const inquiry = createInquiry(() => undefined);
  await inquiry.ask({ ...question, expected: Promise.resolve([macOf(2)]) });
  await inquiry.ask(question);
  expect(told).toEqual([[macOf(2)], undefined]);
});

test('the answer of a provider that is none any more is dropped', async () => {
  const { ask, answer, asked, rung, forget } = openInquiry();
  await ask(EARLIER);
  forget();
  answer(0);
  const asking = ask(EARLIER);
  answer(1);
  expect(await asking).not.toBe(EARLIER);
  expect([asked(), rung()]).toEqual([2, 0]);
});

describe('a service that fails', () => {
  function useFakeClock(): void {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
  }

  test('is asked again after a second, then after twice as long each time, and at the interval at last', async () => {
    useFakeClock();
    const { askInVain, ask, asked, rung } = openInquiry();
    let known = await askInVain(null);
    for (const [index, pauseMs] of [750, 1_500, 3_000, 6_000, 7_500, 7_500].entries()) {
      vi.advanceTimersByTime(pauseMs - 1);
      expect(await ask(known)).toBe(known);
      expect([asked(), rung()], `pause ${index}`).toEqual([index + 1, index]);
      vi.advanceTimersByTime(1);
      expect(rung(), `pause ${index}`).toBe(index + 1);
      known = await askInVain(known);
      expect(asked()).toBe(index + 2);
    }
  });

  test('is asked at once for who brings news, and the pause begins anew when it has answered', async () => {
    useFakeClock();
    const { askInVain, ask, answer, asked, rung } = openInquiry();
    const failed = await askInVain(null);
    await askInVain(failed, true);
    expect(asked()).toBe(2);
    vi.advanceTimersByTime(1_500);
    expect(rung()).toBe(1);
    const asking = ask(failed);
    answer(2);
    expect(await asking).toEqual(EARLIER);
    vi.advanceTimersByTime(60_000);
    expect(rung()).toBe(1);
    await askInVain(EARLIER);
    vi.advanceTimersByTime(1_000);
    expect(rung()).toBe(2);
  });

  test('is left alone for as long as it asked for, also by who brings news', async () => {
    useFakeClock();
    const { askInVain, askToWait, ask, asked, rung } = openInquiry();
    askToWait(30_000);
    const failed = await askInVain(null);
    vi.advanceTimersByTime(20_000);
    askToWait(10_000);
    expect(await ask(failed, true)).toBe(failed);
    expect([asked(), rung()]).toEqual([1, 0]);
    vi.advanceTimersByTime(10_000);
    expect(rung()).toBe(1);
    askToWait(0);
    await askInVain(failed);
    expect(asked()).toBe(2);
  });

  test('rings no more when nobody wants to know', async () => {
    useFakeClock();
    const { askInVain, forget, rung } = openInquiry();
    await askInVain(null);
    forget();
    vi.advanceTimersByTime(60_000);
    expect(rung()).toBe(0);
  });
});
