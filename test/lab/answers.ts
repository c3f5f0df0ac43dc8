/** Who answers at an address, and for how long nobody does. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import { until } from './until.ts';

/** A connection is begun that often, whatever becomes of the one before: finer than a failover, and no load. */
const INTERVAL_MS = 50;

export interface Answers {
  /** Until the last answer was that machine's. */
  waitFor(host: string): Promise<void>;
  /** The longest time from one connection that was answered to the next; from the first one on. */
  longestGapMs(): number;
  stop(): Promise<void>;
}

export function watchAnswers(lab: Lab, ends: { readonly from: string; readonly to: string }): Answers {
  const over = new AbortController();
  /** By when the connection was begun. */
  const answers: { readonly at: number; readonly host: string }[] = [];
  const failures: unknown[] = [];
  const connect = async (): Promise<void> => {
    const at = performance.now();
    try {
      const { answer } = await lab.connect(ends);
      if (answer !== undefined) answers.push({ at, host: answer.host });
    } catch (error) {
      // The lab is closed under it when a test fails.
      failures.push(error);
      over.abort();
    }
  };
  const watching = (async () => {
    const connections: Promise<void>[] = [];
    while (!over.signal.aborted) {
      connections.push(connect());
      await sleep(INTERVAL_MS);
    }
    await Promise.all(connections);
  })();
  return {
    waitFor: async (host) => {
      await until({
        what: `${host} answers at ${ends.to}`,
        read: () => answers.at(-1)?.host,
        holds: (last) => last === host,
      });
    },
    longestGapMs: () => {
      const times = answers.map(({ at }) => at).toSorted((a, b) => a - b);
      return Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)));
    },
    stop: async () => {
      over.abort();
      await watching;
      if (failures.length > 0) throw failures[0];
    },
  };
}
