/** Waiting for a condition, with a deadline, instead of sleeping and hoping. */
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

/** At first; then a tenth of what it has taken: a look may start a program, and who waits long is in no hurry. */
const POLL_MS = { min: 20, max: 200 };
const DEFAULT_DEADLINE_MS = 10_000;
/**
 * Six labs share two cores in `npm test`, and machines differ by the factor of three: what is slower there is the machine. The full size, one
 * file at a time, holds the agent to its bounds.
 */
const PATIENCE = process.env['ENI_TEST_SIZE'] === 'full' ? 1 : 4;
const SHOWN_CHARACTERS = 4_000;

/** How long something may take that takes so long at most on a machine of its own, in milliseconds. */
export function bound(ms: number): number {
  return ms * PATIENCE;
}

export interface UntilOptions<T> {
  /** For the message: `eth1 is gone`. */
  readonly what: string;
  readonly read: () => T | Promise<T>;
  readonly holds: (seen: T) => boolean;
  /** A `bound()` is made of it. */
  readonly deadlineMs?: number;
}

/** Reads until it holds, and returns what was read then; past the deadline it throws with what it last saw. */
export async function until<T>(options: UntilOptions<T>): Promise<T> {
  const { what, read, holds } = options;
  const deadlineMs = bound(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
  const startedAt = performance.now();
  for (;;) {
    const seen = await read();
    if (holds(seen)) return seen;
    if (performance.now() - startedAt >= deadlineMs) {
      const text = typeof seen === 'string' ? seen : inspect(seen, { depth: 8, breakLength: 160 });
      throw new Error(
        `waiting until ${what}: not after ${deadlineMs} ms; last seen:\n${text.slice(-SHOWN_CHARACTERS)}`,
      );
    }
    await sleep(Math.min(POLL_MS.max, Math.max(POLL_MS.min, (performance.now() - startedAt) / 10)));
  }
}
