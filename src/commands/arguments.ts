/** What several commands have on their line, and what a value on it may be. */
import { Argument, type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../model/duration.ts';

/** Longer ones would not fit a timer (2^31 ms), and nobody waits that long. */
const LONGEST_TIMEOUT_MS = 24 * 3_600_000;

/** Nobody can confirm in less. */
const SHORTEST_CONFIRM_MS = 1_000;
/** So long the agent holds still. */
const LONGEST_CONFIRM_MS = 3_600_000;

export function nicsArgument(): Argument {
  return new Argument('[nic...]', 'interface name or MAC; what it implies on the primary NIC is included');
}

export function refuseAllAndNics(
  nics: readonly string[],
  { all }: { all?: boolean },
  command: Command,
): void {
  if (all === true && nics.length > 0) command.error('error: --all and a NIC exclude each other');
}

export function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0 || ms > LONGEST_TIMEOUT_MS) {
    throw new InvalidArgumentError('Allowed: a duration up to 24h, a whole number and ms, s, m or h.');
  }
  return ms;
}

export function parseConfirm(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < SHORTEST_CONFIRM_MS || ms > LONGEST_CONFIRM_MS) {
    throw new InvalidArgumentError('Allowed: a duration from 1s to 1h, a whole number and ms, s, m or h.');
  }
  return ms;
}
