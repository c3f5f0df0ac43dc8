/**
 * How to take the place of a Unix socket whose server is gone.
 *
 * Connections belong to the inode and not to its name, so a socket can be bound beside its place, be given its mode, and
 * then be renamed into place: at the name there is never a socket that does not listen yet or that others may open.
 */
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import type net from 'node:net';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';
import { isDenied, isMissing } from './atomic-file.ts';
import { withLock } from './lock.ts';
import { fitsSocket, isListening, MAX_PATH_BYTES } from './unix-socket.ts';

const SOCKET_MODE = 0o600;
const NURSERY_MODE = 0o700;

export interface ClaimedSocket {
  /** Removes the file if it is still that of this server. To be called while the server listens. */
  remove(): Promise<void>;
}

/**
 * Makes the server listen at `file`, mode 0600 from the first instant, in the place of the socket of a daemon that was killed.
 * AgentError `daemon-running` when somebody listens there, `path-too-long`, `permission-denied`, `file-failed`.
 *
 * Of two that start at once one comes second to the lock, and finds the first one listening.
 */
export async function claimSocket(server: net.Server, file: string): Promise<ClaimedSocket> {
  assertFits(file);
  try {
    return await withLock(`${file}.lock`, async () => {
      if (await isListening(file)) throw running(file);
      return await replaceSocket(server, file);
    });
  } catch (error) {
    if (server.listening) server.close();
    throw error instanceof AgentError ? error : failure(file, error);
  }
}

/** The caller holds the lock: the nursery is there for one at a time, and what is in it is of somebody who was killed. */
async function replaceSocket(server: net.Server, file: string): Promise<ClaimedSocket> {
  const nursery = path.join(path.dirname(file), '.new');
  await rm(nursery, { recursive: true, force: true });
  await mkdir(nursery, { mode: NURSERY_MODE });
  // No longer than `control.sock`, and of this server alone: libuv removes the name that was bound when the server closes.
  const born = path.join(nursery, randomBytes(4).toString('hex').slice(1));
  await listen(server, born);
  // No umask() around bind(2): that one is the whole process's, file operations of other threads included.
  await chmod(born, SOCKET_MODE);
  const { dev, ino } = await lstat(born);
  await rename(born, file);
  await rm(nursery, { recursive: true, force: true });
  return {
    async remove() {
      try {
        const there = await lstat(file);
        // A listening server's file is replaced by nobody, and its inode number is given to no other file.
        if (there.dev === dev && there.ino === ino) await rm(file);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
  };
}

function listen(server: net.Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(file, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function assertFits(file: string): void {
  if (fitsSocket(file)) return;
  throw new AgentError(
    'path-too-long',
    `listening on ${file}: the path has ${Buffer.byteLength(file)} bytes, a Unix socket's at most ${MAX_PATH_BYTES}; use a shorter --root`,
  );
}

function running(file: string): AgentError {
  return new AgentError(
    'daemon-running',
    `listening on ${file}: another daemon does; stop it first, or ask it: \`eni-agent status\`, \`eni-agent reconfigure\``,
  );
}

function failure(file: string, cause: unknown): AgentError {
  const message = `listening on ${file}: ${errorMessage(cause)}`;
  return isDenied(cause)
    ? new AgentError('permission-denied', `${message}; run as root`, { cause })
    : new AgentError('file-failed', message, { cause });
}
