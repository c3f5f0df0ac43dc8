/**
 * Files that are either as they were or as they should be, whatever moment the process dies at: the content goes to a
 * temporary beside the target, which then takes the target's name. A temporary starts with a dot, since network-scripts and
 * NetworkManager take every `ifcfg-*` for an interface (FACTS §2), and has one fixed name per target: there is one writer, under
 * the lock, so a left-over is overwritten or removed by the next one.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fsync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { AgentError, errorMessage } from '../errors.ts';

/** The one call that takes its time: everything else is done before a thread would have been woken for it. */
const sync = promisify(fsync);

const TEMPORARY_SUFFIX = '.eni-agent-tmp';

export interface PreparedFile {
  /** Gives the file its name; its folder still has to be synced for that to survive a power cut. AgentError `file-failed`. */
  commit(): Promise<void>;
  discard(): void;
}

export interface PrepareOptions {
  readonly mode: number;
  /** What is at the path stays there under this second name. */
  readonly keepOriginalAs?: string;
}

/** Writes and syncs the content beside its target; nothing that anybody reads has changed yet. AgentError `file-failed`. */
export async function prepareFile(
  target: string,
  content: string,
  options: PrepareOptions,
): Promise<PreparedFile> {
  const temporary = temporaryFor(target);
  await writing(target, () => writeTemporary(temporary, content, options.mode, true));
  return {
    commit: () =>
      writing(target, async () => {
        if (options.keepOriginalAs !== undefined) keepAs(target, options.keepOriginalAs);
        renameSync(temporary, target);
      }),
    discard: () => rmSync(temporary, { force: true }),
  };
}

export interface WriteOptions {
  readonly mode: number;
  /** false survives the death of the process, true a power cut as well. */
  readonly durable: boolean;
  /** What is at the path keeps this second name. */
  readonly keepPreviousAs?: string;
}

/** AgentError `file-failed`. */
export async function writeFileAtomically(
  target: string,
  content: string | Uint8Array,
  { mode, durable, keepPreviousAs }: WriteOptions,
): Promise<void> {
  const temporary = temporaryFor(target);
  await writing(target, async () => {
    await writeTemporary(temporary, content, mode, durable);
    await orRemove(temporary, () => {
      if (keepPreviousAs !== undefined) keepAs(target, keepPreviousAs);
      renameSync(temporary, target);
    });
  });
  if (durable) await syncDirectory(path.dirname(target));
}

/** A new file, durable; AgentError `file-failed`, too, where there is something of that name, which is never replaced. */
export async function createFileAtomically(target: string, content: Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryFor(target);
  await writing(target, async () => {
    await writeTemporary(temporary, content, mode, true);
    await orRemove(temporary, () => {
      if (!linkUnlessTaken(temporary, target)) throw new Error('it is there already; name another file');
      rmSync(temporary);
    });
  });
  await syncDirectory(path.dirname(target));
}

/** Gives a file a second name in one step, so that it is never gone: the caller then replaces or removes the first. */
export function keepAs(target: string, secondName: string): void {
  const temporary = temporaryFor(secondName);
  rmSync(temporary, { force: true });
  try {
    linkSync(target, temporary);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  renameSync(temporary, secondName);
  // When both were already names of one file, rename(2) has done nothing.
  rmSync(temporary, { force: true });
}

/** A second name for a file; false when something has that name. */
export function linkUnlessTaken(file: string, secondName: string): boolean {
  try {
    linkSync(file, secondName);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** AgentError `file-failed`. */
export async function syncDirectory(directory: string): Promise<void> {
  await writing(directory, async () => {
    const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await sync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Temporaries that a killed run left in a folder; none in one that cannot be read. */
export function leftovers(directory: string): readonly string[] {
  return namesIn(directory)
    .filter((name) => name.startsWith('.') && name.endsWith(TEMPORARY_SUFFIX))
    .map((name) => path.join(directory, name));
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** As far as the disk allows: they are in nobody's way. */
export function removeLeftovers(paths: readonly string[]): void {
  for (const leftover of paths) {
    try {
      removeIfThere(leftover);
    } catch {
      // The next run tries again.
    }
  }
}

/** With what is missing above it. Throws the kernel's own error: Node's `recursive` says ENOENT where the disk is read-only. */
export function makeFolder(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    if (!hasCode(error, 'ENOENT') || path.dirname(folder) === folder) throw error;
    makeFolder(path.dirname(folder), mode);
    mkdirSync(folder, { mode });
  }
}

export function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

/** Whether another user could do it. */
export function isDenied(error: unknown): boolean {
  return hasCode(error, 'EACCES', 'EPERM');
}

/** Of an error of node:fs: one of these errno names. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function temporaryFor(target: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}${TEMPORARY_SUFFIX}`);
}

async function writeTemporary(
  temporary: string,
  content: string | Uint8Array,
  mode: number,
  durable: boolean,
): Promise<void> {
  rmSync(temporary, { force: true });
  // O_EXCL and O_NOFOLLOW: a link that somebody put there is never written through.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = openSync(temporary, flags, mode);
  await orRemove(temporary, async () => {
    try {
      writeFileSync(descriptor, content);
      // The mode of open() is cut by the umask.
      fchmodSync(descriptor, mode);
      if (durable) await sync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** What failed half-way takes no room on a disk that may be full. */
async function orRemove(temporary: string, work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Anything that goes wrong becomes an AgentError `file-failed` that names the target. */
export async function writing<T>(target: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new AgentError('file-failed', `writing ${target}: ${errorMessage(error)}`, { cause: error });
  }
}
