import { expect, test } from 'vitest';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import { createInquiry } from '../../../src/reconcile/inquiry.ts';
import { eni, instance } from '../builders.ts';

const ANSWER = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);
const EARLIER = { metadata: ANSWER };

/** A metadata service whose answers are given by hand. */
function openInquiry() {
  const answers: ((answer: InstanceMetadata) => void)[] = [];
  const provider: Pick<MetadataProvider, 'fetch'> = {
    fetch: () => new Promise((resolve) => answers.push(resolve)),
  };
  let rung = 0;
  const inquiry = createInquiry(() => {
    rung += 1;
  });
  return {
    ask: (known: typeof EARLIER | null, bringsNews = false) =>
      inquiry.ask(provider as MetadataProvider, known, bringsNews),
    answer: (number: number) => answers[number]?.(ANSWER),
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
