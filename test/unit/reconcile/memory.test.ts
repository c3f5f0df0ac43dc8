/** What the daemon remembers from one run to the next. */
import { describe, expect, test } from 'vitest';
import { type AnswerCount, countAnswer } from '../../../src/reconcile/answers.ts';
import { createBackoff } from '../../../src/reconcile/backoff.ts';
import { createLagTracker } from '../../../src/reconcile/lag.ts';
import { eni, instance, link, macOf, otherLink } from '../builders.ts';

const ONE = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);
const TWO = instance([eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1')]);

describe('equal answers', () => {
  test('are counted at least a second apart', () => {
    const times = [0, 400, 999, 1000, 1500, 2000];
    let answers: AnswerCount | null = null;
    const counts = times.map((now) => {
      answers = countAnswer(answers, structuredClone(ONE), now);
      return answers.count;
    });
    expect(counts).toEqual([1, 1, 1, 2, 2, 3]);
  });

  test('begin anew when one differs', () => {
    const twice = countAnswer(countAnswer(null, ONE, 0), ONE, 1000);
    expect(twice.count).toBe(2);
    const other = countAnswer(twice, TWO, 2000);
    expect(other.count).toBe(1);
    expect(countAnswer(other, ONE, 3000).count).toBe(1);
  });
});

describe('a NIC that fails', () => {
  test('is left alone for 1 s, then twice as long each time, at most a minute', () => {
    const backoff = createBackoff();
    const delays = Array.from({ length: 9 }, () => {
      backoff.failed(macOf(2), 0);
      return backoff.nextDelay(0);
    });
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(backoff.paused(59_999)).toEqual(new Set([macOf(2)]));
    expect(backoff.paused(60_000)).toEqual(new Set());
    expect(backoff.nextDelay(60_000)).toBeNull();
  });

  test('is tried at once when it worked in between, or when something has changed', () => {
    const backoff = createBackoff();
    backoff.failed(macOf(2), 0);
    backoff.failed(macOf(2), 0);
    backoff.worked(macOf(2));
    expect(backoff.paused(0)).toEqual(new Set());
    backoff.failed(macOf(2), 0);
    expect(backoff.nextDelay(0)).toBe(1000);
    backoff.forget();
    expect(backoff.paused(0)).toEqual(new Set());
  });
});

describe('a link that the metadata does not list', () => {
  const eth0 = link(1, 'eth0');
  const eth1 = link(2, 'eth1');

  test('is waited for while it is new, and only then', () => {
    const tracker = createLagTracker();
    tracker.update([eth0], ONE, 0);
    expect(tracker.update([eth0, eth1], ONE, 1000).newcomers).toEqual(new Set([macOf(2)]));
    expect(tracker.update([eth0, eth1], ONE, 60_999).newcomers).toEqual(new Set([macOf(2)]));
    expect(tracker.update([eth0, eth1], ONE, 61_000).newcomers).toEqual(new Set());
  });

  test('is no newcomer when it was there at the first look, when it is listed, or when it is a port of a bridge', () => {
    const tracker = createLagTracker();
    expect(tracker.update([eth0, otherLink(20, 'docker0')], ONE, 0).newcomers).toEqual(new Set());
    const listed = instance([...ONE.nics, eni(2, '10.0.1.4/24', '10.0.1.1')]);
    expect(tracker.update([eth0, eth1], listed, 1000).newcomers).toEqual(new Set());
    const port = { ...link(7, 'veth7'), masterIndex: 20 };
    expect(tracker.update([eth0, port], ONE, 1000).newcomers).toEqual(new Set());
  });

  test('is new again when it comes back', () => {
    const tracker = createLagTracker();
    tracker.update([eth0, eth1], ONE, 0);
    tracker.update([eth0], ONE, 100_000);
    expect(tracker.update([eth0, eth1], ONE, 100_500).newcomers).toEqual(new Set([macOf(2)]));
  });
});

describe('a link that went and that the metadata still lists', () => {
  const eth0 = link(1, 'eth0');
  const eth1 = link(2, 'eth1');
  const listed = instance([...ONE.nics, eni(2, '10.0.1.4/24', '10.0.1.1')]);

  test('is expected to be left out for a minute', () => {
    const tracker = createLagTracker();
    tracker.update([eth0, eth1], listed, 0);
    expect(tracker.update([eth0], listed, 1000).departed).toEqual(new Set([macOf(2)]));
    expect(tracker.update([eth0], listed, 60_999).departed).toEqual(new Set([macOf(2)]));
    expect(tracker.update([eth0], listed, 61_000).departed).toEqual(new Set());
  });

  test('is not when it was left out or came back, nor one that was never there', () => {
    const tracker = createLagTracker();
    expect(tracker.update([eth0], listed, 0).departed).toEqual(new Set());
    tracker.update([eth0, eth1], listed, 1000);
    expect(tracker.update([eth0], ONE, 2000).departed).toEqual(new Set());
    expect(tracker.update([eth0, eth1], listed, 3000).departed).toEqual(new Set());
  });
});
