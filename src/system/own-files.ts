/** Files as we left them, so that a watcher that hears of one can tell whether that is news. */
import { lstatSync } from 'node:fs';

export interface OwnFiles {
  /** It was written or removed just now. */
  readonly changed: (file: string) => void;
  /** Nobody has written, replaced or removed it since. */
  readonly isAsLeft: (file: string) => boolean;
}

export function createOwnFiles(): OwnFiles {
  const left = new Map<string, string>();
  return {
    changed: (file) => {
      left.set(file, identify(file));
    },
    isAsLeft: (file) => left.get(file) === identify(file),
  };
}

/** '' for what is not there, or cannot be looked at. Of a link its own: what we write is none. */
export function identify(file: string): string {
  try {
    const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? '' : `${stats.ino} ${stats.mtimeNs} ${stats.size}`;
  } catch {
    return '';
  }
}
