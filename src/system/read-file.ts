/**
 * Small files, read at once. A thread of the pool costs several times what the kernel takes for a file that is in memory anyway,
 * and a look reads dozens.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** Nothing that is read here is larger; more is nobody's configuration and not read into memory. */
const MAXIMUM_BYTES = 16 * 1024 * 1024;

/** undefined for what is no regular file (a FIFO would keep us waiting for ever) or larger. Throws what node:fs throws. */
export function readRegularFile(file: string, maximumBytes = MAXIMUM_BYTES): string | undefined {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size > maximumBytes) return undefined;
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
