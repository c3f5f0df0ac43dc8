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
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, errorMessage } from '../errors.ts';
import { hasCode, isDenied, isMissing, linkUnlessTaken } from './atomic-file.ts';

/** CONTRACT: exit 4 when the holder did not let go within 10 s. */
const LOCK_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const FOLDER_MODE = 0o755;

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
    await rm(file, { force: true });
  }
}

async function acquireLock(file: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let claim: string | undefined;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: FOLDER_MODE });
    await removeDeadClaims(file);
    claim = await makeClaim(file);
    while (!(await tryAcquire(file, claim))) {
      if (Date.now() >= deadline) throw await busy(file, timeoutMs);
      await delay(POLL_MS);
    }
  } catch (error) {
    throw error instanceof AgentError ? error : failure(file, error);
  } finally {
    if (claim !== undefined) await rm(claim, { force: true });
  }
}

/** False while somebody who lives holds it. */
async function tryAcquire(file: string, claim: string): Promise<boolean> {
  while (!(await linkUnlessTaken(claim, file))) {
    const state = await stateOf(file);
    if (state === 'held') return false;
    if (state === 'dead') return await tryBreak(file, claim);
  }
  return true;
}

async function tryBreak(file: string, claim: string): Promise<boolean> {
  const right = `${file}.break`;
  if (!(await tryAcquire(right, claim))) return false;
  // Another one may have broken it before we got the right to.
  if ((await stateOf(file)) !== 'dead') {
    await rm(right, { force: true });
    return false;
  }
  await rename(right, file);
  return true;
}

async function stateOf(file: string): Promise<'free' | 'held' | 'dead'> {
  const text = await readIfThere(file);
  if (text === undefined) return 'free';
  const holder = parseHolder(text);
  if (holder === undefined) return 'dead';
  const now = await describeProcess(holder.pid);
  return now?.startTime === holder.startTime && now.bootId === holder.bootId ? 'held' : 'dead';
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
async function describeProcess(pid: number): Promise<Holder | undefined> {
  const processStat = await readIfThere(`/proc/${pid}/stat`);
  if (processStat === undefined) return undefined;
  // The command in field 2 may hold spaces and brackets: count from its closing one.
  const afterCommand = processStat.slice(processStat.lastIndexOf(')') + 2).split(' ');
  const [state = '', threads = '', startTime = ''] = [0, 17, 19].map((index) => afterCommand[index]);
  // A killed process whose other threads are still in a system call may yet change files.
  if ('ZX'.includes(state) && Number(threads) <= 1) return undefined;
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return { pid, startTime, bootId: bootId.trim() };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // ESRCH: the process ended between open() and read().
    if (isMissing(error) || hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

/** `.lock.PID.START.UUID`: the file that becomes the lock. Its name says whose it is before its content does. */
async function makeClaim(file: string): Promise<string> {
  const self = await describeProcess(process.pid);
  const claim = `${claimPrefix(file)}${process.pid}.${self?.startTime}.${randomUUID()}`;
  await writeFile(claim, JSON.stringify(self), { mode: 0o600, flag: 'wx' });
  return claim;
}

/** Those of runs that were killed while they waited. */
async function removeDeadClaims(file: string): Promise<void> {
  const directory = path.dirname(file);
  const prefix = path.basename(claimPrefix(file));
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix)) continue;
    const [pid, startTime] = name.slice(prefix.length).split('.');
    const now = await describeProcess(Number(pid));
    if (now?.startTime !== startTime) await rm(path.join(directory, name), { force: true });
  }
}

function claimPrefix(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}.`);
}

async function busy(file: string, timeoutMs: number): Promise<AgentError> {
  const holder = parseHolder((await readIfThere(file)) ?? '');
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
