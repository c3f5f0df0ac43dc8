/**
 * /var/lib/eni-agent/trial.json: a change that waits for its confirmation. It is there before the change begins, it is removed
 * by whoever confirms it or rolls it back, and while it is there nobody else changes anything.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import { parseMacAddress } from '../model/net.ts';
import type { Trial } from '../model/trial.ts';
import {
  isDenied,
  isMissing,
  removeIfThere,
  syncDirectory,
  writeFileAtomically,
  writing,
} from './atomic-file.ts';
import type { Paths } from './paths.ts';
import { readOwnFile } from './read-file.ts';
import { parsedText } from './schema.ts';
import { FILE_PATH, STEP } from './step-schema.ts';

const VERSION = 1;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const trialFile = v.object({
  version: v.literal(VERSION),
  id: v.string(),
  deadline: v.object({ bootId: v.string(), monotonicMs: v.number() }),
  confirmBy: v.pipe(v.string(), v.isoTimestamp()),
  isConfirmed: v.boolean(),
  configuration: v.nullable(v.string()),
  standing: v.string(),
  links: v.array(v.object({ index: count, mac: parsedText(parseMacAddress, 'a MAC address') })),
  steps: v.array(STEP),
  files: v.array(v.object({ path: FILE_PATH, content: v.nullable(v.string()), mode: count })),
  state: v.string(),
});

/**
 * null when no change waits; a file that is none of ours (garbage, another version) says nothing of one either. AgentError
 * `state-unreadable` when it may not be read.
 */
export function readTrial(paths: Paths): Trial | null {
  const text = readIfThere(paths.trial);
  if (text === undefined) return null;
  const { success, output } = v.safeParse(v.pipe(v.string(), v.parseJson(), trialFile), text);
  if (!success) return null;
  const { version: _, ...trial } = output;
  return trial;
}

/** Another one for each change that waits; '' when none does. */
export function identifyTrial(paths: Paths): string {
  const stats = statSync(paths.trial, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.ino}.${stats.mtimeNs}`;
}

function readIfThere(file: string): string | undefined {
  try {
    // It is not there in all looks but a few, and an exception costs more than the rest of them.
    return statSync(file, { throwIfNoEntry: false }) === undefined ? undefined : readOwnFile(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    const advice = isDenied(error) ? '; run as root' : '';
    const message = `reading ${file}: ${errorMessage(error)}${advice}`;
    throw new AgentError('state-unreadable', message, { cause: error });
  }
}

/** Only under the lock; durable, since it is what a power cut is rolled back by. AgentError `file-failed`. */
export async function writeTrial(paths: Paths, trial: Trial): Promise<void> {
  await writing(paths.stateDirectory, () =>
    mkdirSync(paths.stateDirectory, { recursive: true, mode: FOLDER_MODE }),
  );
  const content = `${JSON.stringify({ version: VERSION, ...trial })}\n`;
  await writeFileAtomically(paths.trial, content, { mode: FILE_MODE, durable: true });
}

/** Only under the lock. AgentError `file-failed`. */
export async function removeTrial(paths: Paths): Promise<void> {
  await writing(paths.trial, () => removeIfThere(paths.trial));
  await syncDirectory(paths.stateDirectory);
}

export function deadlineIn(ms: number): Trial['deadline'] {
  return { bootId: bootId(), monotonicMs: monotonicMs() + ms };
}

/** Milliseconds until it is rolled back; 0 when it is to be now. */
export function timeLeft({ deadline }: Trial): number {
  return deadline.bootId === bootId() ? Math.max(0, deadline.monotonicMs - monotonicMs()) : 0;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** CLOCK_MONOTONIC: the same for all processes of a boot. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
