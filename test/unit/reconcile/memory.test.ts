/** What the daemon remembers from one run to the next. */
import { describe, expect, test } from 'vitest';
import type { Step } from '../../../src/model/plan.ts';
import { describeAction } from '../../../src/plan/describe.ts';
import { type AnswerCount, countAnswer } from '../../../src/reconcile/answers.ts';
import { createBackoff } from '../../../src/reconcile/backoff.ts';
import { createFights } from '../../../src/reconcile/fights.ts';
import { createLagTracker } from '../../../src/reconcile/lag.ts';
import { configOf, eni, hostOf, instance, link, macOf, otherLink } from '../builders.ts';
import { lookAt } from '../simulator.ts';

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

describe('what somebody else undoes', () => {
  const { steps } = lookAt({
    metadata: ONE,
    host: hostOf({ links: [link(1, 'eth0', { addresses: '10.0.0.4/24' })] }),
    config: configOf({ routing: { primary: 'always' } }),
  }).plan;
  const [step, other] = steps.filter(({ kind }) => kind === 'add-route');
  const sysctl = {
    ...step,
    kind: 'set-sysctl',
    arguments: { linkIndex: 1, name: 'rp_filter', value: 2, before: 1 },
  };
  if (step === undefined || other === undefined) throw new Error('no steps');

  /** Done so often, a tenth of a second apart. */
  function fightOf(what: Step, times: number) {
    const fights = createFights();
    const begun = Array.from({ length: times }, (_, index) => fights.done([what], index * 100)).flat();
    return { fights, begun, now: (times - 1) * 100 };
  }

  test('is put back at once five times, then after 1 s, twice as long each time, at most 5 minutes', () => {
    const delays = Array.from({ length: 16 }, (_, index) => {
      const { fights, now } = fightOf(step, index + 1);
      return fights.nextDelay(now);
    });
    const seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
    expect(delays).toEqual([null, null, null, null, null, ...seconds.map((delay) => delay * 1_000)]);
  });

  test('is told once, and nothing but it is left alone', () => {
    const { fights, begun, now } = fightOf(step, 8);
    expect(begun).toEqual([step]);
    expect(fights.isPaused(step, now + 3_999)).toBe(true);
    expect(fights.isPaused(step, now + 4_000)).toBe(false);
    expect(fights.isPaused(other, now)).toBe(false);
    expect([...fights.reasons(now)]).toEqual([
      [macOf(1), `somebody else keeps undoing it: ${describeAction(step)}, 8 times; again in 4 s`],
    ]);
  });

  test('is no fight when we took it back ourselves, when it stayed for a minute, or when something else is wanted', () => {
    const opposite = { ...step, kind: 'remove-route' } as Step;
    const alternating = createFights();
    for (let index = 0; index < 20; index += 1) alternating.done([index % 2 === 0 ? step : opposite], index);
    expect(alternating.nextDelay(20)).toBeNull();
    const restored = { ...sysctl, arguments: { ...sysctl.arguments, value: 1, before: 2 } } as Step;
    const setAndGivenBack = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? (sysctl as Step) : restored));
    const settings = createFights();
    expect(setAndGivenBack.flatMap((each, now) => settings.done([each], now))).toEqual([]);
    const { fights, now } = fightOf(step, 5);
    fights.done([step], now + 60_001);
    expect(fights.nextDelay(now + 60_001)).toBeNull();
    const fought = fightOf(step, 9);
    fought.fights.forget();
    expect(fought.fights.isPaused(step, fought.now)).toBe(false);
  });

  test('is given up when it is a sysctl, however seldom it happens', () => {
    const fights = createFights();
    const hours = [0, 1, 2, 3].map((hour) => hour * 3_600_000);
    expect(hours.flatMap((now) => fights.done([sysctl as Step], now))).toEqual([sysctl]);
    expect(fights.isPaused(sysctl as Step, Number.MAX_SAFE_INTEGER)).toBe(true);
    expect(fights.nextDelay(0)).toBe(Number.POSITIVE_INFINITY);
    fights.left([sysctl as Step]);
    expect(fights.reasons(0).get(macOf(1))).toMatch(/, 4 times; left to them until `eni-agent reconfigure`$/);
  });

  test('is none to tell of while a sysctl that was given up is right', () => {
    const { fights, now } = fightOf(sysctl as Step, 4);
    const told = (held: readonly Step[]): number => {
      fights.left(held);
      return fights.reasons(now).size;
    };
    expect([told([]), told([sysctl as Step]), told([other]), told([sysctl as Step])]).toEqual([0, 1, 0, 1]);
    expect(fights.isPaused(sysctl as Step, now)).toBe(true);
    const routes = fightOf(step, 8);
    routes.fights.left([]);
    expect(routes.fights.reasons(routes.now).size).toBe(1);
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

  test('is unseen until the next look, unless it can be no ENI', () => {
    const tracker = createLagTracker();
    tracker.update([eth0], ONE, 0);
    const port = { ...link(7, 'veth7'), masterIndex: 20 };
    const vlan = { ...link(8, 'eth0.100'), lowerIndex: 2 };
    expect(tracker.unseen([eth0, eth1, port, vlan])).toEqual([macOf(2)]);
    tracker.update([eth0, eth1, port, vlan], ONE, 1000);
    expect(tracker.unseen([eth0, eth1, port, vlan])).toEqual([]);
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
