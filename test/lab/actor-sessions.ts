/** Connections that stay open, so that a test can tell whether they outlive a change of the network. */
import { once } from 'node:events';
import net from 'node:net';
import type { Handlers } from './protocol.ts';

type SessionCommand = 'echo' | 'openSession' | 'exchange' | 'closeSession';

const LINE = 'are you there?\n';

export function sessionHandlers(): Pick<Handlers, SessionCommand> {
  const sockets = new Map<number, net.Socket>();
  let opened = 0;
  const find = (id: number): net.Socket => {
    const socket = sockets.get(id);
    if (socket === undefined) throw new Error(`looking up session ${id}: there is none`);
    return socket;
  };
  return {
    echo: async ({ port }) => {
      const server = net.createServer({ noDelay: true }, (socket) => {
        socket.on('error', () => socket.destroy());
        socket.pipe(socket);
      });
      server.listen({ host: '::', port });
      await once(server, 'listening');
      return null;
    },
    openSession: async ({ to, port, timeoutMs }) => {
      const socket = net.connect({ host: to, port, noDelay: true });
      await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
      // What happens to it later is told by the next exchange.
      socket.on('error', () => socket.destroy());
      opened += 1;
      sockets.set(opened, socket);
      return { id: opened, localPort: socket.localPort ?? 0 };
    },
    exchange: async ({ id, timeoutMs }) => {
      const socket = find(id);
      socket.write(LINE);
      await readLine(socket, AbortSignal.timeout(timeoutMs));
      return null;
    },
    closeSession: async ({ id }) => {
      find(id).destroy();
      sockets.delete(id);
      return null;
    },
  };
}

async function readLine(socket: net.Socket, signal: AbortSignal): Promise<void> {
  let text = '';
  while (text.length < LINE.length) {
    if (socket.destroyed) throw new Error('exchanging a line: the connection is closed');
    const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
    text += chunk.toString();
  }
}
