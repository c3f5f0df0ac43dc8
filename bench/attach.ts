/**
 * From the kernel's announcement of a new link to the daemon's last change for it and to its verification, with 1 + 9 addresses, and beside
 * it the same objects set by one `ip -batch` that is started for it.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { execa } from 'execa';
import type { Lab } from '../test/lab/lab.ts';
import type { Monitor, MonitorLine } from '../test/lab/monitor.ts';
import { inNamespace } from '../test/lab/netns.ts';
import { inSync } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { until } from '../test/lab/until.ts';
import type { Noted, Span } from './probe.ts';
import { REPEATS, type Row, row } from './sample.ts';

const ADDRESSES = addressRange('10.0.1.4', 10);
/** Nothing is announced for that long: it is over. */
const QUIET_MS = 200;
/** `ip monitor` is another process: it tells when it is given a CPU, which may be after the daemon has verified. */
const MONITOR_LAG_MS = 5;

/** The second row is the attach as a whole. */
export async function measureAttach(lab: Lab): Promise<readonly Row[]> {
  const floor = row('ip -batch', 'ms', await measureBatches(lab));
  const attaches = await measureAttaches(lab);
  const of = (part: keyof Attach): readonly number[] => attaches.map((attach) => attach[part]);
  return [
    floor,
    row('attach of 1 + 9 IPs, link event to verified', 'ms', of('verified'), floor),
    row('… to the last change', 'ms', of('changed'), floor),
    row('… of which it waits for the metadata service', 'ms', of('metadata')),
    row('… and for the disk', 'ms', of('fsync')),
    row('… and for nothing', 'ms', of('own')),
  ];
}

/** Milliseconds. */
interface Attach {
  /** From the link event to the last change in the kernel. */
  readonly changed: number;
  /** To the end of the verification. */
  readonly verified: number;
  /** A part of `verified`: a request was under way. What the agent did meanwhile is in it, too. */
  readonly metadata: number;
  /** An fsync was under way, and no request. */
  readonly fsync: number;
  /** The rest. */
  readonly own: number;
}

async function measureAttaches(lab: Lab): Promise<readonly Attach[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-bench-'));
  const file = path.join(folder, 'noted.json');
  const probe = await bundleProbe(folder);
  const through = ['env', `NODE_OPTIONS=--require=${probe}`, `ENI_BENCH_PROBE=${file}`];
  const daemon = await lab.vm.startDaemon({ asPackaged: true, through });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const notes = (): Promise<Noted> => {
    process.kill(daemon.pid, 'SIGUSR2');
    return takeNotes(file);
  };
  const attaches: Attach[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    await notes();
    const monitor = await lab.vm.monitor();
    const { mac } = await lab.announceEni({ addresses: ADDRESSES });
    await lab.plugIn(mac);
    // Nobody asks the daemon anything before it is done: an answer is work, too.
    await waitForQuiet(monitor);
    await daemon.waitForStatus(inSync(mac));
    attaches.push(attachOf(monitor.lines(), await notes()));
    await monitor.stop();
    await lab.detachEni(mac);
    await until({
      what: 'the rules of the detached ENI are gone',
      read: async () => (await lab.vm.run('ip', ['rule'])).stdout,
      holds: (rules) => !rules.includes('10.0.1.'),
    });
  }
  await daemon.stop();
  await rm(folder, { recursive: true });
  return attaches;
}

export async function bundleProbe(folder: string): Promise<string> {
  const outfile = path.join(folder, 'probe.cjs');
  const entryPoints = [new URL('./probe.ts', import.meta.url).pathname];
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'cjs', target: 'node20' });
  return outfile;
}

/** What the probe, which got SIGUSR2, has noted since the last time. */
export async function takeNotes(file: string): Promise<Noted> {
  const text = await until({
    what: 'the probe has written its notes',
    read: () => readFile(file, 'utf8').catch(() => ''),
    holds: (found) => found !== '',
  });
  await rm(file);
  return JSON.parse(text) as Noted;
}

async function waitForQuiet(monitor: Monitor): Promise<void> {
  await until({
    what: 'the kernel announces nothing more',
    read: async () => {
      const before = monitor.lines().length;
      await sleep(QUIET_MS);
      const lines = monitor.lines();
      const hasAll = ADDRESSES.every((address) => lines.some(({ text }) => text.includes(` ${address}/`)));
      return hasAll && lines.length === before;
    },
    holds: (isQuiet) => isQuiet,
  });
}

/** Without IPv6: the kernel's own link-local address follows the carrier. */
function attachOf(lines: readonly MonitorLine[], { requests, fsyncs, verified }: Noted): Attach {
  const link = lines.find(({ text }) => text.startsWith('[LINK]') && text.includes(' eth1'));
  const changes = lines.filter(({ text }) => /^\[(ADDR|ROUTE|RULE)\]/.test(text) && !text.includes('::'));
  const from = link?.at ?? Number.NaN;
  const last = changes.at(-1)?.at ?? Number.NaN;
  const to = verified.findLast((at) => at > from) ?? Number.NaN;
  if (!(to > last - MONITOR_LAG_MS))
    throw new Error(`an attach that did not verify: ${JSON.stringify({ from, last, verified })}`);
  const clip = (spans: readonly Span[]): readonly Span[] =>
    spans.map((span) => ({ from: Math.max(span.from, from), to: Math.min(span.to, to) }));
  const metadata = covered(clip(requests));
  const either = covered(clip([...requests, ...fsyncs]));
  const all = to - from;
  return { changed: last - from, verified: all, metadata, fsync: either - metadata, own: all - either };
}

/** How long at least one of them was under way. */
function covered(spans: readonly Span[]): number {
  let sum = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}

async function measureBatches(lab: Lab): Promise<readonly number[]> {
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const set = [
    'link set eth1 up',
    'route add 10.0.0.0/24 via 10.0.1.1 dev eth1 onlink table 999',
    'route add 10.0.1.0/24 dev eth1 table 999',
    'route add default via 10.0.1.1 dev eth1 table 999',
    ...ADDRESSES.map((address) => `rule add from ${address} lookup 999 priority 999`),
    ...ADDRESSES.map((address) => `addr add ${address}/24 dev eth1`),
  ];
  const clear = [
    ...ADDRESSES.map((address) => `rule del from ${address} lookup 999 priority 999`),
    'addr flush dev eth1',
    'link set eth1 down',
  ];
  const durations: number[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    const startedAt = performance.now();
    await batch(lab, set);
    durations.push(performance.now() - startedAt);
    await batch(lab, clear);
  }
  await lab.detachEni(mac);
  return durations;
}

async function batch(lab: Lab, lines: readonly string[]): Promise<void> {
  const [file, ...args] = inNamespace(lab.vm.namespace, ['ip', '-batch', '-']);
  await execa(file, args, { input: `${lines.join('\n')}\n` });
}
