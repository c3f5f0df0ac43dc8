import { describe, expect, test } from 'vitest';
import type { DesiredRoute } from '../../../src/model/desired.ts';
import {
  addressesOf,
  type ConfigText,
  cidr,
  configOf,
  eni,
  hostOf,
  instance,
  ip,
  link,
  macOf,
  otherLink,
  tableOf,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });
const ETH1 = link(2, 'eth1', { addresses: '10.0.1.4/24' });
const DOCKER = otherLink(20, 'docker0', { addresses: '172.17.0.1/16' });
const TUNNEL = otherLink(21, 'tun0', { addresses: '192.168.50.2/24' });
const TWO_NICS = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]);

function worldOf(routes: readonly string[], config: ConfigText = {}): World {
  const host = hostOf({ links: [ETH0, ETH1, DOCKER, TUNNEL], routes });
  return { metadata: TWO_NICS, host, config: configOf(config) };
}

function throwsIn(world: World): Readonly<Record<string, readonly string[]>> {
  const ofType = (routes: readonly DesiredRoute[]): readonly string[] =>
    routes.filter(({ type }) => type === 'throw').map(({ destination }) => destination);
  const { interfaces } = lookAt(world).desired;
  return Object.fromEntries(interfaces.map(({ ifname, routes }) => [ifname, ofType(routes)]));
}

const CONNECTED = ['172.17.0.0/16', '192.168.50.0/24'];

describe('the table of a NIC', () => {
  test('has its subnet, its default, the other subnets, a refusal and the throws', () => {
    const { host } = runOnce(worldOf(['default via 10.0.0.1 dev eth0']));
    expect(tableOf(host, 21_001)).toEqual([
      '0.0.0.0/0 via 10.0.1.1 dev eth1',
      '10.0.0.0/24 via 10.0.1.1 dev eth1',
      '10.0.1.0/24 dev eth1',
      'throw 172.17.0.0/16',
      'throw 192.168.50.0/24',
      'unreachable 0.0.0.0/0 metric 4294967295',
    ]);
    expect(tableOf(host, 21_000)).toContain('10.0.1.0/24 via 10.0.0.1 dev eth0');
  });

  test('of a NIC with IPv6 leads to link-local neighbours, too', () => {
    const metadata = instance([
      eni(1, '10.0.0.4/24', '10.0.0.1'),
      eni(2, '10.0.1.4/24 2001:db8:1::4/64', '10.0.1.1', 'fe80::1'),
    ]);
    const { host } = runOnce({ ...worldOf([]), metadata });
    expect(tableOf(host, 21_001, 6)).toEqual([
      '2001:db8:1::/64 dev eth1',
      '::/0 via fe80::1 dev eth1',
      'fe80::/64 dev eth1',
      'unreachable ::/0 metric 4294967295',
    ]);
    expect(tableOf(host, 21_000, 6)).toEqual([]);
  });

  test('has listed routes, and so has main', () => {
    const routes = [{ to: cidr('172.16.0.0/12'), via: ip('10.0.1.9') }];
    const { host } = runOnce(worldOf([], { interfaces: [{ match: { mac: macOf(2) }, routes }] }));
    expect(tableOf(host, 21_001)).toContain('172.16.0.0/12 via 10.0.1.9 dev eth1');
    expect(tableOf(host, 254)).toContain('172.16.0.0/12 via 10.0.1.9 dev eth1');
  });
});

describe('the subnets of the other NICs', () => {
  test('are skipped where they equal the own one', () => {
    const metadata = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.0.9/24', '10.0.0.1')]);
    const { host } = runOnce({ ...worldOf([]), metadata });
    expect(tableOf(host, 21_001).filter((line) => line.includes('10.0.0.0/24'))).toEqual([
      '10.0.0.0/24 dev eth1',
    ]);
  });

  const unmanaged: ConfigText = { interfaces: [{ match: { mac: macOf(2) }, manage: false }] };

  test('count for NICs that nobody manages', () => {
    const { host } = runOnce(worldOf([], { ...unmanaged, routing: { primary: 'always' } }));
    expect(tableOf(host, 21_000)).toContain('10.0.1.0/24 via 10.0.0.1 dev eth0');
    expect(tableOf(host, 21_001)).toEqual([]);
  });

  test('count for NICs whose reading is broken: the last good one is remembered', () => {
    const first = runOnce(worldOf([]));
    const metadata = { ...TWO_NICS, invalid: [{ mac: macOf(2), problem: 'broken' }] };
    expect(lookAt({ ...first, metadata }).plan.steps).toEqual([]);
  });

  test('count when they come from the configuration (IPv6 is in no metadata of Tencent)', () => {
    const ipv6 = (n: number) => ({
      match: { mac: macOf(n) },
      addresses: addressesOf(`2001:db8:${n}::4/64`),
      gateway6: ip('fe80::1'),
    });
    const { host } = runOnce(worldOf([], { interfaces: [ipv6(1), ipv6(2)] }));
    expect(tableOf(host, 21_001, 6)).toContain('2001:db8:1::/64 via fe80::1 dev eth1');
  });
});

describe('what main sends by another NIC', () => {
  const STATIC = '10.77.0.0/16 via 10.0.0.254 dev eth0';

  test('goes by this one where a throw would lead to it', () => {
    const { host } = runOnce(worldOf(['10.0.0.0/8 via 192.168.50.1 dev tun0', STATIC]));
    expect(tableOf(host, 21_001)).toContain('10.77.0.0/16 via 10.0.1.1 dev eth1');
    expect(tableOf(host, 21_001)).toContain('throw 10.0.0.0/8');
    expect(tableOf(host, 21_000)).toContain('throw 10.77.0.0/16');
  });

  test('needs no route of its own elsewhere: the default covers it', () => {
    const { host } = runOnce(worldOf(['10.128.0.0/9 via 192.168.50.1 dev tun0', STATIC]));
    expect(tableOf(host, 21_001).filter((line) => line.includes('10.77.'))).toEqual([]);
  });

  test('counts for the subnet of an address that no metadata lists (IPv6 of an unmanaged NIC)', () => {
    const config: ConfigText = {
      interfaces: [
        { match: { mac: macOf(1) }, addresses: addressesOf('2001:db8::4/64'), gateway6: ip('fe80::1') },
        { match: { mac: macOf(2) }, manage: false },
      ],
      routing: { primary: 'always' },
    };
    const routes = ['2001:db8::/44 via fd00:8::1 dev tun0', '2001:db8:1::/64 dev eth1'];
    const { host } = runOnce(worldOf(routes, config));
    expect(tableOf(host, 21_000, 6)).toContain('2001:db8:1::/64 via fe80::1 dev eth0');
  });
});

describe('throws', () => {
  test.each<readonly [string, string, Readonly<Record<string, readonly string[]>>]>([
    [
      'a bridge or tunnel is reached from every NIC',
      '10.64.0.0/10 dev tun0',
      { eth0: ['10.64.0.0/10'], eth1: ['10.64.0.0/10'] },
    ],
    [
      'so is a VPN by a gateway',
      '10.64.0.0/10 via 192.168.50.1 dev tun0',
      { eth0: ['10.64.0.0/10'], eth1: ['10.64.0.0/10'] },
    ],
    [
      'what main refuses is refused',
      'blackhole 172.31.0.0/16',
      { eth0: ['172.31.0.0/16'], eth1: ['172.31.0.0/16'] },
    ],
    [
      'a static route counts for the NIC that it leaves by alone',
      '172.20.0.0/16 via 10.0.0.254 dev eth0',
      { eth0: ['172.20.0.0/16'], eth1: [] },
    ],
    [
      'on a secondary as well',
      '172.20.0.0/16 via 10.0.1.254 dev eth1',
      { eth0: [], eth1: ['172.20.0.0/16'] },
    ],
    ['a direct route by a NIC of the cloud is none', '169.254.0.0/16 dev eth1', { eth0: [], eth1: [] }],
    [
      'the lower half of a split default is none',
      '0.0.0.0/1 via 192.168.50.1 dev tun0',
      { eth0: [], eth1: [] },
    ],
    ['nor is the upper half', '128.0.0.0/1 via 192.168.50.1 dev tun0', { eth0: [], eth1: [] }],
    ['nor is a default', 'default via 192.168.50.1 dev tun0 metric 50', { eth0: [], eth1: [] }],
    [
      'a quarter is thrown: it is longer than /1',
      '64.0.0.0/2 via 192.168.50.1 dev tun0',
      { eth0: ['64.0.0.0/2'], eth1: ['64.0.0.0/2'] },
    ],
    ['a prefix that the table routes itself is none', '10.0.1.0/24 dev tun0', { eth0: [], eth1: [] }],
    ['a route of another table is none', '10.64.0.0/10 dev tun0 table 52', { eth0: [], eth1: [] }],
    ['multicast and the like are none', 'other 224.0.0.0/4 dev tun0', { eth0: [], eth1: [] }],
  ])('%s', (_, line, more) => {
    const found = throwsIn(worldOf(['default via 10.0.0.1 dev eth0', line]));
    const expected = Object.entries(more).map(([ifname, extra]) => [
      ifname,
      [...CONNECTED, ...extra].toSorted(),
    ]);
    expect(found).toEqual(Object.fromEntries(expected));
  });

  test('are gone with localRoutes: off', () => {
    expect(throwsIn(worldOf([], { routing: { localRoutes: 'off' } }))).toEqual({ eth0: [], eth1: [] });
  });

  test('follow main: what is removed there is removed here', () => {
    const first = runOnce(worldOf(['10.64.0.0/10 dev tun0']));
    expect(tableOf(first.host, 21_001)).toContain('throw 10.64.0.0/10');
    const routes = first.host.routes.filter(
      ({ table, destination }) => table !== 254 || destination !== '10.64.0.0/10',
    );
    const second = runOnce({ ...first, host: { ...first.host, routes } });
    expect(tableOf(second.host, 21_001)).not.toContain('throw 10.64.0.0/10');
  });

  test('are not made of the subnet of a NIC that the metadata just dropped: its route goes in the same run', () => {
    const first = runOnce(worldOf([], { routing: { primary: 'always' } }));
    const metadata = { ...TWO_NICS, nics: TWO_NICS.nics.slice(0, 1) };
    expect(throwsIn({ ...first, metadata })['eth0']).toEqual(CONNECTED);
  });

  test('are made of a route over several legs only when none of them is a NIC of the cloud', () => {
    const world = worldOf([]);
    const { routes } = hostOf({
      links: world.host.links,
      routes: ['10.64.0.0/10 via 192.168.50.1 dev tun0'],
    });
    const multipath = routes.find(({ destination }) => destination === '10.64.0.0/10');
    if (multipath === undefined) throw new Error('no route');
    const legs = [...multipath.nexthops, { gateway: ip('10.0.1.254'), linkIndex: ETH1.index }];
    const mixed = { ...multipath, nexthops: legs };
    const host = { ...world.host, routes: [...world.host.routes, mixed] };
    expect(throwsIn({ ...world, host })).toEqual({ eth0: CONNECTED, eth1: CONNECTED });
  });
});
