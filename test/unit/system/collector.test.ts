import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCollector } from '../../../src/system/collector.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('what a burst of work left is collected once, when it has been quiet for five seconds', () => {
  const [collect, onCollected] = [vi.fn(), vi.fn()];
  const collector = createCollector(collect, onCollected);
  for (let second = 0; second < 60; second += 1) {
    collector.worked();
    vi.advanceTimersByTime(1_000);
  }
  expect(collect).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5_000);
  expect(collect).toHaveBeenCalledOnce();
  expect(onCollected).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(3_600_000);
  expect(collect).toHaveBeenCalledOnce();
});

test('work after a collection is followed by another one', () => {
  const collect = vi.fn();
  const collector = createCollector(collect, () => {});
  for (const _ of [1, 2]) {
    collector.worked();
    vi.advanceTimersByTime(5_000);
  }
  expect(collect).toHaveBeenCalledTimes(2);
});

test('a Node that cannot be asked to collect is not woken for it', () => {
  const onCollected = vi.fn();
  createCollector(undefined, onCollected).worked();
  expect(vi.getTimerCount()).toBe(0);
  expect(onCollected).not.toHaveBeenCalled();
});
