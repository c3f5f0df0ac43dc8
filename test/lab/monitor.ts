/** What the kernel of the VM announces, as `ip monitor` prints it. */
import { readFile } from 'node:fs/promises';
import type { Children } from './children.ts';
import { until } from './until.ts';

export interface MonitorLine {
  /** Milliseconds since the epoch, with a fraction: when `ip` read it. */
  readonly at: number;
  /** `[ADDR]3: eth1    inet 10.0.1.4/24 …`, the lines of one message joined. */
  readonly text: string;
}

export interface Monitor {
  /** So far. */
  lines(): readonly MonitorLine[];
  stop(): Promise<void>;
}

const NAMES = ['link', 'address', 'route', 'rule'];
/** `[2026-11-22T23:12:15.123456] `, in local time; ip-monitor(8) calls it the short form. */
const STAMP = /^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+)\] /;

/** Returns when it listens. */
export async function startMonitor(children: Children, namespace: string): Promise<Monitor> {
  const child = children.start({
    name: 'ip monitor',
    namespace,
    command: ['ip', '-ts', 'monitor', 'label', ...NAMES],
  });
  await until({
    what: 'ip monitor listens',
    read: () => readFile(`/proc/${child.pid}/net/netlink`, 'utf8'),
    holds: (sockets) => sockets.split('\n').some((line) => isListening(line, child.pid)),
  });
  return {
    lines: () => parseLines(child.stdout),
    stop: async () => {
      await child.end('SIGTERM');
    },
  };
}

/** Columns: sk, Eth (0 is rtnetlink), Pid (the socket's, by default that of its process), Groups … */
function isListening(line: string, pid: number): boolean {
  const [, protocol, port, groups] = line.split(/\s+/);
  return protocol === '0' && port === String(pid) && groups !== '00000000';
}

function parseLines(text: string): readonly MonitorLine[] {
  const messages: { at: number; text: string }[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const stamp = STAMP.exec(line)?.[1];
    const last = messages.at(-1);
    if (stamp !== undefined) messages.push({ at: milliseconds(stamp), text: line.replace(STAMP, '') });
    else if (last !== undefined) last.text += ` ${line.trim()}`;
  }
  return messages;
}

/** Date.parse keeps three digits of the fraction. */
function milliseconds(stamp: string): number {
  const [seconds = '', fraction = ''] = stamp.split('.');
  return Date.parse(seconds) + Number(`0.${fraction}`) * 1_000;
}
