/** What both forms of `status` say of a state and of a time. */
import type { NicStatusName } from '../model/nic-states.ts';
import type { AddressStateName, OverallState } from '../reconcile/status.ts';
import type { Style } from './output.ts';

export const STATE_STYLES: Readonly<Record<NicStatusName | AddressStateName | OverallState, Style>> = {
  'in-sync': 'green',
  configured: 'green',
  pending: 'yellow',
  missing: 'yellow',
  stale: 'yellow',
  degraded: 'red',
  failed: 'red',
  unmanaged: 'dim',
  released: 'dim',
  'foreign-config': 'dim',
  detached: 'dim',
  excluded: 'dim',
  foreign: 'dim',
};

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

export function ageText(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  return ms < HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${Math.round(ms / HOUR_MS)} h`;
}
