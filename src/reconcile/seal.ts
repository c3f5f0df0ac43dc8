/**
 * `seal`: what belongs to this one VM leaves the disk, so that an image of it is nobody's: the state with all its generations, and
 * the files that were rendered for its NICs. The kernel is not touched: the VM goes on until it is shut down.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { removeFile } from '../apply/files.ts';
import { AgentError, errorMessage } from '../errors.ts';
import { companionPaths, isOurs, originalPath, parseFilePath } from '../model/files.ts';
import { observeFiles } from '../observe/files.ts';
import { isMissing, leftovers, syncDirectory } from '../system/atomic-file.ts';
import { withLock } from '../system/lock.ts';
import type { Paths } from '../system/paths.ts';
import { readState } from '../system/state-file.ts';
import { readTrial } from '../system/trial-file.ts';
import { unconfirmed } from './trial.ts';

export interface Sealed {
  /** Paths as the distribution knows them. */
  readonly removed: readonly string[];
  /** Those that have again what was there before us. */
  readonly restored: readonly string[];
  readonly problems: readonly string[];
}

/**
 * AgentError when nothing could be done: no lock, or a state that this user may not read; `change-unconfirmed` while a change waits,
 * since what it is rolled back by is on the disk.
 */
export function seal(paths: Paths): Promise<Sealed> {
  return withLock(paths.lock, async () => {
    const trial = readTrial(paths);
    if (trial !== null) throw unconfirmed(trial);
    const problems: string[] = [];
    const complain = (error: unknown): void => {
      const isNothing = isMissing(error instanceof AgentError ? error.cause : error);
      if (!isNothing) problems.push(`sealing this disk: ${errorMessage(error)}`);
    };
    const scripts = clearScripts(paths, complain);
    const remains = await clearRemains(paths, complain);
    for (const folder of [paths.networkScripts, paths.connections, paths.stateDirectory])
      await syncDirectory(folder).catch(complain);
    return { removed: [...scripts.removed, ...remains], restored: scripts.restored, problems };
  });
}

type Complain = (error: unknown) => void;

/** The files of the NICs; where somebody's was before ours, that one is back. */
function clearScripts(paths: Paths, complain: Complain): Pick<Sealed, 'removed' | 'restored'> {
  const { files, filesProblem } = observeFiles(paths);
  if (filesProblem !== undefined) complain(filesProblem);
  const there = new Set(files.map((file) => file.path));
  const ours = new Set(files.filter(isOurs).map((file) => file.path));
  const removed: string[] = [];
  const restored: string[] = [];
  for (const file of writtenPaths(paths, ours)) {
    const isReplaced = there.has(originalPath(file));
    if (!ours.has(file) && (there.has(file) || !isReplaced)) continue;
    try {
      removeFile(paths.below(file), 'restore');
      (isReplaced ? restored : removed).push(file);
    } catch (error) {
      complain(error);
    }
  }
  return { removed, restored };
}

/** Every path that a file of ours is at, or was. */
function writtenPaths(paths: Paths, ours: ReadonlySet<string>): readonly string[] {
  const remembered = Object.values(readState(paths).state.nics).flatMap(({ files }) => files);
  const companions = [...ours].flatMap(companionPaths);
  const all = new Set([...ours, ...companions, ...remembered]);
  return [...all].filter((file) => parseFilePath(file) !== undefined).toSorted();
}

/** All of our own folder, what a killed run has left, and what /run says of this VM. */
async function clearRemains(paths: Paths, complain: Complain): Promise<readonly string[]> {
  const names = await readdir(paths.stateDirectory).catch((error: unknown): string[] => {
    complain(error);
    return [];
  });
  const removed: string[] = [];
  for (const file of [
    ...leftovers(paths.networkScripts),
    ...leftovers(paths.connections),
    ...names.toSorted().map((name) => path.join(paths.stateDirectory, name)),
    paths.journal,
    paths.parkedState,
  ]) {
    try {
      await rm(file, { recursive: true });
      removed.push(`/${path.relative(paths.root, file)}`);
    } catch (error) {
      complain(error);
    }
  }
  return removed;
}
