/**
 * Small files, read at once. A thread of the pool costs several times what the kernel takes for a file that is in memory anyway,
 * and a look reads dozens.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { hasCode } from './atomic-file.ts';

/** Nothing that is read here is larger; more is nobody's configuration and not read into memory. */
const MAXIMUM_BYTES = 16 * 1024 * 1024;

/** undefined for what is no regular file (a FIFO would keep us waiting for ever) or larger. Throws what node:fs throws. */
export function readRegularFile(file: string, maximumBytes = MAXIMUM_BYTES): string | undefined {
  return readWith(file, 0, maximumBytes);
}

/** Of a file that nobody but us writes: a symbolic link in its place is none of ours, and is not followed: undefined as well. */
export function readOwnFile(file: string): string | undefined {
  try {
    return readWith(file, constants.O_NOFOLLOW, MAXIMUM_BYTES);
  } catch (error) {
    if (hasCode(error, 'ELOOP')) return undefined;
    throw error;
  }
}

function readWith(file: string, flags: number, maximumBytes: number): string | undefined {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | flags);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size > maximumBytes) return undefined;
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
