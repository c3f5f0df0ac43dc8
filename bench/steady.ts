/** What a daemon costs while nothing changes. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../test/lab/daemon.ts';
import type { Lab } from '../test/lab/lab.ts';
import { EVERY_SECOND, inSync, sized } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { type Row, row } from './sample.ts';

/** With the primary, eight. */
const SECONDARIES = 7;
const ADDRESSES = 30;
const NETWORKS = ['10.0.1', '10.0.2', '10.0.3'];
/** The collection after the start, five seconds after it, is over by then. */
const WARM_UP_MS = sized(10_000, 30_000);
const WINDOW_MS = sized(12_000, 60_000);
/** At the default interval: two runs at least. */
const IDLE_MS = sized(20_000, 60_000);
/** What strace counts: of two runs and more. */
const TRACED_MS = 3_000;
const MS_PER_S = 1_000;
const NS_PER_MS = 1e6;
const KIB_PER_MIB = 1_024;

export async function measureSteady(lab: Lab): Promise<readonly Row[]> {
  const macs = [lab.primary.mac];
  for (let count = 0; count < SECONDARIES; count += 1) {
    const network = NETWORKS[count % NETWORKS.length];
    const first = 10 + 32 * Math.floor(count / NETWORKS.length);
    macs.push((await lab.attachEni({ addresses: addressRange(`${network}.${first}`, ADDRESSES) })).mac);
  }
  const busy = await watch(lab, macs, { config: EVERY_SECOND, windowMs: WINDOW_MS });
  const idle = await watch(lab, macs, { config: '', windowMs: IDLE_MS });
  const per = (what: keyof Counts): readonly number[] => [busy.spent[what] / busy.spent.runs];
  const perSecond = (what: keyof Counts): number => idle.spent[what] / idle.seconds;
  return [
    row('in sync at 8 NICs with 30 IPs: CPU of a run', 'ms', per('cpuMs')),
    row('… of the listener meanwhile', 'ms', per('listenerMs')),
    row('… wall time of a run', 'ms', busy.durations),
    row('… requests to the metadata service', '', per('requests')),
    row('… system calls', '', [await countCalls(lab, macs)]),
    row('idle at the default interval: CPU', '% of a core', [perSecond('cpuMs') / 10]),
    row('… times per second that the daemon was woken', '', [perSecond('wakes')]),
    row('… threads', '', [idle.threads]),
    row('… open files', '', [idle.fds]),
    row('… RSS of the daemon', 'MiB', [idle.memory.rss]),
    row('… private and dirty of it', 'MiB', [idle.memory.dirty]),
    row('… RSS of the listener', 'MiB', [idle.listener.rss]),
    row('… private and dirty of it', 'MiB', [idle.listener.dirty]),
  ];
}

interface Memory {
  readonly rss: number;
  readonly dirty: number;
}

interface Watched {
  readonly seconds: number;
  readonly spent: Counts;
  /** Of each run, by the daemon's own clock. */
  readonly durations: readonly number[];
  readonly threads: number;
  readonly fds: number;
  readonly memory: Memory;
  readonly listener: Memory;
}

/** A daemon to which nothing happens. */
async function watch(
  lab: Lab,
  macs: readonly string[],
  { config, windowMs }: { readonly config: string; readonly windowMs: number },
): Promise<Watched> {
  const daemon = await lab.vm.startDaemon({ asPackaged: true, config });
  await daemon.waitForStatus(inSync(...macs));
  await sleep(WARM_UP_MS);
  const listener = await childOf(daemon.pid);
  const before = await count(lab, daemon, listener);
  await sleep(windowMs);
  const after = await count(lab, daemon, listener);
  const seen = {
    seconds: windowMs / MS_PER_S,
    spent: difference(after, before),
    durations: daemon
      .log()
      .filter(({ msg }) => msg === 'run')
      .slice(before.runs)
      .map(({ durationMs }) => Number(durationMs)),
    threads: (await readdir(`/proc/${daemon.pid}/task`)).length,
    fds: await daemon.fds(),
    memory: await memoryOf(daemon.pid),
    listener: await memoryOf(listener),
  };
  await daemon.waitForStatus(inSync(...macs));
  await daemon.stop();
  const changes = daemon.log().filter(({ msg, outcome }) => msg === 'run' && outcome !== 'in-sync');
  if (changes.length > 1) throw new Error(`watching an idle daemon: it ran ${JSON.stringify(changes[1])}`);
  return seen;
}

/** Of one run, of all threads. */
async function countCalls(lab: Lab, macs: readonly string[]): Promise<number> {
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND, strace: 'trace=all' });
  await daemon.waitForStatus(inSync(...macs));
  const lines = async (): Promise<number> => (await daemon.strace()).split('\n').length;
  await sleep(TRACED_MS);
  const before = { lines: await lines(), runs: daemon.runs() };
  await sleep(TRACED_MS);
  const after = { lines: await lines(), runs: daemon.runs() };
  await daemon.stop();
  return (after.lines - before.lines) / (after.runs - before.runs);
}

interface Counts {
  readonly runs: number;
  readonly requests: number;
  readonly cpuMs: number;
  readonly listenerMs: number;
  readonly wakes: number;
}

async function count(lab: Lab, daemon: Daemon, listener: number): Promise<Counts> {
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  return {
    runs: daemon.runs(),
    requests: (await lab.metadata.requests()).length,
    cpuMs: await cpuMs(daemon.pid),
    listenerMs: await cpuMs(listener),
    wakes: Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1]),
  };
}

function difference(after: Counts, before: Counts): Counts {
  const entries = Object.entries(after).map(([key, value]) => [key, value - before[key as keyof Counts]]);
  return Object.fromEntries(entries) as Counts;
}

/** Of all threads. */
async function cpuMs(pid: number): Promise<number> {
  let sum = 0;
  for (const thread of await readdir(`/proc/${pid}/task`))
    sum += Number((await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')).split(' ')[0]);
  return sum / NS_PER_MS;
}

async function childOf(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0]);
}

async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (key: string): number =>
    Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1]) / KIB_PER_MIB;
  return { rss: mib('Rss'), dirty: mib('Private_Dirty') };
}
