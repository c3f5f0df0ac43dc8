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
const WARM_UP_MS = sized(3_000, 30_000);
const WINDOW_MS = sized(12_000, 60_000);
const NS_PER_MS = 1e6;
const KIB_PER_MIB = 1_024;

export async function measureSteady(lab: Lab): Promise<readonly Row[]> {
  const macs: string[] = [];
  for (let count = 0; count < SECONDARIES; count += 1) {
    const network = NETWORKS[count % NETWORKS.length];
    const first = 10 + 32 * Math.floor(count / NETWORKS.length);
    macs.push((await lab.attachEni({ addresses: addressRange(`${network}.${first}`, ADDRESSES) })).mac);
  }
  const daemon = await lab.vm.startDaemon({ asPackaged: true, config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac, ...macs));
  await sleep(WARM_UP_MS);
  const listener = await childOf(daemon.pid);
  const before = await look(lab, daemon, listener);
  await sleep(WINDOW_MS);
  const after = await look(lab, daemon, listener);
  await daemon.waitForStatus(inSync(lab.primary.mac, ...macs));
  const memory = { daemon: await memoryOf(daemon.pid), listener: await memoryOf(listener) };
  await daemon.stop();
  const per = (what: 'cpuMs' | 'listenerMs' | 'requests' | 'wakes'): readonly number[] => [
    (after[what] - before[what]) / (after.runs - before.runs),
  ];
  return [
    row('in sync at 8 NICs with 30 IPs: CPU of a run', 'ms', per('cpuMs')),
    row('… of the listener meanwhile', 'ms', per('listenerMs')),
    row('… requests to the metadata service', '', per('requests')),
    row('… times that the daemon was woken', '', per('wakes')),
    row('… RSS of the daemon', 'MiB', [memory.daemon.rss]),
    row('… private and dirty of it', 'MiB', [memory.daemon.dirty]),
    row('… RSS of the listener', 'MiB', [memory.listener.rss]),
  ];
}

interface Look {
  readonly runs: number;
  readonly requests: number;
  readonly cpuMs: number;
  readonly listenerMs: number;
  readonly wakes: number;
}

async function look(lab: Lab, daemon: Daemon, listener: number): Promise<Look> {
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  return {
    runs: daemon.runs(),
    requests: (await lab.metadata.requests()).length,
    cpuMs: await cpuMs(daemon.pid),
    listenerMs: await cpuMs(listener),
    wakes: Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1]),
  };
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

async function memoryOf(pid: number): Promise<{ readonly rss: number; readonly dirty: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (key: string): number =>
    Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1]) / KIB_PER_MIB;
  return { rss: mib('Rss'), dirty: mib('Private_Dirty') };
}
