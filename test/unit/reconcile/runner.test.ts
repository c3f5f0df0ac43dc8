import { expect, test } from 'vitest';
import { createRunner } from '../../../src/reconcile/runner.ts';

/** A run that lasts until it is let go. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

test('what rings while a run is under way makes one more run, with all that rang', async () => {
  const first = gate();
  const seen: string[][] = [];
  const runner = createRunner<string>(async (triggers) => {
    seen.push([...triggers]);
    if (seen.length === 1) await first.passed;
  });
  runner.ring('timer');
  await Promise.resolve();
  await Promise.resolve();
  for (const trigger of ['link', 'kernel', 'link']) runner.ring(trigger);
  first.open();
  await runner.exclusive(async () => {});
  expect(seen).toEqual([['timer'], ['link', 'kernel']]);
});

test('runs and exclusive work never overlap, and a failure of the work stops nobody', async () => {
  let busy = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    busy += 1;
    most = Math.max(most, busy);
    await new Promise((resolve) => setImmediate(resolve));
    busy -= 1;
  };
  const runner = createRunner<string>(work);
  const failing = runner.exclusive(async () => {
    await work();
    throw new Error('no');
  });
  for (let index = 0; index < 20; index += 1) {
    runner.ring('link');
    await runner.exclusive(work);
  }
  await expect(failing).rejects.toThrow('no');
  expect(most).toBe(1);
});

test('after stop nothing runs any more, and stop waits for what is under way', async () => {
  const under = gate();
  let runs = 0;
  const runner = createRunner<string>(async () => {
    runs += 1;
    await under.passed;
  });
  runner.ring('link');
  await Promise.resolve();
  await Promise.resolve();
  let isStopped = false;
  const stopping = (async () => {
    await runner.stop();
    isStopped = true;
  })();
  runner.ring('link');
  await Promise.resolve();
  expect(isStopped).toBe(false);
  under.open();
  await stopping;
  runner.ring('link');
  await Promise.resolve();
  expect(runs).toBe(1);
});
