/**
 * /var/lib/eni-agent/history.jsonl, 0600: the last runs that changed something or tried to, a line of JSON each. A record for people
 * and nothing that a run goes by: it is not synced, what cannot be written is lost, and a line that was torn is passed over.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import type { HistoryRun } from '../model/history.ts';
import { OUTCOMES, TRIGGERS } from '../model/state.ts';
import { isDenied, isMissing, writeFileAtomically } from './atomic-file.ts';
import type { Paths } from './paths.ts';
import { readOwnFile } from './read-file.ts';
import { STEP_ENTRY } from './step-schema.ts';

/** Of those that are read, and that stay when the file becomes too long. */
const MOST_RUNS = 200;
/** Of the file. */
const MOST_BYTES = 256 * 1024;
/** What stays when there would be more: then the next rewrite is far off. */
const KEPT_BYTES = MOST_BYTES / 2;
/** Of one run: two of them stay. Some 300 steps. */
const MOST_BYTES_OF_RUN = KEPT_BYTES / 2;
const MODE = 0o600;
const NEWLINE = '\n'.charCodeAt(0);

const historyRun = v.object({
  at: v.pipe(v.string(), v.isoTimestamp()),
  trigger: v.picklist(TRIGGERS),
  outcome: v.picklist(OUTCOMES),
  durationMs: v.number(),
  steps: v.array(STEP_ENTRY),
  undone: v.array(STEP_ENTRY),
  omitted: v.number(),
  problems: v.array(v.object({ mac: v.string(), message: v.string() })),
});

const historyLine = v.pipe(v.string(), v.parseJson(), historyRun);

export interface History {
  /** The oldest first. */
  readonly runs: readonly HistoryRun[];
  /** Lines that say nothing: torn by a power cut, or not of our writing. */
  readonly unreadable: number;
}

/**
 * AgentError `state-unreadable` when it may not be read, `file-failed` when it cannot be. No file, and no file of ours: nothing
 * happened yet.
 */
export function readHistory({ history }: Paths): History {
  try {
    return parseHistory(readOwnFile(history) ?? '');
  } catch (error) {
    if (isMissing(error)) return { runs: [], unreadable: 0 };
    const [code, advice] = isDenied(error)
      ? (['state-unreadable', '; run as root'] as const)
      : (['file-failed', ''] as const);
    throw new AgentError(code, `reading ${history}: ${errorMessage(error)}${advice}`, { cause: error });
  }
}

function parseHistory(text: string): History {
  const lines = text.split('\n').filter((line) => line !== '');
  const runs = lines.flatMap((line) => parseLine(line) ?? []);
  return { runs: runs.slice(-MOST_RUNS), unreadable: lines.length - runs.length };
}

function parseLine(line: string): HistoryRun | undefined {
  const { success, output } = v.safeParse(historyLine, line);
  return success ? output : undefined;
}

/**
 * Only under the lock. A run that came to nothing as the one before it did is not written again: a NIC that cannot work is tried for
 * days. Returns why the run is not in the file; null when it is, or need not be.
 */
export async function appendHistory({ history }: Paths, run: HistoryRun): Promise<string | null> {
  try {
    const before = run.steps.length === 0 ? lastRun(history) : undefined;
    if (before !== undefined && isSameFailure(before, run)) return null;
    const line = formatRun(run);
    if (!appendLine(history, line)) await rewrite(history, line);
    return null;
  } catch (error) {
    return `writing ${history}: ${errorMessage(error)}`;
  }
}

function lastRun(file: string): HistoryRun | undefined {
  try {
    const lines = (readOwnFile(file) ?? '').split('\n');
    for (const line of lines.toReversed()) {
      const run = parseLine(line);
      if (run !== undefined) return run;
    }
    return undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isSameFailure(before: HistoryRun, run: HistoryRun): boolean {
  return essenceOf(before) === essenceOf(v.parse(historyLine, formatRun(run)));
}

function essenceOf({ at: _, trigger: __, durationMs: ___, ...essence }: HistoryRun): string {
  return JSON.stringify(essence);
}

/** Of a run that is too long, what there is room for: first of all why it failed. */
function formatRun(run: HistoryRun): string {
  const line = JSON.stringify(run);
  if (Buffer.byteLength(line) <= MOST_BYTES_OF_RUN) return line;
  const problems = fitting(run.problems, MOST_BYTES_OF_RUN);
  const steps = fitting(run.steps, MOST_BYTES_OF_RUN - sizeOf(problems));
  const undone = fitting(run.undone, MOST_BYTES_OF_RUN - sizeOf(problems) - sizeOf(steps));
  const omitted = run.steps.length + run.undone.length - steps.length - undone.length;
  return JSON.stringify({ ...run, steps, undone, omitted, problems });
}

/** The first ones, of together at most that many bytes. */
function fitting<Entry extends object>(entries: readonly Entry[], most: number): readonly Entry[] {
  let size = 0;
  return entries.filter((entry) => {
    size += sizeOf(entry);
    return size <= most;
  });
}

/** With what separates it from the next. */
function sizeOf(entry: object): number {
  return Buffer.byteLength(JSON.stringify(entry)) + 1;
}

/** False when the file would become too long. What was torn before it ends where the line begins. */
function appendLine(file: string, line: string): boolean {
  // O_NONBLOCK: a FIFO in its place is an error, and not waited for.
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const descriptor = openSync(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, MODE);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Error('it is no regular file');
    const bytes = Buffer.from(`${endsInLine(descriptor, stats.size) ? '' : '\n'}${line}\n`);
    if (stats.size + bytes.length > MOST_BYTES) return false;
    writeWhole(descriptor, bytes, stats.size);
    return true;
  } finally {
    closeSync(descriptor);
  }
}

function endsInLine(descriptor: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return size === 0 || (readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] === NEWLINE);
}

/** A disk that is full in the middle of it has nothing of it. */
function writeWhole(descriptor: number, bytes: Uint8Array, size: number): void {
  try {
    const written = writeSync(descriptor, bytes);
    if (written < bytes.length) throw new Error('there is no room left for all of it');
  } catch (error) {
    ftruncateSync(descriptor, size);
    throw error;
  }
}

/** The newest that fit, and the new one. */
async function rewrite(file: string, line: string): Promise<void> {
  const known = (readOwnFile(file) ?? '').split('\n').filter((text) => parseLine(text) !== undefined);
  const kept = [line];
  let bytes = Buffer.byteLength(line) + 1;
  for (const text of known.toReversed()) {
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > KEPT_BYTES || kept.length === MOST_RUNS) break;
    kept.unshift(text);
  }
  await writeFileAtomically(file, `${kept.join('\n')}\n`, { mode: MODE, durable: false });
}
