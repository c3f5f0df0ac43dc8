/** Connections that stay open, so that a test can tell whether they outlive a change of the network. */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ActorCommands, Handlers, Typed } from './protocol.ts';

type SessionCommand = 'echo' | 'openSession' | 'exchange' | 'type' | 'stopTyping' | 'closeSession';

const LINE = 'are you there?\n';
const BYTE = '.';

export function sessionHandlers(): Pick<Handlers, SessionCommand> {
  const sockets = new Map<number, net.Socket>();
  const typists = new Map<number, AbortController>();
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
      await readEcho(socket, LINE.length, timeoutMs);
      return null;
    },
    type: (request) => {
      const over = new AbortController();
      typists.set(request.id, over);
      return typeBytes(find(request.id), request, over.signal);
    },
    stopTyping: async ({ id }) => {
      typists.get(id)?.abort();
      return null;
    },
    closeSession: async ({ id }) => {
      find(id).destroy();
      sockets.delete(id);
      return null;
    },
  };
}

/** One byte is under way at a time, so that nothing but a lost packet is ever sent twice (no tail loss probe, tcp(7)). */
async function typeBytes(
  socket: net.Socket,
  { everyMs, timeoutMs }: ActorCommands['type']['arguments'],
  over: AbortSignal,
): Promise<Typed> {
  let bytes = 0;
  let longestEchoMs = 0;
  for (; !over.aborted; bytes += 1) {
    const sentAt = performance.now();
    socket.write(BYTE);
    await readEcho(socket, BYTE.length, timeoutMs);
    const echoMs = performance.now() - sentAt;
    longestEchoMs = Math.max(longestEchoMs, echoMs);
    await sleep(Math.max(0, everyMs - echoMs));
  }
  return { bytes, longestEchoMs };
}

async function readEcho(socket: net.Socket, length: number, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  for (let received = 0; received < length; ) {
    if (socket.destroyed) throw new Error('waiting for an echo: the connection is closed');
    const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
    received += chunk.length;
  }
}
