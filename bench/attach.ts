/**
 * From the kernel's announcement of a new link to the daemon's last change for it, with 1 + 9 addresses, and beside it the
 * same objects set by one `ip -batch` that is started for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Lab } from '../test/lab/lab.ts';
import type { Monitor, MonitorLine } from '../test/lab/monitor.ts';
import { inNamespace } from '../test/lab/netns.ts';
import { inSync } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { until } from '../test/lab/until.ts';
import { REPEATS, type Row, row } from './sample.ts';

const ADDRESSES = addressRange('10.0.1.4', 10);
/** Nothing is announced for that long: it is over. */
const QUIET_MS = 200;

export async function measureAttach(lab: Lab): Promise<readonly Row[]> {
  const floor = row('ip -batch', 'ms', await measureBatches(lab));
  return [
    floor,
    row('attach of 1 + 9 IPs, link event to last change', 'ms', await measureAttaches(lab), floor),
  ];
}

async function measureAttaches(lab: Lab): Promise<readonly number[]> {
  const daemon = await lab.vm.startDaemon({ asPackaged: true });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const durations: number[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    const monitor = await lab.vm.monitor();
    const { mac } = await lab.announceEni({ addresses: ADDRESSES });
    await lab.plugIn(mac);
    // Nobody asks the daemon anything before it is done: an answer is work, too.
    await waitForQuiet(monitor);
    await daemon.waitForStatus(inSync(mac));
    durations.push(durationOf(monitor.lines()));
    await monitor.stop();
    await lab.detachEni(mac);
    await until({
      what: 'the rules of the detached ENI are gone',
      read: async () => (await lab.vm.run('ip', ['rule'])).stdout,
      holds: (rules) => !rules.includes('10.0.1.'),
    });
  }
  await daemon.stop();
  return durations;
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
function durationOf(lines: readonly MonitorLine[]): number {
  const link = lines.find(({ text }) => text.startsWith('[LINK]') && text.includes(' eth1'));
  const changes = lines.filter(({ text }) => /^\[(ADDR|ROUTE|RULE)\]/.test(text) && !text.includes('::'));
  return (changes.at(-1)?.at ?? Number.NaN) - (link?.at ?? Number.NaN);
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
