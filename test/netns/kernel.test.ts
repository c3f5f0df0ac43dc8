/** The rtnetlink layer against the kernel; `ip` sets the stage and is the witness. All objects have names of their own: k…, tables and priorities 31000 on. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentError } from '../../src/errors.ts';
import { addAddressRequest, dumpAddresses, removeAddressRequest } from '../../src/kernel/addresses.ts';
import type { KernelRequest } from '../../src/kernel/codec.ts';
import { explainErrno } from '../../src/kernel/errors.ts';
import {
  dumpLinks,
  type KernelLink,
  linkDownRequest,
  linkUpRequest,
  mtuRequest,
  sysctlRequest,
} from '../../src/kernel/links.ts';
import { addRouteRequest, dumpRoutes, removeRouteRequest } from '../../src/kernel/routes.ts';
import { addRuleRequest, dumpRules, removeRuleRequest } from '../../src/kernel/rules.ts';
import { openRtnetlink, type Rtnetlink } from '../../src/kernel/socket.ts';
import { type Route, type RouteType, SCOPE_LINK, SCOPE_UNIVERSE } from '../../src/model/host.ts';
import {
  type Cidr,
  type Family,
  familyOf,
  type IpAddress,
  parseCidr,
  parseInterfaceAddress,
  parseIpAddress,
} from '../../src/model/net.ts';
import type { AddressArguments, RuleArguments } from '../../src/model/plan.ts';
import { SYSCTL_NAMES } from '../../src/model/sysctl.ts';
import { assertPrivateNamespace } from '../lab/guard.ts';

const TABLE = 31_000;
const PROTOCOL = 196;
const { EEXIST, ENETUNREACH, ENODEV, ENOENT, ESRCH } = constants.errno;

let rtnetlink: Rtnetlink;
let k0: KernelLink;

beforeAll(() => {
  assertPrivateNamespace();
  rtnetlink = openRtnetlink();
});
afterAll(() => rtnetlink.close());

beforeEach(async () => {
  await ip('link add k0 type veth peer name k0p');
  await ip('link set k0p up');
  await ip('link set k0 up');
  k0 = await link('k0');
});

afterEach(async () => {
  const links = (await dumpLinks(rtnetlink)).filter(({ ifname }) => /^k\w+$/.test(ifname));
  // Deleting one end of a veth takes the other with it.
  for (const { ifname } of links) await execa('ip', ['link', 'del', ifname], { reject: false });
  const rules = (await dumpRules(rtnetlink)).filter(isOurs);
  await rtnetlink.transact(rules.map(removeRuleRequest));
  const routes = (await dumpRoutes(rtnetlink)).filter(isOurs);
  await rtnetlink.transact(routes.map(removeRouteRequest));
});

function isOurs({ table }: { readonly table: number }): boolean {
  return table >= TABLE && table < TABLE + 1000;
}

async function ip(line: string): Promise<string> {
  const { stdout } = await execa('ip', line.split(' '));
  return stdout;
}

/** What `ip -j` prints, with numbers for names. */
async function ipJson(line: string): Promise<Record<string, unknown>[]> {
  return JSON.parse((await ip(`-j -N ${line}`)) || '[]');
}

async function link(name: string): Promise<KernelLink> {
  const found = (await dumpLinks(rtnetlink)).find(({ ifname }) => ifname === name);
  if (found === undefined) throw new Error(`no link ${name}`);
  return found;
}

async function change(...requests: readonly KernelRequest[]): Promise<void> {
  const errnos = await rtnetlink.transact(requests);
  expect(errnos).toHaveLength(requests.length);
  expect([...errnos.entries()].filter(([, errno]) => errno !== 0)).toEqual([]);
}

function address(text: string, deprecated = false): AddressArguments {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return { ...parsed, linkIndex: k0.index, deprecated };
}

interface RouteText {
  readonly to: string;
  readonly via?: string;
  readonly type?: RouteType;
  readonly metric?: number;
  readonly table?: number;
}

function route({ to, via, type = 'unicast', metric = 0, table = TABLE }: RouteText): Route {
  const destination = parseCidr(to) as Cidr;
  const family = familyOf(destination);
  const gateway = via === undefined ? null : (parseIpAddress(via) as IpAddress);
  const isConnected = type === 'unicast' && gateway === null && family === 4;
  return {
    family,
    table,
    type,
    destination,
    nexthops: type === 'unicast' ? [{ gateway, linkIndex: k0.index }] : [],
    metric: metric === 0 && family === 6 ? 1024 : metric,
    protocol: PROTOCOL,
    scope: isConnected ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}

function rule(selector: Partial<RuleArguments>, family: Family = 4): RuleArguments {
  return {
    family,
    priority: TABLE,
    table: TABLE,
    source: null,
    outputInterface: null,
    mark: null,
    protocol: PROTOCOL,
    ...selector,
  };
}

async function routesOf(table: number): Promise<Route[]> {
  return (await dumpRoutes(rtnetlink)).filter((each) => each.table === table);
}

const onlink = { onlink: false };
const addRoutes = (...routes: readonly Route[]) => routes.map((each) => addRouteRequest(each, onlink));

describe('links', () => {
  test('are those that ip lists, with master, kind and state', async () => {
    await ip('link add kbr type bridge');
    await ip('link add k1 mtu 1300 type veth peer name k1p');
    await ip('link set k1p master kbr');
    const ours = (await dumpLinks(rtnetlink)).filter(({ ifname }) => ifname.startsWith('k'));
    const listed = (await ipJson('-d link show')).filter((each) => String(each['ifname']).startsWith('k'));
    const index = new Map(ours.map(({ ifname, index }) => [ifname as string, index]));
    expect(ours.map(({ sysctls: _, ...each }) => each)).toEqual(
      listed.map((each) => ({
        index: each['ifindex'],
        ifname: each['ifname'],
        mac: each['address'],
        permanentMac: null,
        up: (each['flags'] as string[]).includes('UP'),
        mtu: each['mtu'],
        kind: (each['linkinfo'] as Record<string, unknown>)['info_kind'],
        masterIndex: index.get(String(each['master'])) ?? null,
        lowerIndex: null,
      })),
    );
    expect(index.size).toBe(5);
  });

  test('loopback is one without a MAC', async () => {
    expect(await link('lo')).toMatchObject({ index: 1, mac: null, kind: null });
  });

  test('with names that would not be safe in a file are left out', async () => {
    await ip('link add k;id type veth peer name k2p');
    const names = (await dumpLinks(rtnetlink)).map(({ ifname }) => ifname);
    expect(names).toContain('k2p');
    expect(names).not.toContain('k;id');
    await ip('link del k2p');
  });

  test('are set up, down, and to an MTU', async () => {
    await change(linkDownRequest(k0.index), mtuRequest(k0.index, 1400));
    expect(await link('k0')).toMatchObject({ up: false, mtu: 1400 });
    await change(linkUpRequest(k0.index));
    expect(await link('k0')).toMatchObject({ up: true, mtu: 1400 });
  });

  test.each(SYSCTL_NAMES)('have the sysctl %s set as through /proc/sys, and no other', async (name) => {
    const inProc = () => Number(readFileSync(`/proc/sys/net/ipv4/conf/k0/${name}`, 'utf8'));
    const before = k0.sysctls;
    expect(inProc()).toBe(before[name]);
    const value = before[name] === 1 ? 0 : 1;
    await change(sysctlRequest(k0.index, name, value));
    expect(inProc()).toBe(value);
    expect((await link('k0')).sysctls).toEqual({ ...before, [name]: value });
  });

  test('that are gone are an errno', async () => {
    await ip('link del k0');
    const errnos = await rtnetlink.transact([
      linkUpRequest(k0.index),
      addAddressRequest(address('10.77.0.1/24')),
    ]);
    expect(errnos).toEqual([ENODEV, ENODEV]);
  });
});

describe('addresses', () => {
  const ofK0 = async () => (await dumpAddresses(rtnetlink)).filter(({ linkIndex }) => linkIndex === k0.index);

  test('are those that ip lists, in its order', async () => {
    for (const each of ['10.77.0.9/24', '10.77.0.1/24', '10.66.0.5/16', '2001:db8:77::1/64'])
      await ip(`addr add ${each} dev k0`);
    await ip('addr add 10.55.0.1 peer 10.55.0.2/32 dev k0');
    const [listed] = await ipJson('addr show dev k0');
    const expected = ((listed?.['addr_info'] ?? []) as Record<string, unknown>[]).map((each) => ({
      linkIndex: k0.index,
      address: each['local'],
      prefixLength: each['prefixlen'],
      scope: each['scope'] === '0' ? 'global' : 'other',
      duplicate: each['dadfailed'] === true,
    }));
    expect(await ofK0()).toEqual(expected);
    expect(expected.map((each) => each.address)).toContain('10.77.0.9');
  });

  test('are added with their broadcast address, and removed one by one', async () => {
    const all = ['10.77.0.1/24', '10.77.0.2/24', '10.77.1.0/31', '10.77.2.1/32'].map((text) => address(text));
    await change(...all.map(addAddressRequest));
    const shown = await ip('-4 -br addr show dev k0');
    expect(shown).toContain('10.77.0.1/24 10.77.1.0/31 10.77.2.1/32 10.77.0.2/24');
    expect((await ip('-4 addr show dev k0')).match(/brd \S+/g)).toEqual([
      'brd 10.77.0.255',
      'brd 10.77.0.255',
    ]);
    await change(
      removeAddressRequest(address('10.77.0.2/24')),
      removeAddressRequest(address('10.77.1.0/31')),
    );
    expect((await ofK0()).map((each) => each.address).filter((each) => familyOf(each) === 4)).toEqual([
      '10.77.0.1',
      '10.77.2.1',
    ]);
  });

  test('of IPv6 answer at once, and are never preferred when they are deprecated', async () => {
    await change(
      addAddressRequest(address('2001:db8:77::1/64')),
      addAddressRequest(address('2001:db8:77::2/64', true)),
    );
    const shown = await ip('-6 addr show dev k0 scope global');
    expect(shown).not.toContain('tentative');
    expect(shown).toMatch(/77::2\/64 scope global nodad deprecated\s+valid_lft forever preferred_lft 0sec/);
    expect(shown).toMatch(/77::1\/64 scope global nodad\s+valid_lft forever preferred_lft forever/);
    await change(removeAddressRequest(address('2001:db8:77::1/64')));
    expect(await ip('-6 addr show dev k0 scope global')).not.toContain('77::1/64');
  });

  test('with another prefix length are not taken for each other', async () => {
    await change(addAddressRequest(address('10.77.0.1/24')));
    expect(await rtnetlink.transact([removeAddressRequest(address('10.77.0.1/25'))])).not.toEqual([0]);
    expect((await ofK0()).map((each) => each.address)).toContain('10.77.0.1');
  });

  test('that carry a label are removed as well', async () => {
    await ip('addr add 10.77.0.1/24 dev k0 label k0:vip');
    await change(removeAddressRequest(address('10.77.0.1/24')));
    expect(await ip('-4 addr show dev k0')).toBe('');
  });
});

describe('routes', () => {
  beforeEach(() =>
    change(addAddressRequest(address('10.77.0.1/24')), addAddressRequest(address('2001:db8:77::1/64'))),
  );

  const WRITTEN = {
    4: [
      { to: '10.77.0.0/24' },
      { to: '0.0.0.0/0', via: '10.77.0.254' },
      { to: '0.0.0.0/0', type: 'unreachable', metric: 4294967295 },
      { to: '10.88.0.0/16', via: '10.77.0.254' },
      { to: '172.17.0.0/16', type: 'throw' },
    ],
    6: [
      { to: '2001:db8:77::/64' },
      { to: '::/0', via: 'fe80::1' },
      { to: '::/0', type: 'unreachable', metric: 4294967295 },
      { to: '2001:db8:88::/48', via: '2001:db8:77::fe' },
      { to: 'fd00::/64', type: 'throw' },
    ],
  } as const satisfies Record<Family, readonly RouteText[]>;

  test.each<Family>([4, 6])('of IPv%i are read as they were written, and ip agrees', async (family) => {
    const routes = WRITTEN[family].map(route);
    await change(...addRoutes(...routes));
    const read = await routesOf(TABLE);
    expect(new Set(read)).toEqual(new Set(routes));
    expect(read).toHaveLength(routes.length);
    const shown = (await ip(`-${family} route show table ${TABLE}`)).split('\n');
    expect(shown).toHaveLength(routes.length);
    expect(shown.join('\n')).toMatch(/^default via .* dev k0 proto 196/m);
    expect(shown.join('\n')).toMatch(/^unreachable default .*metric 4294967295/m);
    expect(shown.join('\n')).toMatch(/^throw /m);
  });

  describe.each<Family>([4, 6])('of IPv%i', (family) => {
    test.each(WRITTEN[family].map((_text, index) => index))('number %i is removed alone', async (index) => {
      const routes = WRITTEN[family].map(route);
      await change(...addRoutes(...routes));
      await change(removeRouteRequest(routes[index] as Route));
      expect(new Set(await routesOf(TABLE))).toEqual(new Set(routes.filter((_, at) => at !== index)));
      expect(await rtnetlink.transact([removeRouteRequest(routes[index] as Route)])).toEqual([ESRCH]);
      expect(await routesOf(TABLE)).toHaveLength(routes.length - 1);
    });

    test('with the metric of another type are not taken for it', async () => {
      const to = family === 4 ? '0.0.0.0/0' : '::/0';
      const metric = 5;
      const unicast = route({ to, via: family === 4 ? '10.77.0.254' : 'fe80::1', metric });
      const unreachable = route({ to, type: 'unreachable', metric });
      await change(...addRoutes(unicast));
      expect(await rtnetlink.transact([removeRouteRequest(unreachable)])).toEqual([ESRCH]);
      expect(await routesOf(TABLE)).toEqual([unicast]);
      await change(removeRouteRequest(unicast), ...addRoutes(unreachable));
      expect(await rtnetlink.transact([removeRouteRequest(unicast)])).toEqual([ESRCH]);
      expect(await routesOf(TABLE)).toEqual([unreachable]);
    });
  });

  test('that others made are removed as they were read', async () => {
    for (const each of [
      '10.88.0.0/16 via 10.77.0.254 proto static metric 7',
      '10.89.0.0/16 dev k0 proto boot src 10.77.0.1',
      '10.90.0.0/16 nexthop via 10.77.0.253 nexthop via 10.77.0.254 weight 3',
      'blackhole 10.91.0.0/16',
      'prohibit 10.92.0.0/16 metric 3',
      '10.93.0.0/16 via inet6 fe80::1 dev k0',
    ])
      await ip(`route add table ${TABLE} ${each}`);
    await ip(`-6 route add fd01::/64 dev k0 proto ra table ${TABLE}`);
    await ip(`-6 route add table ${TABLE} fd02::/64 nexthop via fe80::1 dev k0 nexthop via fe80::2 dev k0`);
    await ip(`-6 route add blackhole fd03::/64 table ${TABLE}`);
    const routes = await routesOf(TABLE);
    expect(routes).toHaveLength(9);
    expect(routes.map(({ nexthops }) => nexthops.length).toSorted((a, b) => a - b)).toEqual([
      0, 0, 0, 1, 1, 1, 1, 2, 2,
    ]);
    await change(...routes.map(removeRouteRequest));
    expect(await routesOf(TABLE)).toEqual([]);
    await change(...addRoutes(...routes));
    expect(new Set(await routesOf(TABLE))).toEqual(new Set(routes));
  });

  test('are kept apart by table, small and large', async () => {
    const tables = [TABLE, TABLE + 1, TABLE + 999];
    await change(
      ...addRoutes(...tables.map((table) => route({ to: '10.88.0.0/16', via: '10.77.0.254', table }))),
    );
    await ip('route add 10.88.0.0/16 via 10.77.0.253 table 77');
    await change(removeRouteRequest(route({ to: '10.88.0.0/16', via: '10.77.0.254', table: TABLE + 1 })));
    const left = (await dumpRoutes(rtnetlink)).filter(({ destination }) => destination === '10.88.0.0/16');
    expect(new Set(left.map(({ table }) => table))).toEqual(new Set([TABLE, TABLE + 999, 77]));
  });

  test('of table local are not listed, those of main are', async () => {
    const routes = await dumpRoutes(rtnetlink);
    expect(routes.filter(({ table }) => table === 255)).toEqual([]);
    expect(routes).toContainEqual({
      ...route({ to: '10.77.0.0/24', table: 254 }),
      protocol: 2,
    });
  });

  test('over a nexthop object have its gateway', async () => {
    await ip('nexthop add id 77 via 10.77.0.254 dev k0');
    await ip(`route add 10.88.0.0/16 nhid 77 table ${TABLE}`);
    const nexthops = [{ gateway: '10.77.0.254', linkIndex: k0.index }];
    expect(await routesOf(TABLE)).toMatchObject([{ destination: '10.88.0.0/16', nexthops }]);
  });

  test('take the place of one with their destination and metric', async () => {
    await change(...addRoutes(route({ to: '10.88.0.0/16', via: '10.77.0.254' })));
    await change(...addRoutes(route({ to: '10.88.0.0/16', via: '10.77.0.253' })));
    expect(await routesOf(TABLE)).toEqual([route({ to: '10.88.0.0/16', via: '10.77.0.253' })]);
  });

  test('need their gateway in a subnet of the link, or declared on it', async () => {
    const stray = route({ to: '10.88.0.0/16', via: '10.99.0.1' });
    expect(await rtnetlink.transact(addRoutes(stray))).toEqual([ENETUNREACH]);
    expect(explainErrno({ kind: 'add-route', interface: k0.ifname }, ENETUNREACH)).toBe(
      'Network is unreachable; the gateway is in no subnet of k0',
    );
    await change(addRouteRequest(stray, { onlink: true }));
    expect(await ip(`route show table ${TABLE}`)).toMatch(/^10.88.0.0\/16 via 10.99.0.1 dev k0 .*onlink/);
  });
});

describe('rules', () => {
  const ofTable = async () => (await dumpRules(rtnetlink)).filter(isOurs);
  const sources = { 4: '10.77.0.1/32', 6: '2001:db8:77::1/128' } as const;

  test.each<Family>([4, 6])('of IPv%i are added, read and removed', async (family) => {
    const source = parseCidr(sources[family]) as Cidr;
    const rules = [rule({ source }, family), rule({ outputInterface: 'k0' }, family)];
    await change(...rules.map(addRuleRequest));
    expect(await ofTable()).toEqual(rules.map((each) => ({ ...each, foreign: false })));
    const shown = await ip(`-${family} rule show priority ${TABLE}`);
    expect(shown).toContain(`from ${source.split('/')[0]} lookup ${TABLE} proto 196`);
    expect(shown).toContain(`from all oif k0 lookup ${TABLE} proto 196`);
    await change(removeRuleRequest(rules[0] as RuleArguments));
    expect(await ofTable()).toEqual([{ ...rules[1], foreign: false }]);
    await change(removeRuleRequest(rules[1] as RuleArguments));
    expect(await rtnetlink.transact([removeRuleRequest(rules[1] as RuleArguments)])).toEqual([ENOENT]);
  });

  test('are refused when they are there already', async () => {
    const one = rule({ source: parseCidr('10.77.0.0/24') as Cidr });
    expect(await rtnetlink.transact([addRuleRequest(one), addRuleRequest(one)])).toEqual([0, EEXIST]);
    expect(await ofTable()).toHaveLength(1);
  });

  test('of another maker are removed', async () => {
    await ip(`rule add from 10.77.0.1 lookup ${TABLE} priority ${TABLE}`);
    const [found] = await ofTable();
    expect(found).toEqual({
      ...rule({ source: parseCidr('10.77.0.1/32') as Cidr, protocol: 0 }),
      foreign: false,
    });
    await change(removeRuleRequest(rule({ source: parseCidr('10.77.0.1/32') as Cidr })));
    expect(await ofTable()).toEqual([]);
  });

  test('with a selector beyond ours are foreign, the others not', async () => {
    const lines = [
      'from 10.0.0.0/8',
      'oif k0',
      'fwmark 7',
      'iif k0',
      'to 10.0.0.0/8',
      'not from 10.0.0.0/8',
      'tos 8',
    ];
    lines.push('ipproto tcp', 'uidrange 0-0', 'suppress_prefixlength 0', 'suppress_ifgroup 3');
    for (const [index, line] of lines.entries())
      await ip(`rule add ${line} lookup ${TABLE} priority ${TABLE + index}`);
    const foreign = (await ofTable()).filter((each) => each.foreign).map(({ priority }) => priority - TABLE);
    expect(foreign).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const index of foreign) await ip(`rule del priority ${TABLE + index}`);
  });

  test("the kernel's own three are there", async () => {
    const own = (await dumpRules(rtnetlink)).filter(({ protocol, family }) => protocol === 2 && family === 4);
    expect(own.map(({ priority, table }) => [priority, table])).toEqual([
      [0, 255],
      [32766, 254],
      [32767, 253],
    ]);
  });
});

describe('a batch', () => {
  test('goes on after a failure, and says which one failed', async () => {
    const stray = route({ to: '0.0.0.0/0', via: '10.99.0.1' });
    const errnos = await rtnetlink.transact([
      addAddressRequest(address('10.77.0.1/24')),
      ...addRoutes(route({ to: '10.77.0.0/24' }), stray, route({ to: '10.88.0.0/16', via: '10.77.0.254' })),
      addRuleRequest(rule({ outputInterface: 'k0' })),
    ]);
    expect(errnos).toEqual([0, 0, ENETUNREACH, 0, 0]);
    expect(await routesOf(TABLE)).toHaveLength(2);
  });

  test('whose last request fails ends as well', async () => {
    const one = addRuleRequest(rule({ outputInterface: 'k0' }));
    expect(await rtnetlink.transact([one, one])).toEqual([0, EEXIST]);
  });

  test('of nothing is done at once', async () => {
    expect(await rtnetlink.transact([])).toEqual([]);
  });

  test('of 8 NICs with 30 addresses is done, seen, refused and undone', async () => {
    const addresses = Array.from({ length: 240 }, (_, n) => address(`10.77.${n >> 5}.${(n & 31) + 10}/24`));
    const rules = addresses.map((each) => rule({ source: `${each.address}/32` as Cidr }));
    const subnets = Array.from({ length: 8 }, (_, nic) =>
      route({ to: `10.77.${nic}.0/24`, table: TABLE + nic }),
    );
    const requests = [
      ...addRoutes(...subnets),
      ...rules.map(addRuleRequest),
      ...addresses.map(addAddressRequest),
    ];
    await change(...requests);
    const isOnK0 = (each: { linkIndex: number; address: IpAddress }) =>
      each.linkIndex === k0.index && familyOf(each.address) === 4;
    expect((await dumpAddresses(rtnetlink)).filter(isOnK0)).toHaveLength(240);
    expect((await dumpRules(rtnetlink)).filter(isOurs)).toEqual(
      rules.map((each) => ({ ...each, foreign: false })),
    );
    const again = await rtnetlink.transact(requests);
    expect(again).toEqual([
      ...subnets.map(() => 0),
      ...rules.map(() => EEXIST),
      ...addresses.map(() => EEXIST),
    ]);
    await change(...rules.map(removeRuleRequest), ...addresses.toReversed().map(removeAddressRequest));
    expect((await dumpAddresses(rtnetlink)).filter(isOnK0)).toEqual([]);
  });

  test('larger than a send is split, and its errnos stay in order', async () => {
    const rules = Array.from({ length: 3000 }, (_, n) =>
      rule({ source: `10.${n >> 8}.${n & 255}.0/24` as Cidr }),
    );
    const doubled = rules.flatMap((each) => [addRuleRequest(each), addRuleRequest(each)]);
    expect(await rtnetlink.transact(doubled)).toEqual(rules.flatMap(() => [0, EEXIST]));
    expect((await dumpRules(rtnetlink)).filter(isOurs)).toHaveLength(3000);
  });
});

describe('a socket', () => {
  test('serves several dumps and a batch asked for at once', async () => {
    await ip('route add 10.79.0.0/24 dev k0');
    const [links, addresses, errnos, routes, rules] = await Promise.all([
      dumpLinks(rtnetlink),
      dumpAddresses(rtnetlink),
      rtnetlink.transact([addRuleRequest(rule({ outputInterface: 'k0' }))]),
      dumpRoutes(rtnetlink),
      dumpRules(rtnetlink),
    ]);
    expect(links.map(({ ifname }) => ifname)).toContain('k0');
    expect(addresses.map(({ address: each }) => each)).toContain('127.0.0.1');
    expect(errnos).toEqual([0]);
    expect(routes.map(({ destination }) => destination)).toContain('10.79.0.0/24');
    expect(rules.filter(isOurs)).toHaveLength(1);
  });

  /** More than are read in one go: the event loop turns meanwhile. */
  const many = Array.from({ length: 3000 }, (_, n) => n);
  const subnets = many.map((n) => `10.77.${n >> 8}.${n & 255}/32`);
  const networks = many.map((n) => `2001:db8:${(n + 0x1000).toString(16)}::/48`);

  test('lists the addresses that stay whole and once while others change', async () => {
    await change(...subnets.map((text) => addAddressRequest(address(text))));
    const first = { ...address('10.78.0.1/32'), linkIndex: 1 };
    const list = async () => (await dumpAddresses(rtnetlink)).map((each) => `${each.address}/32`);
    await expectSteady(subnets, list, addAddressRequest(first), removeAddressRequest(first));
  });

  test('lists the rules that stay whole and once while others change', async () => {
    await change(
      ...subnets.map((text) => addRuleRequest(rule({ source: text as Cidr, priority: TABLE + 1 }))),
    );
    const first = rule({ outputInterface: 'k0' });
    const list = async () => (await dumpRules(rtnetlink)).map(({ source }) => source as string);
    await expectSteady(subnets, list, addRuleRequest(first), removeRuleRequest(first));
  });

  test('lists the IPv6 routes that stay whole and once while others change', async () => {
    await change(...addRoutes(...networks.map((to) => route({ to, type: 'throw' }))));
    const first = route({ to: '2001:1::/48', type: 'throw' });
    const list = async () => (await routesOf(TABLE)).map(({ destination }) => destination as string);
    await expectSteady(networks, list, addRouteRequest(first, onlink), removeRouteRequest(first));
  });

  /** While one object in front comes and goes, a list that is got has each of the others once. */
  async function expectSteady(
    expected: readonly string[],
    list: () => Promise<string[]>,
    on: KernelRequest,
    off: KernelRequest,
  ): Promise<void> {
    const other = openRtnetlink();
    const known = new Set(expected);
    let listings = 0;
    const done = new AbortController();
    const flickering = (async () => {
      while (!done.signal.aborted) {
        await other.transact([on]);
        await setTimeout(Math.random() * 20);
        await other.transact([off]);
        await setTimeout(Math.random() * 20);
      }
    })();
    for (let round = 0; round < 20; round += 1) {
      const listed = await list().catch(expectAgentError);
      if (listed === undefined) continue;
      listings += 1;
      expect(listed.filter((each) => known.has(each)).toSorted()).toEqual(expected.toSorted());
    }
    done.abort();
    await flickering;
    other.close();
    expect(listings).toBeGreaterThan(0);
  }

  test('has nothing to list of a family that the kernel does not have', async () => {
    const RTM_GETRULE = 34;
    const question = new Uint8Array(12);
    question[0] = 77;
    expect(await rtnetlink.dump(RTM_GETRULE, question)).toEqual([]);
  });

  test('has the very same list of what has not changed, until an exchange is given up: its numbers may come late', async () => {
    // Labels of addresses: other files change links, routes and rules of this namespace meanwhile.
    const RTM_GETADDRLABEL = 74;
    const question = new Uint8Array(12);
    question[0] = 10;
    const own = openRtnetlink();
    const labels = (): Promise<readonly Uint8Array[]> => own.dump(RTM_GETADDRLABEL, question);
    const first = await labels();
    expect(first.length).toBeGreaterThan(0);
    expect(await labels()).toBe(first);
    await ip('addrlabel add prefix 2001:db8:77::/48 label 77');
    const longer = await labels();
    await ip('addrlabel del prefix 2001:db8:77::/48 label 77');
    expect(longer).toHaveLength(first.length + 1);
    const shorter = await labels();
    const tooLong = { type: RTM_GETADDRLABEL, flags: 0, body: new Uint8Array(8 * 1024 * 1024) };
    await expect(own.transact([tooLong])).rejects.toMatchObject({ code: 'answer-lost' });
    const again = await labels();
    expect(again).toEqual(shorter);
    expect(again).not.toBe(shorter);
    own.close();
  });

  test('that is closed refuses, what is under way and what comes', async () => {
    const closing = openRtnetlink();
    const underWay = closing.transact([addRuleRequest(rule({ outputInterface: 'k0' }))]);
    const waiting = dumpLinks(closing);
    const outcomes = Promise.allSettled([underWay, waiting]);
    closing.close();
    closing.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'answer-lost' } });
    }
    await expect(dumpRules(closing)).rejects.toThrow(AgentError);
  });

  const SOCKET = new URL('../../src/kernel/socket.ts', import.meta.url).href;
  const LINKS = new URL('../../src/kernel/links.ts', import.meta.url).href;

  test.each([
    ['open and idle', ''],
    ['closed', 'rtnetlink.close();'],
  ])('that is %s lets the process end', async (_name, ending) => {
    const script = `
      import { openRtnetlink } from '${SOCKET}';
      import { dumpLinks } from '${LINKS}';
      const rtnetlink = openRtnetlink();
      const links = await dumpLinks(rtnetlink);
      const end = performance.now();
      process.on('exit', () => console.log(links.length > 0, performance.now() - end < 1000));
      ${ending}`;
    expect(await runScript([], script)).toBe('true true');
  });

  test('that cannot be had is an AgentError', async () => {
    const script = `
      import { openSync } from 'node:fs';
      import { openRtnetlink } from '${SOCKET}';
      try { for (;;) openSync('/dev/null'); } catch {}
      try { openRtnetlink(); } catch (error) { process._rawDebug(error.code, error.message); }`;
    const said = await runScript(['prlimit', '--nofile=64'], script);
    expect(said).toMatch(/^kernel-unavailable opening a rtnetlink socket: .*too many open files; /i);
  });
});

function expectAgentError(error: unknown): undefined {
  expect(error).toMatchObject({ code: 'answer-lost', message: expect.stringContaining('changed during') });
}

/** Runs a module in a process of its own and answers what it says. */
async function runScript(wrapper: readonly string[], script: string): Promise<string> {
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script];
  const { all } = await execa('env', [...wrapper, ...node], { all: true, timeout: 10_000 });
  return all;
}
