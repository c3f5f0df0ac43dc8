/**
 * What the kernel multicasts, heard by a process of its own.
 *
 * A listener that is too slow (or stopped, or kept busy by a storm of changes) has its receive buffer overrun: ENOBUFS, which epoll reports as an error
 * condition. libuv gives up on a socket then, and `netlink` 0.3.0 throws a C++ exception through libuv's C (PollHandler makes
 * a string of a null pointer), which aborts the process. So the process that dies of it is one that does nothing else, and is replaced.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { align, readU32 } from './codec.ts';

export interface ListenerOptions {
  /** linux/rtnetlink.h, enum rtnetlink_groups. */
  readonly groups: readonly number[];
  /** Sent when the groups are joined; its answer comes between the notifications, in the kernel's order. */
  readonly question: Uint8Array;
  /** Whole messages. */
  readonly onMessages: (messages: Uint8Array) => void;
  /** No more messages will come. */
  readonly onEnd: () => void;
}

export interface Listener {
  close(): void;
}

/** Bytes that wait for the parent: with more it is better off without the details. */
const LONGEST_BACKLOG = 1024 * 1024;

/** It ends with its parent, whose end of stdin closes. */
const LISTEN = `
const [module, groups, question] = process.argv.slice(1);
const { RawNetlinkSocket } = require(module);
const socket = new RawNetlinkSocket(0, { recvBufferSize: 1024 * 1024, sendBufferSize: 32 * 1024 });
socket.on('message', (datagram, { port }) => {
  if (port !== 0) return;
  process.stdout.write(datagram);
  if (process.stdout.writableLength > ${LONGEST_BACKLOG}) process.exit();
});
socket.on('error', () => process.exit());
for (const group of groups.split(',')) socket.addMembership(Number(group));
socket.send(Buffer.from(question, 'hex'));
process.stdin.on('end', () => process.exit()).resume();
`;

/** It holds one notification at a time. */
const NODE_OPTIONS = ['--max-semi-space-size=1', '--eval'];

/** Does not keep the event loop alive. */
export function startListener({ groups, question, onMessages, onEnd }: ListenerOptions): Listener {
  const module = createRequire(import.meta.url).resolve('netlink/dist/raw.js');
  const args = [...NODE_OPTIONS, LISTEN, module, groups.join(','), Buffer.from(question).toString('hex')];
  // Nothing of ours is in its environment: NODE_EXTRA_CA_CERTS alone would triple its start-up.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
  let rest: Uint8Array = new Uint8Array(0);
  let isEnded = false;
  const end = (): void => {
    if (isEnded) return;
    isEnded = true;
    child.kill('SIGKILL');
    onEnd();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = wholeMessagesBytes(bytes);
    rest = bytes.subarray(whole);
    if (whole > 0 && !isEnded) onMessages(bytes.subarray(0, whole));
  });
  child.stdin.on('error', end);
  child.on('error', end);
  child.on('close', end);
  // The process's own hold on the loop, and that of its pipes (a Socket, which the type doesn't say).
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) if (pipe instanceof Socket) pipe.unref();
  return {
    close: () => {
      isEnded = true;
      child.kill('SIGKILL');
    },
  };
}

/** A pipe knows no datagrams: how many of the bytes are messages that are there to their end. */
function wholeMessagesBytes(bytes: Uint8Array): number {
  let offset = 0;
  while (offset + 4 <= bytes.length) {
    const next = offset + align(readU32(bytes, offset));
    if (next > bytes.length || next === offset) break;
    offset = next;
  }
  return offset;
}
