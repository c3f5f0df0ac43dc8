/** Waits beside a change for its confirmation, and rolls it back when that does not come. It lives on when nobody else does. */
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../errors.ts';
import type { Trial } from '../model/trial.ts';
import { identifyTrial, readTrial, timeLeft } from '../system/trial-file.ts';
import { type RollBackOptions, rollBackTrial } from './trial.ts';

const POLL_MS = 100;
/** Between two attempts to roll back: each pause is twice the one before, up to the longest. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export interface GuardianOptions extends RollBackOptions {
  readonly id: string;
  /** Who makes the change is gone: one that has not begun by now never will. */
  readonly orphaned: AbortSignal;
  /** The machine goes down: what is not confirmed by now will not be. */
  readonly stop: AbortSignal;
}

/** Resolves when the change was confirmed, was rolled back, or never began. */
export async function guard(options: GuardianOptions): Promise<void> {
  const { applier, stop } = options;
  const trial = await waitForTrial(options);
  if (trial === null) return;
  const identity = identifyTrial(applier.paths);
  const isWaiting = (): boolean => identifyTrial(applier.paths) === identity;
  while (isWaiting() && timeLeft(trial) > 0 && !stop.aborted) {
    await sleep(Math.min(POLL_MS, timeLeft(trial)), stop);
  }
  if (isWaiting()) await rollBackAtLast(options, trial);
}

async function waitForTrial({ applier, id, orphaned, stop }: GuardianOptions): Promise<Trial | null> {
  for (;;) {
    // In this order: what began before its maker was gone is seen.
    const isOver = orphaned.aborted || stop.aborted;
    const trial = readTrial(applier.paths);
    if (trial?.id === id) return trial;
    if (isOver) return null;
    await sleep(POLL_MS, AbortSignal.any([orphaned, stop]));
  }
}

/** A lock that is held, a disk that is full: it is tried until it is done. */
async function rollBackAtLast(options: GuardianOptions, trial: Trial): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await rollBackTrial(options, trial);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      options.log.error({ problem: error.message }, 'rollback failed');
    }
    await delay(pauseMs);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
