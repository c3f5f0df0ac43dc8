/** What rings and what does not, against a kernel that nobody else changes: the monitor runs in a namespace of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { addAddressRequest, removeAddressRequest } from '../../src/kernel/addresses.ts';
import type { KernelRequest } from '../../src/kernel/codec.ts';
import { linkUpRequest, mtuRequest, sysctlRequest } from '../../src/kernel/links.ts';
import { addRouteRequest, removeRouteRequest } from '../../src/kernel/routes.ts';
import { addRuleRequest, removeRuleRequest } from '../../src/kernel/rules.ts';
import { type Route, SCOPE_LINK, SCOPE_UNIVERSE } from '../../src/model/host.ts';
import {
  type Cidr,
  familyOf,
  hostCidr,
  type IpAddress,
  parseCidr,
  parseInterfaceAddress,
  parseIpAddress,
} from '../../src/model/net.ts';
import type { AddressArguments, RuleArguments } from '../../src/model/plan.ts';
import { assertPrivateNamespace } from '../lab/guard.ts';
import { sized } from '../lab/settled.ts';
import { addressRange } from '../lab/topology.ts';
import type { ProbeCommand, ProbeEvent, ProbeReply } from './monitor-probe.ts';

const TABLE = 30_000;
const PROTOCOL = 196;
const SETTLE_MS = 10_000;

let probe: ChildProcess;
let index = 0;
let events: string[] = [];
let fences = 0;

beforeAll(async () => {
  assertPrivateNamespace();
  probe = fork(new URL('./monitor-probe.ts', import.meta.url).pathname, [], {
    execPath: 'unshare',
    execArgv: ['--net', process.execPath, '--import', import.meta.resolve('tsx')],
    serialization: 'advanced',
  });
  probe.on('message', (message: ProbeReply | ProbeEvent) => {
    if ('event' in message) events.push(message.event);
  });
  await once(probe, 'message');
  await ip('link set lo up');
});
afterAll(async () => {
  const exited = once(probe, 'exit');
  probe.disconnect();
  await exited;
});

beforeEach(async () => {
  await ip('link add mo0 type veth peer name mo0p');
  for (const name of ['mo0', 'mo0p']) await ip(`link set ${name} addrgenmode none`);
  await ip('link set mo0p up');
  const [link] = JSON.parse(await ip('-j link show mo0')) as { ifindex: number }[];
  index = link?.ifindex ?? 0;
  await kindsRung('rule');
});
afterEach(async () => {
  const lines = [
    ...['mo0', 'mo1', 'mobr'].map((name) => `link del ${name}`),
    ...[TABLE, TABLE + 1].flatMap((table) => [`rule flush table ${table}`, `route flush table ${table}`]),
  ];
  await cleanUp('-4', lines);
  await cleanUp('-6', lines);
});

/** What is not there need not go. */
async function cleanUp(family: '-4' | '-6', lines: readonly string[]): Promise<void> {
  const command = ['ip', family, '-force', '-batch', '-'];
  await execa('nsenter', ['--net', '-t', String(probe.pid), ...command], {
    input: lines.join('\n'),
    reject: false,
  });
}

/** In the probe's namespace, by a process that is not the probe. */
async function tryIp(line: string) {
  return execa('nsenter', ['--net', '-t', String(probe.pid), 'ip', ...line.split(' ')], { reject: false });
}

async function ip(line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await tryIp(line);
  if (exitCode !== 0) throw new Error(`ip ${line}: ${stderr}`);
  return stdout;
}

async function writeSysctl(link: string, name: string, value: number): Promise<void> {
  const write = `echo ${value} > /proc/sys/net/ipv4/conf/${link}/${name}`;
  await execa('nsenter', ['--net', '-t', String(probe.pid), 'sh', '-c', write]);
}

async function ask(command: ProbeCommand): Promise<readonly number[]> {
  const answered = new Promise<readonly number[]>((resolve) => {
    const take = (message: ProbeReply | ProbeEvent): void => {
      if ('event' in message) return;
      probe.off('message', take);
      resolve(message.answer);
    };
    probe.on('message', take);
  });
  probe.send(command);
  return answered;
}

async function change(...requests: readonly KernelRequest[]): Promise<void> {
  expect(await ask({ kind: 'transact', requests })).toEqual(requests.map(() => 0));
}

/**
 * The kinds that rang since the last call, each once, sorted. The kernel queues notifications in their order, so what has not come before a
 * change of ours that rings will not come; that change is of a kind of its own.
 */
async function kindsRung(fence: 'rule' | 'address' = 'rule'): Promise<readonly string[]> {
  fences += 1;
  const marker = events.length;
  const seen = events.filter((kind) => kind === fence).length;
  const nameless = `10.180.${fences >> 8}.${fences & 255}/32`;
  if (fence === 'rule') await ip(`rule add from ${nameless} table ${TABLE + 1} priority ${TABLE + 1}`);
  else await ip(`addr add ${nameless} dev lo`);
  await expect
    .poll(
      () => events.slice(marker).includes(fence) && events.filter((kind) => kind === fence).length > seen,
      {
        timeout: SETTLE_MS,
        interval: 2,
      },
    )
    .toBe(true);
  const rung = events.slice(0, events.lastIndexOf(fence));
  events = [];
  return [...new Set(rung)].toSorted();
}

/** Until IPv6 is done with both ends: link-local addresses are there and were found to be nobody else's. */
async function settled(): Promise<void> {
  for (const name of ['mo0', 'mo0p']) {
    await expect
      .poll(() => ip(`-6 addr show dev ${name} scope link -tentative`), { timeout: SETTLE_MS, interval: 20 })
      .toContain('fe80');
  }
}

function address(text: string): AddressArguments {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return { ...parsed, linkIndex: index, deprecated: false };
}

function route(to: string, via: string | null, type: Route['type'] = 'unicast'): Route {
  const destination = parseCidr(to) as Cidr;
  const gateway = via === null ? null : (parseIpAddress(via) as IpAddress);
  const isLinkScope = type === 'unicast' && gateway === null && familyOf(destination) === 4;
  return {
    family: familyOf(destination),
    table: TABLE,
    type,
    destination,
    nexthops: type === 'unicast' ? [{ gateway, linkIndex: index }] : [],
    metric: familyOf(destination) === 6 ? 1024 : 0,
    protocol: PROTOCOL,
    scope: isLinkScope ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}

function ruleFrom({ address }: AddressArguments): RuleArguments {
  const source = hostCidr(address);
  return {
    family: familyOf(source),
    priority: TABLE,
    table: TABLE,
    source,
    outputInterface: null,
    mark: null,
    protocol: PROTOCOL,
  };
}

const IPV4 = addressRange('10.180.0.4', 10).map((each) => `${each}/24`);
const ADDRESSES = [...IPV4, '2001:db8:180::4/64', '2001:db8:180::5/64'];

function routes(): readonly Route[] {
  return [
    route('10.180.0.0/24', null),
    route('0.0.0.0/0', '10.180.0.1'),
    route('10.181.0.0/24', null, 'throw'),
    route('2001:db8:180::/64', null),
  ];
}

/** What attaching an ENI comes to, in one transaction. Most tests do without link-local addresses, which take the kernel two seconds. */
async function attach(): Promise<void> {
  const addresses = ADDRESSES.map(address);
  await change(
    sysctlRequest(index, 'rp_filter', 2),
    mtuRequest(index, 1400),
    linkUpRequest(index),
    ...routes().map((each) => addRouteRequest(each, { onlink: true })),
    ...addresses.map((each) => addRuleRequest(ruleFrom(each))),
    ...addresses.map(addAddressRequest),
  );
}

describe('our own changes', () => {
  test('do not ring, nor does what the kernel makes of them until it has settled', async () => {
    for (const name of ['mo0', 'mo0p']) await ip(`link set ${name} addrgenmode eui64`);
    await kindsRung();
    await attach();
    await settled();
    expect(await kindsRung()).toEqual([]);
    expect(await ip('-4 route show dev mo0 table main')).toContain('proto kernel');
    expect(await ip('-6 route show dev mo0 table main')).toContain('2001:db8:180::/64 proto kernel');
    expect(events).toEqual([]);
  });

  test('do not ring when they are taken back', async () => {
    await attach();
    const addresses = ADDRESSES.map(address);
    await change(
      // The first one last: the kernel would take the others with it.
      ...addresses.toReversed().map(removeAddressRequest),
      ...addresses.map((each) => removeRuleRequest(ruleFrom(each))),
      removeRouteRequest(route('10.181.0.0/24', null, 'throw')),
    );
    expect(await kindsRung()).toEqual([]);
    expect(await ip('-4 route show dev mo0 table main')).toBe('');
  });

  test('do not ring when one address comes and goes', async () => {
    await attach();
    await change(addAddressRequest(address('10.180.0.77/24')));
    await change(removeAddressRequest(address('10.180.0.77/24')));
    expect(await kindsRung()).toEqual([]);
  });

  test('do not ring for an IPv6 address that comes and goes at once: the kernel announces it late', async () => {
    await attach();
    await change(addAddressRequest(address('2001:db8:180::77/64')));
    await change(removeAddressRequest(address('2001:db8:180::77/64')));
    expect(await kindsRung()).toEqual([]);
  });

  test('that remove what is not there hide no address that others add', async () => {
    await attach();
    await kindsRung();
    const gone = removeAddressRequest(address('2001:db8:180::78/64'));
    expect(await ask({ kind: 'transact', requests: [gone] })).not.toEqual([0]);
    await ip('addr add 2001:db8:180::78/64 dev mo0');
    expect(await kindsRung()).toEqual(['address']);
  });

  test('do not ring when others have made the same before, which did', async () => {
    await ip('addr add 10.180.0.4/24 dev mo0');
    expect(await kindsRung()).toEqual(['address']);
    await change(removeAddressRequest(address('10.180.0.4/24')));
    await change(addAddressRequest(address('10.180.0.4/24')));
    expect(await kindsRung()).toEqual([]);
  });

  test('that the kernel refuses hide nothing of others', async () => {
    await attach();
    expect(await ask({ kind: 'transact', requests: [mtuRequest(index, 4)] })).not.toEqual([0]);
    await ip('link set mo0 mtu 1300');
    expect(await kindsRung()).toEqual(['link']);
  });
});

describe('of what others do', () => {
  test.each<[string, string, readonly string[], 'rule' | 'address']>([
    ['an address of ours removed', 'addr del 10.180.0.5/24 dev mo0', ['address'], 'rule'],
    ['the primary address of ours removed', 'addr del 10.180.0.4/24 dev mo0', ['address'], 'rule'],
    ['an IPv6 address of ours removed', 'addr del 2001:db8:180::5/64 dev mo0', ['address'], 'rule'],
    ['a rule of ours removed', `rule del from 10.180.0.5 table ${TABLE}`, ['rule'], 'address'],
    ['an IPv6 rule of ours removed', `-6 rule del from 2001:db8:180::4 table ${TABLE}`, ['rule'], 'address'],
    ['a route of ours removed', `route del default table ${TABLE}`, ['route'], 'rule'],
    ['an IPv6 route of ours removed', `-6 route del 2001:db8:180::/64 table ${TABLE}`, ['route'], 'rule'],
    ['a throw of ours removed', `route del throw 10.181.0.0/24 table ${TABLE}`, ['route'], 'rule'],
    ['the connected route removed', 'route del 10.180.0.0/24 dev mo0', ['route'], 'rule'],
    ['a foreign address', 'addr add 10.180.0.200/24 dev mo0', ['address'], 'rule'],
    ['a foreign IPv6 address', 'addr add 2001:db8:180::200/64 dev mo0', ['address'], 'rule'],
    ['a default route', 'route add default via 10.180.0.1', ['route'], 'rule'],
    ['the MTU', 'link set mo0 mtu 1300', ['link'], 'rule'],
    ['the MAC', 'link set mo0 address 02:00:00:00:18:00', ['link'], 'rule'],
    ['the name', 'link set mo0 name mo1', ['link'], 'rule'],
    ['a new link', 'link add mobr type bridge', ['link'], 'rule'],
    ['a link set down', 'link set mo0 down', ['address', 'link', 'route'], 'rule'],
    ['a link that is gone', 'link del mo0', ['address', 'link', 'route'], 'rule'],
  ])('%s rings', async (_name, line, kinds, fence) => {
    await attach();
    expect(await kindsRung()).toEqual([]);
    await ip(line);
    expect(await kindsRung(fence)).toEqual(kinds);
  });

  test('a default route rings each time it changes', async () => {
    await attach();
    await ip('route add default via 10.180.0.1 metric 100');
    expect(await kindsRung()).toEqual(['route']);
    await ip('route replace default via 10.180.0.2 metric 100');
    expect(await kindsRung()).toEqual(['route']);
    await ip('route del default metric 100');
    expect(await kindsRung()).toEqual(['route']);
  });

  test('rp_filter rings, of a NIC and of all, though we had set it', async () => {
    await attach();
    expect(await kindsRung()).toEqual([]);
    await writeSysctl('mo0', 'rp_filter', 1);
    expect(await kindsRung()).toEqual(['sysctl']);
    await change(sysctlRequest(index, 'rp_filter', 2));
    expect(await kindsRung()).toEqual([]);
    await writeSysctl('all', 'rp_filter', 1);
    expect(await kindsRung()).toEqual(['sysctl']);
    await writeSysctl('all', 'rp_filter', 0);
    expect(await kindsRung()).toEqual(['sysctl']);
  });

  test('an IPv6 address of ours that turns out to be another host’s rings again', async () => {
    await ip('-6 addr add 2001:db8:180::9/64 dev mo0p nodad');
    await attach();
    await kindsRung();
    await ip('-6 addr add 2001:db8:180::9/64 dev mo0');
    // When it was set, and some time within a second later; a fence between them would come too late now and then.
    const rung = (): number => events.filter((kind) => kind === 'address').length;
    await expect.poll(rung, { timeout: SETTLE_MS, interval: 20 }).toBe(2);
    expect(await ip('-6 addr show dev mo0')).toContain('dadfailed');
  });

  test('a link that goes down and up again rings both times, though we had set it up', async () => {
    await attach();
    await ip('link set mo0 down');
    await kindsRung();
    await ip('link set mo0 up');
    expect(await kindsRung()).toContain('link');
  });

  test('a bridge that gets an address rings for its connected route, and when it gets a port', async () => {
    await ip('link add mobr type bridge');
    await ip('link set mobr up');
    await kindsRung();
    await ip('addr add 10.180.9.1/24 dev mobr');
    expect(await kindsRung()).toEqual(['address', 'route']);
    await ip('link set mo0 master mobr');
    expect(await kindsRung()).toContain('link');
    await ip('link set mo0 nomaster');
    expect(await kindsRung()).toContain('link');
  });

  test.each([
    ['promiscuous mode', 'link set mo0 promisc on'],
    ['the lifetime of an address', 'addr change 10.180.0.5/24 dev mo0 valid_lft 600 preferred_lft 600'],
    ['an IPv6 link-local address', 'addr add fe80::18/64 dev mo0'],
    ['a route of table local', 'route add local 10.180.3.3 dev mo0 table local'],
    ['a neighbour', 'neigh add 10.180.0.9 lladdr 02:00:00:00:00:09 dev mo0'],
  ])('%s does not ring', async (_name, line) => {
    await attach();
    await kindsRung();
    await ip(line);
    expect(await kindsRung()).toEqual([]);
  });
});

describe('notifications that were lost', () => {
  // Thousands of routes are taken away again, which may be too much as well.
  afterEach(async () => {
    const heard = async (): Promise<number> => {
      fences += 1;
      await ip(`addr add 10.180.${fences >> 8}.${fences & 255}/32 dev lo`);
      return events.filter((kind) => kind === 'address').length;
    };
    await ip(`route flush table ${TABLE}`);
    events = [];
    await vi.waitUntil(async () => (await heard()) > 2, { timeout: SETTLE_MS, interval: 100 });
  });

  async function recovers(): Promise<void> {
    await expect.poll(() => events, { timeout: SETTLE_MS }).toContain('overflow');
    await kindsRung();
    await attach();
    expect(await kindsRung()).toEqual([]);
    await ip('addr del 10.180.0.5/24 dev mo0');
    expect(await kindsRung()).toEqual(['address']);
  }

  test('since we were busy ring as an overflow, and the next ones ring again', async () => {
    await ask({ kind: 'block', batch: throwRoutes(30_000) });
    await recovers();
  });

  test('since the receive buffer was overrun ring as an overflow, and the next ones ring again', async () => {
    const children = await readFile(`/proc/${probe.pid}/task/${probe.pid}/children`, 'utf8');
    const listener = Number(children.trim());
    expect(listener).toBeGreaterThan(1);
    process.kill(listener, 'SIGSTOP');
    await ask({ kind: 'block', batch: throwRoutes(3000) });
    expect(events).toEqual([]);
    process.kill(listener, 'SIGCONT');
    await recovers();
  });
});

function throwRoutes(count: number): string {
  const line = (at: number) => `route add throw 10.182.${at >> 8}.${at & 255} table ${TABLE}`;
  return Array.from({ length: count }, (_, at) => line(at)).join('\n');
}

test('every change is heard, one by one', async () => {
  const each = address('10.180.0.4/24');
  const requests = Array.from({ length: 50 }, () => [
    addAddressRequest(each),
    removeAddressRequest(each),
  ]).flat();
  const latencies = await ask({ kind: 'latency', requests });
  expect(latencies).toHaveLength(100);
});

test('hundreds of links that come and go leak no socket, and the last one rings', async () => {
  const before = await ask({ kind: 'sockets' });
  const once = 'link add mo1 type veth peer name mo1p\nlink del mo1\n';
  await ask({ kind: 'block', batch: once.repeat(sized(100, 250)) });
  await kindsRung();
  await ip('link add mo1 type veth peer name mo1p');
  expect(await kindsRung()).toEqual(['link']);
  expect(await ask({ kind: 'sockets' })).toEqual(before);
});
