/**
 * One run at a time on this machine. Node has no flock(2), so the lock is a file that link(2) puts in its place, complete from
 * the first moment: who holds it (pid, start time, boot id). A holder that does not live any more has lost it.
 */
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, errorMessage } from '../errors.ts';
import { ignoreMissing, isMissing } from './atomic-file.ts';

/** CONTRACT: exit 4 when the holder did not let go within 10 s. */
const LOCK_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const PRIVATE_FOLDER = 0o755;

interface Holder {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: a pid alone may have been given to another process. */
  readonly startTime: string;
  readonly bootId: string;
}

/** Does the work while holding the lock at `file`; AgentError `lock-busy` when the holder does not let go in time. */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  timeoutMs = LOCK_TIMEOUT_MS,
): Promise<T> {
  const release = await acquireLock(file, timeoutMs);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquireLock(file: string, timeoutMs: number): Promise<() => Promise<void>> {
  const deadline = Date.now() + timeoutMs;
  const claim = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}`);
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: PRIVATE_FOLDER });
    await removeDeadClaims(file);
    await writeFile(claim, JSON.stringify(await describeHolder(process.pid)), { mode: 0o600 });
  } catch (error) {
    throw new AgentError('file-failed', `taking the lock ${file}: ${errorMessage(error)}; it needs root`, {
      cause: error,
    });
  }
  try {
    while (!(await tryLink(claim, file))) {
      if (await breakStaleLock(file, claim)) continue;
      if (Date.now() >= deadline) throw await busy(file, timeoutMs);
      await delay(POLL_MS);
    }
  } finally {
    await rm(claim, { force: true });
  }
  return () => rm(file, { force: true });
}

async function tryLink(claim: string, file: string): Promise<boolean> {
  try {
    await link(claim, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a dead holder's lock out of the way; what was moved is looked at again, in case a living one took it meanwhile. */
async function breakStaleLock(file: string, claim: string): Promise<boolean> {
  const seen = await identity(file);
  if (seen === undefined) return true;
  if (await isAlive(await readHolder(file))) return false;
  const aside = `${claim}.stale`;
  await rename(file, aside).catch(ignoreMissing);
  const moved = await identity(aside);
  if (moved !== undefined && moved !== seen) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
  return true;
}

async function identity(file: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs } = await stat(file);
    return `${ino} ${mtimeMs}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch {
    // Gone, or not written by us: in both cases nobody who lives.
    return undefined;
  }
}

async function isAlive(holder: Holder | undefined): Promise<boolean> {
  if (holder === undefined || !Number.isInteger(holder.pid)) return false;
  const now = await describeHolder(holder.pid).catch(() => undefined);
  return now !== undefined && now.startTime === holder.startTime && now.bootId === holder.bootId;
}

async function describeHolder(pid: number): Promise<Holder> {
  const [processStat, bootId] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
  ]);
  // The command in field 2 may hold spaces and brackets: count from its closing one.
  const afterCommand = processStat.slice(processStat.lastIndexOf(')') + 2).split(' ');
  const startTime = afterCommand[19] ?? '';
  return { pid, startTime, bootId: bootId.trim() };
}

/** Claims of runs that were killed while waiting: `.lock.PID`. */
async function removeDeadClaims(file: string): Promise<void> {
  const directory = path.dirname(file);
  const prefix = `.${path.basename(file)}.`;
  for (const name of await readdir(directory)) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || (await identity(`/proc/${pid}`)) !== undefined) continue;
    await rm(path.join(directory, name), { force: true });
  }
}

async function busy(file: string, timeoutMs: number): Promise<AgentError> {
  const holder = await readHolder(file);
  const who = holder === undefined ? 'another run' : `process ${holder.pid}`;
  return new AgentError(
    'lock-busy',
    `taking the lock ${file}: ${who} has not let go of it within ${timeoutMs / 1000} s`,
  );
}
