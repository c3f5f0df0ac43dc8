/** What others route comes and goes while the daemon runs: the tables of all NICs follow, in both directions, before a second is over. */
import { expect, test } from 'vitest';
import { setUp } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { alarms, inSync, sized } from '../lab/settled.ts';
import { BRIDGE, type Change } from '../lab/surroundings.ts';
import { GATEWAY6, STATIC_NETWORK, STATIC_NETWORK6 } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const ROUNDS = sized(1, 20);
const DEADLINE_MS = 1_000;
/** A minute between two looks by the clock: whatever is faster was heard. */
const CONFIG = `daemon: { resyncInterval: 1m }
interfaces:
  - { match: { name: eth0 }, addresses: ['2001:db8::4/64'], gateway6: '${GATEWAY6}' }
  - { match: { name: eth1 }, addresses: ['2001:db8:1::4/64'], gateway6: '${GATEWAY6}' }
`;

interface Happening extends Change {
  readonly what: string;
  /** While it is up, in the tables of eth0 and of eth1. */
  readonly thrown: readonly string[];
  readonly onlyIn?: 'eth0' | 'eth1';
}

const BRIDGED = ['172.17.0.0/16', 'fd00:17::/64'];
const TUNNEL: Change = {
  up: [
    'link add tun0 type veth peer name tun1',
    'link set tun0 up',
    'link set tun1 up',
    'addr add 10.8.0.2/24 dev tun0',
    'addr add fd00:8::2/64 dev tun0 nodad',
  ],
  down: ['link del tun0'],
};
const TUNNELLED = ['10.8.0.0/24', 'fd00:8::/64'];

/** One after the other: what one leaves up is there for the next, and what it takes down goes from there. */
const HAPPENINGS: readonly Happening[] = [
  { what: 'a bridge with its device', ...BRIDGE, thrown: BRIDGED },
  { what: 'a VPN with its device', ...TUNNEL, thrown: TUNNELLED },
  {
    what: 'a bridge that is only set down',
    up: BRIDGE.up,
    down: ['link set docker0 down'],
    thrown: BRIDGED,
  },
  {
    what: 'a bridge that only loses its addresses',
    up: ['link set docker0 up', 'addr replace fd00:17::1/64 dev docker0 nodad'],
    down: ['addr flush dev docker0'],
    thrown: BRIDGED,
  },
  {
    what: 'a route through a bridge',
    up: [
      'addr add 172.17.0.1/32 dev docker0',
      'route add 192.168.50.0/24 dev docker0',
      'route add fd00:50::/64 dev docker0',
    ],
    down: ['route del 192.168.50.0/24 dev docker0', 'route del fd00:50::/64 dev docker0'],
    thrown: ['192.168.50.0/24', 'fd00:50::/64'],
  },
  {
    what: 'a static route by the primary NIC',
    up: ['route add 172.20.0.0/16 via 10.0.0.253 dev eth0'],
    down: ['route del 172.20.0.0/16'],
    thrown: ['172.20.0.0/16'],
    onlyIn: 'eth0',
  },
  {
    what: 'a static route by a secondary NIC',
    up: [
      'route add 172.20.0.0/16 via 10.0.1.250 dev eth1',
      'route add fd00:20::/64 via 2001:db8:1::250 dev eth1',
    ],
    down: ['route del 172.20.0.0/16', 'route del fd00:20::/64'],
    thrown: ['172.20.0.0/16', 'fd00:20::/64'],
    onlyIn: 'eth1',
  },
];

test('bridges, VPNs and static routes are followed within a second, when they come and when they go', async () => {
  const lab = await openLab({ ipv6: true });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '2001:db8:1::4'] });
  const daemon = await lab.vm.startDaemon({ config: CONFIG });
  await daemon.waitForStatus(inSync(lab.primary.mac, mac));
  const resting = { eth0: [STATIC_NETWORK, STATIC_NETWORK6], eth1: [] };
  await waitForThrows(lab.vm, 'nothing', resting);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { what, up, down, thrown, onlyIn } of HAPPENINGS) {
      await setUp(lab.vm.namespace, { ip: up });
      await waitForThrows(lab.vm, `${what} came`, {
        eth0: [...resting.eth0, ...(onlyIn === 'eth1' ? [] : thrown)],
        eth1: onlyIn === 'eth0' ? [] : thrown,
      });
      await setUp(lab.vm.namespace, { ip: down });
      await waitForThrows(lab.vm, `${what} went`, resting);
    }
    await setUp(lab.vm.namespace, { ip: BRIDGE.down });
  }
  expect(alarms(daemon.log())).toEqual([]);
});

type Throws = Readonly<Record<'eth0' | 'eth1', readonly string[]>>;

async function waitForThrows(vm: Vm, what: string, expected: Throws): Promise<void> {
  const sorted = { eth0: expected.eth0.toSorted(), eth1: expected.eth1.toSorted() };
  await until({
    what: `the throw routes are right after ${what}: ${JSON.stringify(sorted)}`,
    read: async () => JSON.stringify(await readThrows(vm)),
    holds: (seen) => seen === JSON.stringify(sorted),
    deadlineMs: DEADLINE_MS,
  });
}

async function readThrows(vm: Vm): Promise<Throws> {
  const script = 'ip -4 route show table all type throw; ip -6 route show table all type throw';
  const { stdout } = await vm.run('sh', ['-ec', script]);
  const of = (table: number): readonly string[] =>
    [...stdout.matchAll(new RegExp(`^throw (\\S+) (?:dev lo )?table ${table}\\b`, 'gm'))]
      .map(([, destination = '']) => destination)
      .toSorted();
  return { eth0: of(21_000), eth1: of(21_001) };
}
