/** For how long an address does not answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import { until } from './until.ts';

/** A connection is begun that often, whatever becomes of the one before: finer than a failover, and no load. */
const INTERVAL_MS = 50;

export interface Probe {
  /** The longest time from one connection that was answered to the next; from the first one on. */
  longestGapMs(): number;
  stop(): Promise<void>;
}

/** Returns when it has been answered once. */
export async function startProbe(
  lab: Lab,
  ends: { readonly from: string; readonly to: string },
): Promise<Probe> {
  const over = new AbortController();
  const answeredAt: number[] = [];
  const failures: unknown[] = [];
  const connect = async (): Promise<void> => {
    const at = performance.now();
    try {
      if ((await lab.connect(ends)).outcome === 'ok') answeredAt.push(at);
    } catch (error) {
      // The lab is closed under it when a test fails.
      failures.push(error);
      over.abort();
    }
  };
  const probing = (async () => {
    const connections: Promise<void>[] = [];
    while (!over.signal.aborted) {
      connections.push(connect());
      await sleep(INTERVAL_MS);
    }
    await Promise.all(connections);
  })();
  await until({ what: `${ends.to} answers`, read: () => answeredAt.length, holds: (count) => count > 0 });
  return {
    longestGapMs: () => {
      const sorted = answeredAt.toSorted((a, b) => a - b);
      return Math.max(...sorted.slice(1).map((at, index) => at - (sorted[index] ?? at)));
    },
    stop: async () => {
      over.abort();
      await probing;
      if (failures.length > 0) throw failures[0];
    },
  };
}
