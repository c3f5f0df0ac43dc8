/** The file of a Unix socket, as seen by who wants to talk: it is all that a command loads. claim-socket.ts is the server's side. */
import net from 'node:net';
import { hasCode } from './atomic-file.ts';

/** unix(7): sun_path has 108 bytes with its final zero. Node 20 cuts a longer path and uses what is left. */
export const MAX_PATH_BYTES = 107;

export function fitsSocket(file: string): boolean {
  return Buffer.byteLength(file) <= MAX_PATH_BYTES;
}

/** Whether a process listens there. Rejects with the errno of connect(2) where it does not tell. */
export function isListening(file: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ECONNREFUSED')) resolve(false);
      // Its queue is full (connect(2)): so there is one.
      else if (hasCode(error, 'EAGAIN')) resolve(true);
      else reject(error);
    });
  });
}
