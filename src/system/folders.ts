/**
 * Says that something in a few folders changed, by its path. A folder that is not there yet is waited for in the one above it, and is said
 * after it is watched: whoever looks at it then misses nothing. (chokidar lists a folder first and watches it second, and what is made in
 * between is never told.)
 */
import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import { hasCode } from './atomic-file.ts';

export interface WatchedFolders {
  close(): void;
}

export interface FolderOptions {
  /** Exists, and is above all others. */
  readonly top: string;
  readonly folders: readonly string[];
  /** A path in one of the folders, or a folder itself, which came or went. It may be said more often than it changed. */
  readonly onChange: (changed: string) => void;
  /** A folder is there and cannot be watched. */
  readonly onProblem: (problem: unknown) => void;
}

export function watchFolders({ top, folders, onChange, onProblem }: FolderOptions): WatchedFolders {
  const wanted = new Set(folders.flatMap((folder) => upTo(top, folder)));
  const watchers = new Map<string, FSWatcher>();

  const open = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
    try {
      const watcher = watch(folder, (_event, name) => name !== null && changed(path.join(folder, name)));
      watcher.on('error', onProblem);
      watchers.set(folder, watcher);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR')) onProblem(error);
    }
    for (const below of wanted) if (path.dirname(below) === folder && below !== folder) open(below);
  };
  const changed = (file: string): void => {
    if (wanted.has(file)) open(file);
    onChange(file);
  };
  open(top);
  return {
    close: () => {
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** The folder and those above it, the top included. */
function upTo(top: string, folder: string): readonly string[] {
  return folder === top ? [folder] : [...upTo(top, path.dirname(folder)), folder];
}
