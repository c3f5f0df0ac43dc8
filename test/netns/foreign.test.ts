/** Invariant 1: what is not the agent's is there before, during and after, line by line, whatever happens to the agent and its NICs. */
import { writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Daemon } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { inNamespace, setUp } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, sized, waitForNetwork } from '../lab/settled.ts';

const OBJECTS = sized(150, 500);
const COUNT = sized(12, 50);
const SEED = Date.now() % 0x7fff_ffff;

const SCRIPTS = '/etc/sysconfig/network-scripts';

/** A line of `ip -batch`; `n` makes it unlike all others. Tables and priorities are around ours, above ours, and in slots that no NIC gets here. */
const OBJECT_KINDS: readonly ((n: number, near: number) => string)[] = [
  (n, near) => `-4 rule add from ${net(n)} lookup ${100 + near} priority ${20_000 + near}`,
  // Into a table of a NIC, but not at our priority.
  (n, near) => `-4 rule add from ${net(n)} lookup ${21_000 + (near % 4)} priority ${21_256 + near}`,
  (n, near) => `-4 rule add to ${net(n)} lookup ${21_000 + (near % 256)} priority ${21_256 + near}`,
  (n, near) => `-4 rule add from ${net(n)} fwmark ${n + 1} lookup ${slot(near)} priority ${slot(near)}`,
  (n, near) => `-4 rule add from ${net(n)} lookup ${100 + near} priority ${slot(near)}`,
  (n, near) => `-6 rule add from ${net6(n)} lookup ${22_000 + near} priority ${30_000 + near}`,
  (n, near) =>
    `-4 route add ${net(n)} via 198.18.0.${1 + (near % 200)} dev other0 table ${slot(near)} proto bird`,
  (n, near) => `-4 route add throw ${net(n)} table ${21_256 + near}`,
  (n, near) => `-4 route add blackhole ${net(n)} table ${20_500 + (near % 500)} proto 196`,
  (n) => `-4 route add ${net(n)} via 198.18.0.9 dev other0`,
  (n) => `-4 route add unreachable ${net(n)} metric 4294967295`,
  (n) => `-4 route add ${net(n)} via 10.0.0.254 dev eth0 proto static`,
  (n, near) => `-6 route add ${net6(n)} dev other0 table ${slot(near)}`,
  (n) => `-4 address add 198.19.${n >> 8}.${n & 255}/32 dev other0`,
  (n) => `-4 address add 198.19.${n >> 8}.${n & 255}/32 dev lo`,
  (n) => `-4 address add 10.0.0.${100 + (n % 100)}/32 dev eth0 label eth0:f${n}`,
];

const net = (n: number): string => `100.${64 + (n >> 8)}.${n & 255}.0/24`;
const net6 = (n: number): string => `2001:db8:${(n + 0x1000).toString(16)}::/48`;
/** In our window, and far from the slots of a few NICs. */
const slot = (near: number): number => 21_100 + (near % 156);

async function addForeignObjects({ vm }: Lab): Promise<void> {
  await setUp(vm.namespace, {
    ip: [
      'link add other0 type veth peer name other1',
      'link set other0 up',
      'link set other1 up',
      'address add 198.18.0.254/24 dev other0',
    ],
  });
  const kinds = fc.tuple(fc.constantFrom(...OBJECT_KINDS), fc.integer({ min: 0, max: 900 }));
  const lines = fc
    .sample(kinds, { numRuns: OBJECTS, seed: SEED })
    .map(([kind, near], n) => kind(n, near))
    // The last part of a /24 has a hundred labels for more objects than that.
    .filter((line, _, all) => all.find((other) => sameAddress(other, line)) === line);
  for (const family of ['-4', '-6']) {
    const batch = lines.filter((line) => line.startsWith(family)).map((line) => line.slice(family.length));
    const [file, ...args] = inNamespace(vm.namespace, ['ip', family, '-batch', '-']);
    await execa(file, args, { input: batch.join('\n') });
  }
  for (const name of ['ifcfg-eth9', 'route-eth9', 'ifcfg-bond0', 'ifcfg-eth1.bak', 'network-functions'])
    await writeFile(vm.path(`${SCRIPTS}/${name}`), `# of somebody else\n`);
}

function sameAddress(a: string, b: string): boolean {
  const of = (line: string): string => /address add (10\.\S+)/.exec(line)?.[1] ?? line;
  return of(a) === of(b);
}

interface Scene {
  readonly lab: Lab;
  /** By ENI: where it is attached. */
  readonly macs: Map<number, string>;
  /** The ENIs that have their last address. */
  readonly assigned: Set<number>;
  daemon: Daemon;
}

/** In two subnets of their own and in the primary's; the last address comes and goes. */
const ENIS = ['10.0.1', '10.0.2', '10.0.0'].map((subnet) => [20, 21, 22].map((host) => `${subnet}.${host}`));

type Event = (scene: Scene, eni: number) => Promise<unknown>;

const EVENTS: Readonly<Record<string, Event>> = {
  'attach or detach': async ({ lab, macs, assigned }, eni) => {
    const mac = macs.get(eni);
    macs.delete(eni);
    assigned.delete(eni);
    if (mac !== undefined) return lab.detachEni(mac);
    return macs.set(eni, (await lab.attachEni({ addresses: ENIS[eni]?.slice(0, 2) ?? [] })).mac);
  },
  'assign or unassign': async ({ lab, macs, assigned }, eni) => {
    const mac = macs.get(eni);
    const last = ENIS[eni]?.at(-1) ?? '';
    if (mac === undefined) return undefined;
    if (assigned.delete(eni)) return lab.unassignAddress(mac, last);
    assigned.add(eni);
    return lab.assignAddress(mac, last);
  },
  release: async ({ lab, macs }, eni) => lab.vm.agent(['release', macs.get(eni) ?? '--all']),
  'take back': async ({ lab }) => lab.vm.agent(['reconfigure', '--all']),
  SIGKILL: async (scene) => {
    await scene.daemon.kill();
    scene.daemon = await scene.lab.vm.startDaemon();
  },
};

/** What the agent may set on the primary NIC, and gives back in the end. */
function isOurs(line: string): boolean {
  return line.includes('/conf/eth0/');
}

test('hundreds of foreign objects survive whatever happens to the agent and its NICs', async () => {
  const lab = await openLab();
  await addForeignObjects(lab);
  const before = await networkOf(lab.vm);
  const foreign = before.split('\n').filter((line) => !isOurs(line));
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  // Among all of that it does its work.
  const { mac } = await lab.attachEni({ addresses: ENIS[0]?.slice(0, 2) ?? [] });
  await daemon.waitForStatus(inSync(mac));
  const scene: Scene = { lab, macs: new Map([[0, mac]]), assigned: new Set(), daemon };
  const kinds = fc.tuple(fc.constantFrom(...Object.keys(EVENTS)), fc.nat(ENIS.length - 1));
  const happened: string[] = [];
  for (const [name, eni] of fc.sample(kinds, { numRuns: COUNT, seed: SEED })) {
    happened.push(`${name} ${eni}`);
    await EVENTS[name]?.(scene, eni);
    const now = new Set((await networkOf(lab.vm)).split('\n'));
    const lost = foreign.filter((line) => !now.has(line));
    expect({ seed: SEED, happened, lost }).toEqual({ seed: SEED, happened, lost: [] });
  }
  for (const mac of scene.macs.values()) await lab.detachEni(mac);
  expect((await lab.vm.agent(['release', '--all'])).exitCode).toBe(0);
  await waitForNetwork(lab.vm, before);
});
