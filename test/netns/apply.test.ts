/**
 * Transactions against the kernel and real files; `ip` sets the stage and is the witness. All objects have names of their own:
 * links ap…, tables and priorities 29000 to 29009, networks in 10.171.0.0/16 and 2001:db8:171::/48.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Applied, applySteps } from '../../src/apply/apply.ts';

import { type Kernel, rollBack, runTransaction } from '../../src/apply/transaction.ts';
import { dumpLinks, type KernelLink } from '../../src/kernel/links.ts';
import { openRtnetlink } from '../../src/kernel/socket.ts';
import { MAIN_TABLE, type Route, type RouteType, SCOPE_LINK, SCOPE_UNIVERSE } from '../../src/model/host.ts';
import {
  type Cidr,
  familyOf,
  type IfName,
  type MacAddress,
  parseCidr,
  parseInterfaceAddress,
  parseIpAddress,
} from '../../src/model/net.ts';
import type {
  AddressArguments,
  KernelStep,
  RuleArguments,
  Step,
  StepArguments,
  StepKind,
} from '../../src/model/plan.ts';
import { describeAction } from '../../src/plan/describe.ts';
import { makeStep } from '../../src/plan/step.ts';
import { createPaths, type Paths } from '../../src/system/paths.ts';
import { assertPrivateNamespace } from '../lab/guard.ts';
import { makeFolder, removeFolder } from '../unit/system/script.ts';

const TABLE = 29_000;
const PROTOCOL = 196;
const PRIMARY = '02:00:00:00:66:01' as MacAddress;

let kernel: Kernel;
let ap0: KernelLink;
let ap1: KernelLink;
let paths: Paths;

beforeAll(() => {
  assertPrivateNamespace();
  kernel = { rtnetlink: openRtnetlink(), quirks: { onlink: false }, words: describeAction };
});
afterAll(() => kernel.rtnetlink.close());

beforeEach(async () => {
  for (const name of ['ap0', 'ap1']) {
    await ip(`link add ${name} type veth peer name ${name}p`);
    // Without link-local addresses, which come and go in their own time.
    for (const end of [`${name}p`, name]) await ip(`link set ${end} up addrgenmode none`);
  }
  [ap0, ap1] = [await link('ap0'), await link('ap1')];
  const folder = await makeFolder();
  paths = createPaths(folder);
  await mkdir(paths.networkScripts, { recursive: true });
  return () => removeFolder(folder);
});

afterEach(async () => {
  for (const { ifname } of await dumpLinks(kernel.rtnetlink))
    if (/^ap\dp$/.test(ifname)) await ip(`link del ${ifname}`);
  for (const family of ['-4', '-6']) {
    for (let table = TABLE; table < TABLE + 3; table += 1) {
      await execa('ip', [family, 'route', 'flush', 'table', String(table)], { reject: false });
      while (
        !(await execa('ip', [family, 'rule', 'del', 'priority', String(table)], { reject: false })).failed
      );
    }
  }
});

async function ip(line: string): Promise<string> {
  return (await execa('ip', line.split(' '))).stdout;
}

async function link(name: string): Promise<KernelLink> {
  const found = (await dumpLinks(kernel.rtnetlink)).find(({ ifname }) => ifname === name);
  if (found === undefined) throw new Error(`no link ${name}`);
  return found;
}

/** What of the other tests in this namespace is not ours to look at. */
const OURS = /\bap\d\b|\b2900\d\b|(?<![\d.])10\.171\.|\b2001:db8:171:/;
/** What changes by itself, and the flags of a link but for the one that we set. */
const VOLATILE = / (valid_lft|expires|state) .*| tentative|(?<=<).*?(?=\bUP\b|>)|(?<=\bUP\b).*?(?=>)/g;

/** All that is ours in the kernel, addresses in their order. */
async function snapshot(): Promise<string> {
  const ours = (text: string) =>
    text
      .split('\n')
      .filter((line) => OURS.test(line))
      .map((line) => line.replace(VOLATILE, ''));
  const sorted = (text: string) => ours(text).toSorted();
  const proc = ['rp_filter', 'arp_ignore', 'arp_announce', 'promote_secondaries'].flatMap((name) =>
    ['ap0', 'ap1'].map((each) => `/proc/sys/net/ipv4/conf/${each}/${name}`),
  );
  const sysctls = await execa('grep', ['-sH', '', ...proc], { reject: false });
  return [
    ours(await ip('-o link show')),
    ours(await ip('-o address show')),
    sorted(await ip('-4 route show table all')),
    sorted(await ip('-6 route show table all')),
    sorted(await ip('-4 rule show')),
    sorted(await ip('-6 rule show')),
    sysctls.stdout.split('\n'),
  ]
    .flat()
    .join('\n');
}

function step<Kind extends StepKind>(
  kind: Kind,
  args: StepArguments[Kind],
  nic: { readonly ifname: IfName; readonly mac: MacAddress | null } = ap0,
): Step {
  return makeStep(kind, { ifname: nic.ifname, mac: nic.mac ?? PRIMARY }, args, 'a test');
}

function kernelSteps(...steps: readonly Step[]): readonly KernelStep[] {
  return steps as readonly KernelStep[];
}

function address(text: string, { index } = ap0): AddressArguments {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return { ...parsed, linkIndex: index, deprecated: false };
}

interface RouteText {
  readonly type?: RouteType;
  readonly metric?: number;
  readonly table?: number;
}

/** `10.171.1.0/24`, or `0.0.0.0/0 via 10.171.1.1`. */
function route(
  text: string,
  { type = 'unicast', metric = 0, table = TABLE }: RouteText = {},
  nic = ap0,
): Route {
  const [to = '', via] = text.split(' via ');
  const destination = parseCidr(to) as Cidr;
  const family = familyOf(destination);
  const gateway = via === undefined ? null : (parseIpAddress(via) ?? null);
  return {
    family,
    table,
    type,
    destination,
    nexthops: type === 'unicast' ? [{ gateway, linkIndex: nic.index }] : [],
    metric: metric === 0 && family === 6 ? 1024 : metric,
    protocol: PROTOCOL,
    scope: type === 'unicast' && gateway === null && family === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}

function rule(source: string, table = TABLE): RuleArguments {
  const cidr = parseCidr(source) as Cidr;
  const common = { family: familyOf(cidr), priority: table, table, protocol: PROTOCOL };
  return { ...common, source: cidr, outputInterface: null, mark: null };
}

/** Everything that an agent does to a NIC with two addresses of each family. */
function completeSteps(nic = ap0, subnet = '10.171.1', subnet6 = '2001:db8:171:1'): readonly Step[] {
  const table = TABLE + (nic === ap0 ? 0 : 1);
  const add = <Kind extends StepKind>(kind: Kind, args: StepArguments[Kind]) => step(kind, args, nic);
  const put = (text: string, options: RouteText = {}) =>
    add('add-route', route(text, { table, ...options }, nic));
  return [
    add('set-mtu', { linkIndex: nic.index, mtu: 1400, before: 1500 }),
    add('set-link-up', { linkIndex: nic.index }),
    add('set-sysctl', { linkIndex: nic.index, name: 'rp_filter', value: 2, before: nic.sysctls.rp_filter }),
    add('set-sysctl', { linkIndex: nic.index, name: 'arp_ignore', value: 1, before: 0 }),
    put(`${subnet}.0/24`),
    put(`0.0.0.0/0 via ${subnet}.1`),
    put('0.0.0.0/0', { type: 'unreachable', metric: 4_294_967_295 }),
    put('10.171.200.0/24', { type: 'throw' }),
    put(`${subnet6}::/64`),
    put(`::/0 via ${subnet6}::1`),
    ...[`${subnet}.4/32`, `${subnet}.5/32`, `${subnet6}::4/128`, `${subnet6}::5/128`].map((source) =>
      add('add-rule', rule(source, table)),
    ),
    ...[`${subnet}.4/24`, `${subnet}.5/24`, `${subnet6}::4/64`, `${subnet6}::5/64`].map((each) =>
      add('add-address', address(each, nic)),
    ),
  ];
}

const stray = (nic = ap0) => step('add-route', route('10.171.201.0/24 via 10.171.99.1', {}, nic), nic);

describe('a transaction that is refused in the middle', () => {
  test('leaves a NIC that was down and empty as it was, and says why', async () => {
    await ip('link set ap0 down');
    const before = await snapshot();
    const steps = completeSteps();
    const broken = [...steps.slice(0, 5), stray(), ...steps.slice(5)];
    const { done, failure } = await runTransaction(kernel, kernelSteps(...broken));
    expect(failure?.message).toBe(
      `adding route 10.171.201.0/24 via 10.171.99.1 table ${TABLE} on ap0: ` +
        'Network is unreachable; the gateway is in no subnet of ap0 (rolled back)',
    );
    expect(failure).toMatchObject({ code: 'kernel-refused', retry: 'backoff' });
    expect(done).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('leaves a NIC that works as it was', async () => {
    for (const each of [4, 5, 6]) await ip(`address add 10.171.1.${each}/24 dev ap0`);
    await ip(`route add default via 10.171.1.1 dev ap0 table ${TABLE}`);
    await ip(`rule add from 10.171.1.4 lookup ${TABLE} priority ${TABLE} protocol ${PROTOCOL}`);
    const before = await snapshot();
    const { done, failure } = await runTransaction(
      kernel,
      kernelSteps(
        step('set-sysctl', {
          linkIndex: ap0.index,
          name: 'rp_filter',
          value: 2,
          before: ap0.sysctls.rp_filter,
        }),
        stray(),
        // What was there before.
        step('add-rule', rule('10.171.1.4/32')),
        step('add-address', address('10.171.1.4/24')),
        step('add-address', address('10.171.1.7/24')),
        // In the middle of the list: removed and added again, it would be the last one.
        step('remove-address', address('10.171.1.5/24')),
      ),
    );
    expect(failure?.code).toBe('kernel-refused');
    expect(done).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('gives a route its place back that another one took', async () => {
    await ip('address add 10.171.1.4/24 dev ap0');
    await ip('address add 2001:db8:171:1::4/64 dev ap0 nodad');
    await ip(`route add default via 10.171.1.1 dev ap0 table ${TABLE} proto ${PROTOCOL}`);
    await ip(`-6 route add default via 2001:db8:171:1::1 dev ap0 table ${TABLE} proto ${PROTOCOL}`);
    await ip(`route add 10.171.210.0/24 via 10.171.1.1 dev ap0 proto ${PROTOCOL}`);
    const before = await snapshot();
    const main = { table: MAIN_TABLE };
    const steps = kernelSteps(
      step('add-route', route('0.0.0.0/0 via 10.171.1.2')),
      step('add-route', route('::/0 via 2001:db8:171:1::2')),
      step('add-route', route('10.171.210.0/24 via 10.171.1.2', main)),
      step('remove-route', route('0.0.0.0/0 via 10.171.1.1')),
      step('remove-route', route('::/0 via 2001:db8:171:1::1')),
      step('remove-route', route('10.171.210.0/24 via 10.171.1.1', main)),
    );
    const { failure } = await runTransaction(kernel, [...kernelSteps(stray()), ...steps]);
    expect(failure?.message).toMatch(/\(rolled back\)$/);
    expect(await snapshot()).toBe(before);

    const succeeded = await runTransaction(kernel, steps);
    expect(succeeded.failure).toBeNull();
    const after = await snapshot();
    expect(after).not.toContain('via 10.171.1.1');
    expect(after.match(/via 10.171.1.2/g)).toHaveLength(2);
    expect(after).toContain('via 2001:db8:171:1::2');
    expect(await rollBack(kernel, succeeded.done)).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('because its link is gone says so, and takes its rules back', async () => {
    const before = await snapshot();
    await ip('link add ap2 type veth peer name ap2p');
    const ap2 = await link('ap2');
    await ip('link del ap2');
    const { failure } = await runTransaction(
      kernel,
      kernelSteps(
        step('add-rule', rule('10.171.1.4/32'), ap2),
        step('add-route', route('10.171.200.0/24', { type: 'throw' }), ap2),
        step('set-link-up', { linkIndex: ap2.index }, ap2),
        step('add-address', address('10.171.1.4/24', ap2), ap2),
      ),
    );
    expect(failure).toMatchObject({ code: 'link-gone', retry: 'next-wake' });
    expect(failure?.message).toContain('setting link up on ap2: No such device; interface ap2 is gone');
    expect(await snapshot()).toBe(before);
  });
});

describe('a transaction', () => {
  test('that finds what it is to add, or not what it is to remove, is done', async () => {
    await ip('address add 10.171.1.4/24 dev ap0');
    await ip(`rule add from 10.171.1.4 lookup ${TABLE} priority ${TABLE}`);
    const { done, failure } = await runTransaction(
      kernel,
      kernelSteps(
        step('add-rule', { ...rule('10.171.1.4/32'), protocol: 0 }),
        step('add-address', address('10.171.1.4/24')),
        step('remove-address', address('10.171.1.9/24')),
        step('remove-rule', rule('10.171.1.9/32')),
        step('remove-route', route('10.171.9.0/24')),
        step('remove-route', route('2001:db8:171:9::/64')),
        step('remove-route', route('10.171.9.0/24', { type: 'throw' })),
      ),
    );
    expect(failure).toBeNull();
    expect(done.filter(({ kind }) => kind.startsWith('add-'))).toEqual([]);
  });

  test('that is undone after it was done leaves a NIC as it was', async () => {
    await ip('link set ap0 down');
    const before = await snapshot();
    const { done, failure } = await runTransaction(kernel, kernelSteps(...completeSteps()));
    expect(failure).toBeNull();
    expect(await snapshot()).not.toBe(before);
    expect(await rollBack(kernel, done)).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('that clears a NIC is undone, with the routes that went with the addresses', async () => {
    const { failure } = await runTransaction(kernel, kernelSteps(...completeSteps()));
    expect(failure).toBeNull();
    const before = await snapshot();
    const added = completeSteps().filter(({ kind }) => kind.startsWith('add-'));
    const removals = added
      .toReversed()
      .map((each) => ({ ...each, kind: each.kind.replace('add', 'remove') }));
    const cleared = await runTransaction(kernel, removals as unknown as KernelStep[]);
    expect(cleared.failure).toBeNull();
    expect(await snapshot()).not.toMatch(/10\.171\.|2001:db8/);
    expect(await rollBack(kernel, cleared.done)).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('whose gateway is declared on the link is accepted, wherever that is', async () => {
    const quirky = { ...kernel, quirks: { onlink: true } };
    expect((await runTransaction(quirky, kernelSteps(stray()))).failure).toBeNull();
    expect(await ip(`route show table ${TABLE}`)).toMatch(
      /^10.171.201.0\/24 via 10.171.99.1 dev ap0 .*onlink/,
    );
  });

  test.each([
    ['10.171.1.4/24', '10.171.210.0/24', '10.171.1.1', '10.171.1.2'],
    ['2001:db8:171:1::4/64', '2001:db8:171:210::/64', '2001:db8:171:1::1', '2001:db8:171:1::2'],
  ])("never takes the place of somebody else's route in main (%s)", async (own, to, theirs, ours) => {
    await ip(`address add ${own} dev ap0${own.includes(':') ? ' nodad' : ''}`);
    await ip(`route add ${to} via ${theirs} dev ap0`);
    const before = await snapshot();
    const steps = [
      step('add-rule', rule('10.171.1.4/32')),
      step('add-route', route(`${to} via ${ours}`, { table: MAIN_TABLE })),
    ];
    const { failure } = await runTransaction(kernel, kernelSteps(...steps));
    expect(failure?.code).toBe('kernel-refused');
    expect(failure?.message).toBe(
      `adding route ${to} via ${ours} on ap0: File exists; main has another route to that destination; ` +
        'remove it, or take this one out of the configuration (rolled back)',
    );
    expect(await snapshot()).toBe(before);
  });
});

describe('the steps of several NICs', () => {
  const first = (applied: readonly Applied[], nic: KernelLink) => applied.find(({ mac }) => mac === nic.mac);

  test('are done for those that can be, and undone for the one that fails', async () => {
    const steps = [...completeSteps(ap0), stray(ap0), ...completeSteps(ap1, '10.171.2', '2001:db8:171:2')];
    const applied = await applySteps(steps, PRIMARY, { kernel, paths });
    expect(first(applied, ap0)?.failure?.code).toBe('kernel-refused');
    expect(first(applied, ap1)).toMatchObject({ failure: null, done: { length: 18 } });
    const after = await snapshot();
    expect(after).not.toMatch(/10\.171\.1\.|2001:db8:171:1:/);
    expect(after).toContain('10.171.2.5/24');
    expect(await first(applied, ap1)?.undo()).toEqual([]);
    expect(await snapshot()).not.toMatch(/10\.171\.|2001:db8/);
  });

  test.each([
    ['not cleared after a failure', true],
    ['cleared when all went well', false],
  ])('on the primary are %s', async (_name, fails) => {
    const primary = { ifname: ap1.ifname, mac: PRIMARY };
    const table = TABLE + 2;
    await ip(`rule add from 10.171.3.4 lookup ${table} priority ${table}`);
    const applied = await applySteps(
      [
        step('add-rule', rule('10.171.3.5/32', table), primary),
        fails ? stray() : step('add-rule', rule('10.171.1.4/32')),
        step('remove-rule', rule('10.171.3.4/32', table), primary),
      ],
      PRIMARY,
      { kernel, paths },
    );
    expect(applied.map(({ failure }) => failure?.code)).toEqual(
      fails ? [undefined, 'kernel-refused'] : [undefined, undefined, undefined],
    );
    const rules = await ip(`rule show priority ${table}`);
    expect(rules).toContain('10.171.3.5');
    expect(rules.includes('10.171.3.4')).toBe(fails);
  });
});

describe('the files of a NIC', () => {
  const IFCFG = '/etc/sysconfig/network-scripts/ifcfg-ap0';
  const RULE = '/etc/sysconfig/network-scripts/rule-ap0';

  const write = (path: string, keepOriginal = false) =>
    step('write-file', { path, content: `content of ${path}\n`, keepOriginal });
  const removeFile = (path: string, original: 'keep' | 'restore' | 'leave') =>
    step('remove-file', { path, original });

  async function apply(...steps: readonly Step[]): Promise<Applied> {
    const [applied] = await applySteps(steps, PRIMARY, { kernel, paths });
    if (applied === undefined) throw new Error('nothing was applied');
    return applied;
  }

  /** Name → content of everything in the folder. */
  async function files(): Promise<Record<string, string>> {
    const names = (await readdir(paths.networkScripts)).toSorted();
    const read = async (name: string) => [name, await readFile(`${paths.networkScripts}/${name}`, 'utf8')];
    return Object.fromEntries(await Promise.all(names.map(read)));
  }

  async function put(name: string, content: string): Promise<void> {
    await writeFile(`${paths.networkScripts}/${name}`, content);
  }

  test('have their names only when they are kept', async () => {
    await put('rule-ap0', 'old');
    const applied = await apply(step('add-rule', rule('10.171.1.4/32')), write(IFCFG), write(RULE));
    const { 'rule-ap0': visible, ...others } = await files();
    expect(visible).toBe('old');
    expect(Object.keys(others).every((name) => name.startsWith('.'))).toBe(true);
    expect(await applied.keep()).toBeNull();
    expect(await files()).toEqual({
      'ifcfg-ap0': `content of ${IFCFG}\n`,
      'rule-ap0': `content of ${RULE}\n`,
    });
  });

  test.each<[string, () => Step[], (applied: Applied) => Promise<unknown>]>([
    ['the kernel refuses', () => [stray()], async ({ failure }) => expect(failure).not.toBeNull()],
    ['it is undone', () => [], async (applied) => expect(await applied.undo()).toEqual([])],
  ])('are as they were when %s', async (_name, extra, end) => {
    await put('rule-ap0', 'old');
    await put('route-ap0', 'old');
    const route = '/etc/sysconfig/network-scripts/route-ap0';
    await end(await apply(...extra(), write(IFCFG), write(RULE, true), removeFile(route, 'leave')));
    expect(await files()).toEqual({ 'route-ap0': 'old', 'rule-ap0': 'old' });
  });

  test('of somebody else are kept beside, written over or removed, and put back', async () => {
    await put('ifcfg-ap0', "somebody's");
    await put('rule-ap0', "somebody's too");
    expect(await (await apply(write(IFCFG, true), removeFile(RULE, 'keep'))).keep()).toBeNull();
    expect(await files()).toEqual({
      'ifcfg-ap0': `content of ${IFCFG}\n`,
      'ifcfg-ap0.orig': "somebody's",
      'rule-ap0.orig': "somebody's too",
    });
    expect(await (await apply(removeFile(IFCFG, 'restore'), removeFile(RULE, 'restore'))).keep()).toBeNull();
    expect(await files()).toEqual({ 'ifcfg-ap0': "somebody's", 'rule-ap0': "somebody's too" });
  });

  test('are removed when there is nothing to put back, or nothing at all', async () => {
    await put('ifcfg-ap0', 'ours');
    expect(await (await apply(removeFile(IFCFG, 'restore'), removeFile(RULE, 'leave'))).keep()).toBeNull();
    expect(await files()).toEqual({});
  });

  const CONSEQUENCE = 'the NIC works now, but would not come up like this after a reboot';

  test('that find no room leave what is right in the kernel, and no temporary', async () => {
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', paths.networkScripts]);
    try {
      const content = 'x'.repeat(100_000);
      const large = step('write-file', { path: IFCFG, content, keepOriginal: false });
      const applied = await apply(step('add-rule', rule('10.171.1.4/32')), large, write(RULE));
      expect(applied.failure).toBeNull();
      const problem = await applied.keep();
      expect(problem?.mac).toBe(ap0.mac);
      expect(problem?.message).toContain(`writing ${paths.below(IFCFG)}: ENOSPC`);
      expect(problem?.message).toContain(CONSEQUENCE);
      expect(await files()).toEqual({});
      expect(await ip(`rule show priority ${TABLE}`)).toContain('10.171.1.4');
    } finally {
      await execa('umount', [paths.networkScripts]);
    }
  });

  test('in a folder that is read only leave what is right in the kernel', async () => {
    await execa('mount', ['-t', 'tmpfs', 'tmpfs', paths.networkScripts]);
    try {
      await put('ifcfg-ap0', 'old');
      await execa('mount', ['-o', 'remount,bind,ro', paths.networkScripts]);
      const applied = await apply(step('add-rule', rule('10.171.1.4/32')), write(RULE));
      expect((await applied.keep())?.message).toMatch(/^writing \S+rule-ap0: EROFS: .*after a reboot$/);
      const removal = await apply(removeFile(IFCFG, 'leave'));
      expect((await removal.keep())?.message).toMatch(/ifcfg-ap0.*EROFS|EROFS.*ifcfg-ap0/);
      expect(await files()).toEqual({ 'ifcfg-ap0': 'old' });
      expect(await ip(`rule show priority ${TABLE}`)).toContain('10.171.1.4');
    } finally {
      await execa('umount', [paths.networkScripts]);
    }
  });

  test('one of which loses its place at the last moment leave no temporary', async () => {
    const applied = await apply(write(IFCFG), write(RULE));
    await mkdir(paths.below(IFCFG));
    expect((await applied.keep())?.message).toContain(`writing ${paths.below(IFCFG)}: E`);
    expect(await readdir(paths.networkScripts)).toEqual(['ifcfg-ap0']);
    await rm(paths.below(IFCFG), { recursive: true });
  });
});
