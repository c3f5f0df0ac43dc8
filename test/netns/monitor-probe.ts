/** A process in a network namespace of its own that listens to the kernel, and makes changes of its own. The test forks it. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { KernelRequest } from '../../src/kernel/codec.ts';
import { expecting, openMonitor } from '../../src/kernel/monitor.ts';
import { openRtnetlink } from '../../src/kernel/socket.ts';
import { assertPrivateNamespace } from '../lab/guard.ts';

export type ProbeCommand =
  /** Through the socket that is ours. */
  | { readonly kind: 'transact'; readonly requests: readonly KernelRequest[] }
  /** Through one that is not; answers the milliseconds from before each request to its event. */
  | { readonly kind: 'latency'; readonly requests: readonly KernelRequest[] }
  /** Runs `ip -batch` while nothing is read. */
  | { readonly kind: 'block'; readonly batch: string }
  | { readonly kind: 'sockets' };

export interface ProbeReply {
  readonly answer: readonly number[];
}

export interface ProbeEvent {
  readonly event: string;
}

assertPrivateNamespace();
const rung = new EventTarget();
const rtnetlink = openRtnetlink();
const foreign = openRtnetlink();
const monitor = openMonitor({
  isOwnPort: (port) => port === rtnetlink.port,
  onEvent: ({ kind }) => {
    rung.dispatchEvent(new Event('ring'));
    send({ event: kind });
  },
});
const ours = expecting(rtnetlink, monitor);

function send(message: ProbeReply | ProbeEvent): void {
  process.send?.(message);
}

async function obey(command: ProbeCommand): Promise<readonly number[]> {
  switch (command.kind) {
    case 'transact':
      return ours.transact(command.requests);
    case 'latency':
      return measure(command.requests);
    case 'block':
      execFileSync('ip', ['-batch', '-'], { input: command.batch });
      return [];
    case 'sockets':
      return [readdirSync('/proc/self/fd').length];
  }
}

async function measure(requests: readonly KernelRequest[]): Promise<readonly number[]> {
  const latencies: number[] = [];
  for (const request of requests) {
    const startedAt = performance.now();
    const rang = new Promise((resolve) => {
      rung.addEventListener('ring', resolve, { once: true });
    });
    const done = foreign.transact([request]);
    await rang;
    latencies.push(performance.now() - startedAt);
    await done;
  }
  return latencies;
}

process.on('message', (command: ProbeCommand) => {
  void obey(command).then((answer) => send({ answer }));
});
process.on('disconnect', () => process.exit());
await monitor.ready;
send({ answer: [] });
