/** ARCHITECTURE, decision 7: each NIC waits for udev, at most so long, whoever else has been waiting. */
import type { Deferral } from '../model/desired.ts';
import type { MacAddress } from '../model/net.ts';

const UDEV_TIMEOUT_MS = 5_000;

export interface UdevPatience {
  /** The NICs that udev has had its time for: they are taken as they are. */
  overdue(now: number): ReadonlySet<MacAddress>;
  /** Those that the last look put off; whoever else has waited before does so no longer. */
  note(deferrals: readonly Pick<Deferral, 'mac' | 'reason'>[], now: number): void;
  isWaiting(): boolean;
}

export function createUdevPatience(): UdevPatience {
  let waitingSince: ReadonlyMap<MacAddress, number> = new Map();
  return {
    overdue: (now) =>
      new Set([...waitingSince].filter(([, since]) => now - since >= UDEV_TIMEOUT_MS).map(([mac]) => mac)),
    note: (deferrals, now) => {
      const unready = deferrals.filter(({ reason }) => reason === 'not-ready');
      waitingSince = new Map(unready.map(({ mac }) => [mac, waitingSince.get(mac) ?? now]));
    },
    isWaiting: () => waitingSince.size > 0,
  };
}
