/**
 * One run at a time on this machine. Node has no flock(2), so the lock is a file that link(2) puts in its place, complete from
 * the first moment: who holds it (pid, start time, boot id). A holder that does not live any more has lost it.
 *
 * A dead holder's file may be replaced only by who holds the lock `FILE.break`, and a living holder's only by itself. So whoever
 * holds `FILE.break` and sees a dead holder in FILE knows that nobody else will touch it, and rename(2) of the one over the
 * other takes the lock and gives the right to break back in one step: there is no instant at which the file is missing and a
 * third could slip in. `FILE.break` is a lock like any other: that of a run that was killed while it broke one is broken in turn.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, errorMessage } from '../errors.ts';
import { hasCode, isDenied, isMissing, linkUnlessTaken, makeFolder } from './atomic-file.ts';
import { readOwnFile } from './read-file.ts';

/** CONTRACT: exit 4 when the holder did not let go within 10 s. */
const LOCK_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const FOLDER_MODE = 0o755;

/** Asked for once: as long as a process lives it is the same, and the kernel takes its time to put it together. */
let ourselves: Holder | undefined;

interface Holder {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: a pid alone may have been given to another process. */
  readonly startTime: string;
  readonly bootId: string;
}

/**
 * Does the work while holding the lock at `file`. AgentError `lock-busy` when the holder does not let go in time,
 * `permission-denied` and `file-failed` when the lock cannot be made.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  timeoutMs = LOCK_TIMEOUT_MS,
): Promise<T> {
  await acquireLock(file, timeoutMs);
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

async function acquireLock(file: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let claim: string | undefined;
  try {
    makeFolder(path.dirname(file), FOLDER_MODE);
    removeDeadClaims(file);
    claim = makeClaim(file);
    while (!tryAcquire(file, claim)) {
      if (Date.now() >= deadline) throw busy(file, timeoutMs);
      await delay(POLL_MS);
    }
  } catch (error) {
    throw error instanceof AgentError ? error : failure(file, error);
  } finally {
    if (claim !== undefined) rmSync(claim, { force: true });
  }
}

/** False while somebody who lives holds it. */
function tryAcquire(file: string, claim: string): boolean {
  while (!linkUnlessTaken(claim, file)) {
    const state = stateOf(file);
    if (state === 'held') return false;
    if (state === 'dead') return tryBreak(file, claim);
  }
  return true;
}

function tryBreak(file: string, claim: string): boolean {
  const right = `${file}.break`;
  if (!tryAcquire(right, claim)) return false;
  // Another one may have broken it before we got the right to.
  if (stateOf(file) !== 'dead') {
    rmSync(right, { force: true });
    return false;
  }
  try {
    renameSync(right, file);
  } catch (error) {
    // A folder in its place.
    rmSync(right, { force: true });
    throw error;
  }
  return true;
}

function stateOf(file: string): 'free' | 'held' | 'dead' {
  const text = readIfThere(file);
  if (text === undefined) return 'free';
  const holder = parseHolder(text);
  if (holder === undefined) return 'dead';
  const now = describeProcess(holder.pid);
  if (now?.startTime === holder.startTime && now.bootId === holder.bootId) return 'held';
  // Who has ended as it should took its file away first: between our two looks.
  return readIfThere(file) === text ? 'dead' : 'free';
}

/** undefined for what is not of our writing. */
function parseHolder(text: string): Holder | undefined {
  try {
    const holder: unknown = JSON.parse(text);
    const isHolder = typeof holder === 'object' && holder !== null && 'pid' in holder;
    return isHolder && Number.isInteger(holder.pid) ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

/** undefined when there is no such process, or nothing of it but its exit status that nobody has asked for (proc(5): Z, X). */
function describeProcess(pid: number): Holder | undefined {
  const processStat = readIfThere(`/proc/${pid}/stat`);
  if (processStat === undefined) return undefined;
  // The command in field 2 may hold spaces and brackets: count from its closing one.
  const afterCommand = processStat.slice(processStat.lastIndexOf(')') + 2).split(' ');
  const [state = '', threads = '', startTime = ''] = [0, 17, 19].map((index) => afterCommand[index]);
  // A killed process whose other threads are still in a system call may yet change files.
  if ('ZX'.includes(state) && Number(threads) <= 1) return undefined;
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  return { pid, startTime, bootId: bootId.trim() };
}

/** '' for what is no file: nobody who lives holds such a lock. */
function readIfThere(file: string): string | undefined {
  try {
    return readOwnFile(file) ?? '';
  } catch (error) {
    // ESRCH: the process ended between open() and read().
    if (isMissing(error) || hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

/** `.lock.PID.START.UUID`: the file that becomes the lock. Its name says whose it is before its content does. */
function makeClaim(file: string): string {
  ourselves ??= describeProcess(process.pid);
  const claim = `${claimPrefix(file)}${process.pid}.${ourselves?.startTime}.${randomUUID()}`;
  writeFileSync(claim, JSON.stringify(ourselves), { mode: 0o600, flag: 'wx' });
  return claim;
}

/** Those of runs that were killed while they waited. */
function removeDeadClaims(file: string): void {
  const directory = path.dirname(file);
  const prefix = path.basename(claimPrefix(file));
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(prefix)) continue;
    const [pid, startTime] = name.slice(prefix.length).split('.');
    const now = describeProcess(Number(pid));
    if (now?.startTime !== startTime) rmSync(path.join(directory, name), { force: true });
  }
}

function claimPrefix(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}.`);
}

function busy(file: string, timeoutMs: number): AgentError {
  const holder = parseHolder(readIfThere(file) ?? '');
  const who = holder === undefined ? 'another run' : `process ${holder.pid}`;
  return new AgentError(
    'lock-busy',
    `taking the lock ${file}: ${who} has not let go of it within ${timeoutMs / 1000} s`,
  );
}

function failure(file: string, cause: unknown): AgentError {
  const message = `taking the lock ${file}: ${errorMessage(cause)}`;
  return isDenied(cause)
    ? new AgentError('permission-denied', `${message}; run as root`, { cause })
    : new AgentError('file-failed', message, { cause });
}
