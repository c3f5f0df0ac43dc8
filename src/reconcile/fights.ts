/**
 * What somebody else undoes again and again: put back at once a few times, then less and less often, and said. A sysctl is
 * given up, since two programs that each set it help nobody (docs/decisions/0012).
 */
import { isDeepStrictEqual } from 'node:util';
import type { MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import { describeAction, subjectOf } from '../plan/describe.ts';

/** So often in a row it is put back at once. */
const AT_ONCE = 5;
const SYSCTL_AT_ONCE = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;
/** It stayed so long (or twice its last pause): whoever it was has stopped. */
const QUIET_MS = 60_000;

interface Fight {
  readonly step: Step;
  /** How often in a row it was done, without its opposite in between. */
  readonly times: number;
  readonly doneAt: number;
  readonly pausedUntil: number;
}

export interface Fights {
  /** What was done now; returns what became a fight by it. */
  done(steps: readonly Step[], now: number): readonly Step[];
  /** What a run left undone. */
  left(held: readonly Step[]): void;
  /** It is left undone for now. */
  isPaused(step: Step, now: number): boolean;
  /** In words, by NIC. A sysctl that is given up and happens to be right is none. */
  reasons(now: number): ReadonlyMap<MacAddress, string>;
  /** Until the first is tried again; null when there is none. */
  nextDelay(now: number): number | null;
  /** The cloud, the configuration or the operator wants something else now. */
  forget(): void;
}

/** All times in milliseconds of a monotonic clock. */
export function createFights(): Fights {
  const fights = new Map<string, Fight>();
  /** Nothing is paused for longer. As a rule nobody fights, and no step needs to be put into words to know that. */
  let latestPause = 0;
  let sweepAt = 0;
  /** What the last run found undone, and left so. */
  let undone: ReadonlySet<string> = new Set();
  const paused = (now: number): readonly (readonly [key: string, Fight])[] =>
    now >= latestPause ? [] : [...fights].filter(([, { pausedUntil }]) => pausedUntil > now);
  return {
    done: (steps, now) => {
      if (steps.length === 0 && now < sweepAt) return [];
      for (const [key, fight] of fights) if (isOver(fight, now)) fights.delete(key);
      sweepAt = now + QUIET_MS;
      return steps.filter((step) => {
        const key = keyOf(step);
        const fight = goOn(fights.get(key), step, now);
        latestPause = Math.max(latestPause, fight.pausedUntil);
        fights.set(key, fight);
        return fight.times === limitOf(step) + 1;
      });
    },
    left: (held) => void (undone = new Set(held.map(keyOf))),
    isPaused: (step, now) => {
      if (now >= latestPause) return false;
      const fight = fights.get(keyOf(step));
      return fight !== undefined && isSame(fight.step, step) && fight.pausedUntil > now;
    },
    reasons: (now) => {
      const told = paused(now).filter(
        ([key, { pausedUntil }]) => Number.isFinite(pausedUntil) || undone.has(key),
      );
      return new Map(told.map(([, fight]) => [fight.step.mac, reasonOf(fight, now)]));
    },
    nextDelay: (now) => {
      const waits = paused(now).map(([, { pausedUntil }]) => pausedUntil - now);
      return waits.length === 0 ? null : Math.min(...waits);
    },
    forget: () => fights.clear(),
  };
}

function goOn(before: Fight | undefined, step: Step, now: number): Fight {
  const times = before !== undefined && isSame(before.step, step) ? before.times + 1 : 1;
  return { step, times, doneAt: now, pausedUntil: now + pauseAfter(step, times) };
}

function keyOf(step: Step): string {
  return `${step.mac} ${subjectOf(step)}`;
}

/** To set a value and to give back what was there before are opposites, though their kind is one. */
function isSame(one: Step, other: Step): boolean {
  return one.kind === other.kind && isDeepStrictEqual(aimOf(one), aimOf(other));
}

/** What was there before differs when somebody else sets yet another value. */
function aimOf(step: Step): object {
  if (step.kind !== 'set-sysctl' && step.kind !== 'set-mtu') return step.arguments;
  const { before: _, ...aim } = step.arguments;
  return aim;
}

function limitOf({ kind }: Step): number {
  return kind === 'set-sysctl' ? SYSCTL_AT_ONCE : AT_ONCE;
}

function pauseAfter(step: Step, times: number): number {
  const excess = times - limitOf(step);
  if (excess <= 0) return 0;
  if (step.kind === 'set-sysctl') return Number.POSITIVE_INFINITY;
  return Math.min(FIRST_PAUSE_MS * 2 ** (excess - 1), LONGEST_PAUSE_MS);
}

/** Nobody hears of a sysctl that changes before the next look, which may be an hour away. */
function isOver({ step, doneAt, pausedUntil }: Fight, now: number): boolean {
  return step.kind !== 'set-sysctl' && now - doneAt > Math.max(QUIET_MS, 2 * (pausedUntil - doneAt));
}

function reasonOf({ step, times, pausedUntil }: Fight, now: number): string {
  const what = `somebody else keeps undoing it: ${describeAction(step)}, ${times} times`;
  return Number.isFinite(pausedUntil)
    ? `${what}; again in ${Math.ceil((pausedUntil - now) / 1_000)} s`
    : `${what}; left to them until \`eni-agent reconfigure\``;
}
