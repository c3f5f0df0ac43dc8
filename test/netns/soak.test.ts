/** A day compressed: thousands of events as fast as they can be made, one daemon. It holds nothing more than before, and the last state is right. */
import { execa } from 'execa';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Daemon } from '../lab/daemon.ts';
import { type Insight, installProbe } from '../lab/insight.ts';
import type { Lab } from '../lab/lab.ts';
import { inNamespace } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, sized, waitForNetwork } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const EVENTS = sized(200, 20_000);
const TIMEOUT_MS = sized(60_000, 1_800_000);
/** Of the kernel, between two of the cloud's. */
const BATCH = 98;
/** The heap has its size after so many; what grows from there on grows for ever. */
const WARM_UP = 0.2;
/** KiB. V8 rounds up, and keeps what it had once. */
const HEAP_TOLERANCE = 1_024;
const RSS_TOLERANCE = 10_240;
const HELD = ['fds', 'netlinkSockets', 'children', 'timers', 'requests'] as const;
const SEED = Date.now() % 0x7fff_ffff;

const ADDRESSES = addressRange('10.0.1.4', 10);
const COMING_AND_GOING = '10.0.1.30';

/** What others do and undo, and what they undo of ours; `n` makes it unlike the others. */
const KERNEL_EVENTS: readonly ((n: number) => readonly [string, string])[] = [
  (n) => [
    `rule add from 100.64.${n}.0/24 lookup 100 priority ${1_000 + n}`,
    `rule del priority ${1_000 + n}`,
  ],
  (n) => [
    `address add 10.0.1.${100 + (n % 100)}/32 dev eth1`,
    `address del 10.0.1.${100 + (n % 100)}/32 dev eth1`,
  ],
  (n) => [`route add 100.65.${n}.0/24 dev other0`, `route del 100.65.${n}.0/24 dev other0`],
  (n) => [
    `route add 100.66.${n}.0/24 via 10.0.0.1 dev eth0 table ${300 + n}`,
    `route flush table ${300 + n}`,
  ],
  (n) => [`link add t${n} type veth peer name u${n}`, `link del t${n}`],
  (n) => [`address add 192.168.${n}.1/24 dev other0`, `address del 192.168.${n}.1/24 dev other0`],
  (n) => [`rule del from 10.0.1.${4 + (n % 10)} lookup 21001`, `route del default table 21001 metric 0`],
  (n) => [`address del 10.0.1.${5 + (n % 9)}/24 dev eth1`, 'link set eth1 mtu 1500'],
  () => ['link set eth1 down', 'link set eth1 up'],
];

/** All in one process; what the daemon has put in order again meanwhile is no error. */
async function batch({ vm }: Lab, seed: number): Promise<void> {
  const events = fc.tuple(fc.constantFrom(...KERNEL_EVENTS), fc.nat(200));
  const lines = fc.sample(events, { numRuns: BATCH / 2, seed }).flatMap(([event, n]) => event(n));
  const [file, ...args] = inNamespace(vm.namespace, ['ip', '-force', '-batch', '-']);
  await execa(file, args, { input: `${lines.join('\n')}\n`, reject: false });
}

/** The cloud's event, and the operator's. */
async function cloudAndOperator(lab: Lab, daemon: Daemon, mac: string, round: number): Promise<void> {
  if (round % 2 === 0) await lab.assignAddress(mac, COMING_AND_GOING);
  else await lab.unassignAddress(mac, COMING_AND_GOING);
  if (round % 3 === 0) await daemon.status();
  else daemon.reload();
}

test(`${EVENTS} events leave a daemon as it was`, { timeout: TIMEOUT_MS }, async () => {
  const lab = await openLab();
  await lab.vm.run('sh', [
    '-c',
    'ip link add other0 type veth peer name other1; ip link set other0 up; ip link set other1 up',
  ]);
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const probe = await installProbe(lab.vm);
  const daemon = await lab.vm.startDaemon({ asPackaged: true, config: EVERY_SECOND, through: probe.through });
  await daemon.waitForStatus(inSync(mac));
  const before = await networkOf(lab.vm);
  const first = await probe.read(daemon.pid);
  const samples: Insight[] = [];
  const rounds = 2 * Math.ceil(EVENTS / (BATCH + 2) / 2);
  for (let round = 0; round < rounds; round += 1) {
    await batch(lab, SEED + round);
    await cloudAndOperator(lab, daemon, mac, round);
    if (round % Math.ceil(rounds / 20) === 0) samples.push(await probe.read(daemon.pid));
  }
  const calm = daemon.log().length;
  await daemon.waitForStatus(inSync(mac), { deadlineMs: TIMEOUT_MS / 2 });
  await waitForNetwork(lab.vm, before, TIMEOUT_MS / 2);
  await daemon.waitForLog((log) => log.slice(calm).some(({ msg }) => msg === 'memory given back'));
  expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ADDRESSES]))).toEqual([]);
  expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  // A reading of the metadata, or a run, may be under way at any one look.
  const last = await until({
    what: 'it holds no more than before',
    read: () => probe.read(daemon.pid),
    holds: (now) => HELD.every((what) => now[what] <= first[what]),
  });
  console.info(describe(first, samples, last, daemon.runs()));
  const warm = samples[Math.floor(samples.length * WARM_UP)] ?? first;
  expect(last.heap).toBeLessThan(warm.heap + HEAP_TOLERANCE);
  expect(last.rss).toBeLessThan(warm.rss + RSS_TOLERANCE);
});

function countsOf(insight: Insight): string {
  return HELD.map((what) => `${what} ${insight[what]}`).join(', ');
}

function describe(first: Insight, samples: readonly Insight[], last: Insight, runs: number): string {
  const row = ({ rss, dirty, heap }: Insight): string => `${rss}/${dirty}/${heap}`;
  return [
    `seed ${SEED}: ${EVENTS} events, ${runs} runs`,
    `RSS/private dirty/heap in KiB before ${row(first)}, meanwhile ${samples.map(row).join(' ')}, after ${row(last)}`,
    `before ${countsOf(first)}; after ${countsOf(last)}`,
  ].join('\n');
}
