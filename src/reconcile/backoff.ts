/** How long a NIC that failed is left alone: longer each time, so that one that cannot work costs next to nothing. */
import type { MacAddress } from '../model/net.ts';

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;

interface Pause {
  readonly delayMs: number;
  readonly until: number;
}

export interface Backoff {
  failed(mac: MacAddress, now: number): void;
  worked(mac: MacAddress): void;
  /** Something changed that may have been the reason: everybody is tried again at once. */
  forget(): void;
  /** Those that are to be left alone. */
  paused(now: number): ReadonlySet<MacAddress>;
  /** Until the first of them may be tried again; null when there is none. */
  nextDelay(now: number): number | null;
}

/** All times in milliseconds of a monotonic clock. */
export function createBackoff(): Backoff {
  const pauses = new Map<MacAddress, Pause>();
  return {
    failed: (mac, now) => {
      const delayMs = Math.min((pauses.get(mac)?.delayMs ?? FIRST_DELAY_MS / 2) * 2, LONGEST_DELAY_MS);
      pauses.set(mac, { delayMs, until: now + delayMs });
    },
    worked: (mac) => {
      pauses.delete(mac);
    },
    forget: () => pauses.clear(),
    paused: (now) => new Set([...pauses].filter(([, { until }]) => until > now).map(([mac]) => mac)),
    nextDelay: (now) => {
      const waits = [...pauses.values()].map(({ until }) => until - now).filter((wait) => wait > 0);
      return waits.length === 0 ? null : Math.min(...waits);
    },
  };
}
