/** Random hosts for the laws: a recipe of small choices (which shrinks well), and the world that it describes. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { BACKENDS, type Backend, type Config } from '../../src/model/config.ts';
import type { HostState, Link } from '../../src/model/host.ts';
import { type ConnectionMark, formatMark, markOfSlot } from '../../src/model/mark.ts';
import type { InstanceMetadata, NicMetadata } from '../../src/model/metadata.ts';
import type { IfName, MacAddress } from '../../src/model/net.ts';
import { hostCidr } from '../../src/model/net.ts';
import type { NicState } from '../../src/model/state.ts';
import { loadTemplates } from '../../src/system/templates.ts';
import {
  configOf,
  DISTRIBUTIONS,
  eni,
  hostOf,
  instance,
  ip,
  link,
  macOf,
  OUR_PROTOCOL,
  otherLink,
  owned,
  TABLE_BASE,
  WORST_METRIC,
} from './builders.ts';
import { DEFAULTS } from './config/defaults.ts';
import type { World } from './simulator.ts';

export const SHIPPED = await loadTemplates(fileURLToPath(new URL('../../templates/', import.meta.url)));

const CI_RUNS = 25;
const FULL_RUNS = 2_000;
/** Of one law: enough to be quick in CI, many with ENI_TEST_SIZE=full. */
export const RUNS = process.env['ENI_TEST_SIZE'] === 'full' ? FULL_RUNS : CI_RUNS;
/** Of a law that takes all of its runs at full size. */
export const FULL_TIMEOUT_MS = 120_000;

/** NICs 1 to 4; 1 is the primary. */
const MOST_NICS = 4;
const MOST_ADDRESSES = 6;
/** A NIC that the state knows and the metadata does not list any more. */
const GONE = 9;
const GONE_SLOT = 9;
const MASK = DEFAULTS.routing.forwardedMask;

export interface NicRecipe {
  /** 10.0.SUBNET.0/24 */
  readonly subnet: number;
  readonly count: number;
  readonly hasIpv6: boolean;
  readonly isUp: boolean;
  /** So many of the listed addresses are on the link already. */
  readonly present: number;
  /** Keepalived put an address there. */
  readonly hasVip: boolean;
  /** We added an address there that is not listed any more. */
  readonly hasStale: boolean;
  readonly rpFilter: number;
  readonly isManaged: boolean;
  readonly isKnown: boolean;
  /** What an earlier life, or another manager, left in the NIC's table and at its priority. */
  readonly leftovers: readonly Leftover[];
}

const LEFTOVERS = [
  'rule',
  'rule-again',
  'rule-of-neighbour',
  'rule-of-nobody',
  'subnet-by-nm',
  'default-by-nm',
  'default-ours',
  'default-by-wrong-gateway',
  'unreachable-of-better-metric',
  'unreachable',
  'old-throw',
  'mark',
  'mark-of-neighbour',
  'mark-rule',
  'mark-rule-of-other-mask',
] as const;
type Leftover = (typeof LEFTOVERS)[number];

export interface Recipe {
  readonly nics: readonly NicRecipe[];
  readonly gone: 'never-was' | 'with-link' | 'without-link';
  readonly surroundings: readonly Surrounding[];
  readonly primary: Config['routing']['primary'];
  readonly localRoutes: Config['routing']['localRoutes'];
  readonly forwarded: Config['routing']['forwarded'];
  readonly excluded: 'nothing' | 'vips' | 'listed';
  readonly extraRoute: boolean;
  readonly mtu: number | null;
  readonly backend: Backend;
}

const SURROUNDINGS = [
  'docker',
  'vpn',
  'vpn-halves',
  'vpn-covering',
  'static',
  'zeroconf',
  'blackhole',
  'foreign-rules',
  'all-rp-filter',
] as const;
type Surrounding = (typeof SURROUNDINGS)[number];

const anyNic: fc.Arbitrary<NicRecipe> = fc.record({
  subnet: fc.integer({ min: 0, max: 2 }),
  count: fc.integer({ min: 1, max: MOST_ADDRESSES }),
  hasIpv6: fc.boolean(),
  isUp: fc.boolean(),
  present: fc.integer({ min: 0, max: MOST_ADDRESSES }),
  hasVip: fc.boolean(),
  hasStale: fc.boolean(),
  rpFilter: fc.integer({ min: 0, max: 2 }),
  isManaged: fc.integer({ min: 0, max: 9 }).map((dice) => dice > 0),
  isKnown: fc.boolean(),
  leftovers: fc.subarray([...LEFTOVERS]),
});

export const anyRecipe: fc.Arbitrary<Recipe> = fc.record({
  nics: fc.array(anyNic, { minLength: 1, maxLength: MOST_NICS }),
  gone: fc.constantFrom('never-was', 'with-link', 'without-link'),
  surroundings: fc.subarray([...SURROUNDINGS]),
  primary: fc.constantFrom('auto', 'auto', 'always', 'never'),
  localRoutes: fc.constantFrom('auto', 'auto', 'off'),
  forwarded: fc.constantFrom('connmark', 'off'),
  excluded: fc.constantFrom('nothing', 'vips', 'listed'),
  extraRoute: fc.boolean(),
  mtu: fc.constantFrom(null, 1400),
  backend: fc.constantFrom(...BACKENDS),
});

export function worldOf(recipe: Recipe): World {
  const metadata = metadataOf(recipe.nics);
  const host = hostFrom(recipe, metadata);
  return { metadata, host, config: configFrom(recipe, metadata), templates: SHIPPED };
}

/** NIC n has addresses 10.0.SUBNET.(20 n), and so on; so no two NICs list the same. */
function listing(n: number, { subnet, count, hasIpv6 }: NicRecipe): NicMetadata {
  const hosts = Array.from({ length: count }, (_, index) => 20 * n + index);
  const addresses = [
    ...hosts.map((host) => `10.0.${subnet}.${host}/24`),
    ...(hasIpv6 ? hosts.slice(0, 2).map((host) => `2001:db8:${subnet + 1}::${host}/64`) : []),
  ];
  const gateways = [`10.0.${subnet}.1`, ...(hasIpv6 ? ['fe80::1'] : [])];
  return eni(n, addresses.join(' '), ...gateways);
}

function metadataOf(nics: readonly NicRecipe[]): InstanceMetadata {
  return instance(nics.map((nic, index) => listing(index + 1, nic)));
}

const vipOf = (n: number, { subnet }: NicRecipe): string => `10.0.${subnet}.${200 + n}`;
const staleOf = (n: number, { subnet }: NicRecipe): string => `10.0.${subnet}.${20 * n + 19}`;

function hostFrom(recipe: Recipe, { nics }: InstanceMetadata): HostState {
  const { surroundings } = recipe;
  const links = [
    ...recipe.nics.map((nic, index) => nicLink(index + 1, nic, nics[index])),
    ...(recipe.gone === 'with-link' ? [link(GONE, 'eth9', { addresses: '10.0.9.4/24 10.0.9.5/24' })] : []),
    ...(surroundings.includes('docker') ? [otherLink(20, 'docker0', { addresses: '172.17.0.1/16' })] : []),
    ...(surroundings.some((name) => name.startsWith('vpn'))
      ? [otherLink(21, 'tun0', { addresses: '192.168.50.2/24' })]
      : []),
  ];
  return hostOf({
    links,
    routes: [...mainRoutes(recipe), ...recipe.nics.flatMap((nic, index) => tableLeftovers(index + 1, nic))],
    rules: [
      'from all lookup 255 priority 0',
      'from all lookup 254 priority 32766',
      'from all lookup 253 priority 32767',
      ...(surroundings.includes('foreign-rules')
        ? [
            'fwmark 524288 lookup 52 priority 5210',
            `fwmark 7 lookup ${TABLE_BASE + 1} priority ${TABLE_BASE + 1}`,
            'from 10.0.0.20 lookup 100 priority 100',
            'oif eth1 lookup 2003 priority 1000',
          ]
        : []),
      ...recipe.nics.flatMap((nic, index) => ruleLeftovers(index + 1, nic, recipe.nics)),
      ...(recipe.gone === 'never-was' ? [] : goneRules()),
    ],
    marks: recipe.nics.flatMap((nic, index) => markLeftovers(index + 1, nic, recipe.nics.length)),
    allSysctls: surroundings.includes('all-rp-filter') ? { rp_filter: 1 } : {},
    nics: stateOf(recipe, nics),
    distribution: DISTRIBUTIONS[recipe.backend],
  });
}

function nicLink(n: number, nic: NicRecipe, reading: NicMetadata | undefined): Link {
  const listed = (reading?.addresses ?? []).map(({ address, prefixLength }) => `${address}/${prefixLength}`);
  const present = listed.slice(0, n === 1 ? Math.max(1, nic.present) : nic.present);
  const others = [
    ...(nic.hasVip ? [`${vipOf(n, nic)}/32`] : []),
    ...(nic.hasStale ? [`${staleOf(n, nic)}/24`] : []),
  ];
  const addresses = n === 1 || nic.isUp ? [...present, ...others].join(' ') : '';
  return link(n, `eth${n - 1}`, {
    addresses,
    up: n === 1 || nic.isUp,
    sysctls: { rp_filter: nic.rpFilter, arp_ignore: 0, arp_announce: 0, promote_secondaries: 1 },
  });
}

function mainRoutes({ nics, surroundings }: Recipe): readonly string[] {
  const subnet = nics[0]?.subnet ?? 0;
  const lines: Readonly<Partial<Record<Surrounding, readonly string[]>>> = {
    vpn: ['192.168.60.0/24 via 192.168.50.1 dev tun0', '10.64.0.0/10 dev tun0'],
    'vpn-halves': ['0.0.0.0/1 via 192.168.50.1 dev tun0', '128.0.0.0/1 via 192.168.50.1 dev tun0'],
    'vpn-covering': ['10.0.0.0/8', '172.16.0.0/12', '2001:db8::/32'].map((network) => `${network} dev tun0`),
    static: [`172.20.0.0/16 via 10.0.${subnet}.254 dev eth0`],
    zeroconf: ['169.254.0.0/16 dev eth0 metric 1002'],
    blackhole: ['blackhole 172.31.0.0/16', 'unreachable 172.30.0.0/16 metric 50'],
  };
  return [
    `default via 10.0.${subnet}.1 dev eth0 metric 100 proto 16`,
    ...surroundings.flatMap((name) => lines[name] ?? []),
  ];
}

function tableLeftovers(n: number, { subnet, leftovers }: NicRecipe): readonly string[] {
  const table = `table ${TABLE_BASE + n - 1}`;
  const by = `dev eth${n - 1} ${table}`;
  const lines: Readonly<Partial<Record<Leftover, string>>> = {
    'subnet-by-nm': `10.0.${subnet}.0/24 ${by} metric 101 proto 4`,
    'default-by-nm': `default via 10.0.${subnet}.1 ${by} metric 100 proto 4`,
    'default-ours': `default via 10.0.${subnet}.1 ${by} proto ${OUR_PROTOCOL}`,
    'default-by-wrong-gateway': `default via 10.0.${subnet}.9 ${by} metric 7 proto ${OUR_PROTOCOL}`,
    'unreachable-of-better-metric': `unreachable default ${table} metric 50 proto ${OUR_PROTOCOL}`,
    unreachable: `unreachable default ${table} metric ${WORST_METRIC} proto ${OUR_PROTOCOL}`,
    'old-throw': `throw 172.29.0.0/16 ${table} proto ${OUR_PROTOCOL}`,
  };
  return leftovers.flatMap((name) => lines[name] ?? []);
}

function ruleLeftovers(
  n: number,
  { subnet, leftovers }: NicRecipe,
  all: readonly NicRecipe[],
): readonly string[] {
  const other = (n % all.length) + 1;
  const neighbour = `10.0.${all[other - 1]?.subnet ?? 0}.${20 * other}`;
  const lookup = `lookup ${TABLE_BASE + n - 1} priority ${TABLE_BASE + n - 1}`;
  const lines: Readonly<Partial<Record<Leftover, string>>> = {
    rule: `from 10.0.${subnet}.${20 * n} ${lookup}`,
    'rule-again': `from 10.0.${subnet}.${20 * n} ${lookup} proto ${OUR_PROTOCOL}`,
    'rule-of-neighbour': `from ${neighbour} ${lookup}`,
    'mark-rule': `fwmark ${formatMark(markOfSlot(n - 1, MASK))} ${lookup} proto ${OUR_PROTOCOL}`,
    'mark-rule-of-other-mask': `fwmark 0x10/0xf0 ${lookup} proto ${OUR_PROTOCOL}`,
    'rule-of-nobody': `from 10.0.${subnet}.199 ${lookup} proto ${OUR_PROTOCOL}`,
  };
  return leftovers.flatMap((name) => lines[name] ?? []);
}

function markLeftovers(n: number, { leftovers }: NicRecipe, nics: number): readonly ConnectionMark[] {
  const marks: Readonly<Partial<Record<Leftover, number>>> = { mark: n - 1, 'mark-of-neighbour': n % nics };
  const [slot] = leftovers.flatMap((name) => marks[name] ?? []);
  const ifname = `eth${n - 1}` as IfName;
  return slot === undefined ? [] : [{ family: 4, ifname, ...markOfSlot(slot, MASK) }];
}

function goneRules(): readonly string[] {
  const lookup = `lookup ${TABLE_BASE + GONE_SLOT} priority ${TABLE_BASE + GONE_SLOT}`;
  return ['from 10.0.9.4', 'from 10.0.9.5', 'oif eth9'].map((selector) => `${selector} ${lookup}`);
}

function stateOf(recipe: Recipe, readings: readonly NicMetadata[]): Record<MacAddress, NicState> {
  const nics: Record<MacAddress, NicState> = {};
  for (const [index, nic] of recipe.nics.entries()) {
    const n = index + 1;
    const [, ...secondaries] = readings[index]?.addresses ?? [];
    const ours = (n === 1 ? secondaries : (readings[index]?.addresses ?? [])).map(
      ({ address, prefixLength }) => `${address}/${prefixLength}`,
    );
    if (!nic.isKnown) continue;
    const stale = nic.hasStale ? `${staleOf(n, nic)}/24` : '';
    nics[macOf(n)] = owned(index, `eth${index}`, [...ours, stale].join(' '));
  }
  if (recipe.gone !== 'never-was') nics[macOf(GONE)] = owned(GONE_SLOT, 'eth9', '10.0.9.4/24 10.0.9.5/24');
  return nics;
}

function configFrom(recipe: Recipe, { nics }: InstanceMetadata): Config {
  const secondary = recipe.nics.length;
  const subnet = recipe.nics[secondary - 1]?.subnet ?? 0;
  return configOf({
    routing: {
      primary: recipe.primary,
      localRoutes: recipe.localRoutes,
      forwarded: recipe.forwarded,
    },
    interfaces: recipe.nics.map((nic, index) => ({
      match: { mac: macOf(index + 1) },
      manage: nic.isManaged,
      mtu: index === 0 ? null : recipe.mtu,
      excludeAddresses: excludedOf(recipe, index + 1, nic, nics[index]),
      routes:
        recipe.extraRoute && index + 1 === secondary
          ? [{ to: '172.28.0.0/16' as never, via: ip(`10.0.${subnet}.253`) }]
          : [],
    })),
  });
}

function excludedOf({ excluded }: Recipe, n: number, nic: NicRecipe, reading: NicMetadata | undefined) {
  if (excluded === 'vips') return [hostCidr(ip(vipOf(n, nic)))];
  const last = reading?.addresses.at(-1);
  return excluded === 'listed' && last !== undefined ? [hostCidr(last.address)] : [];
}

/** What happens next in the cloud and on the host. */
export interface Change {
  /** How many addresses each NIC lists now. */
  readonly counts: readonly number[];
  /** Detached in the cloud; the link goes with it, or later. */
  readonly detached: readonly ('no' | 'with-link' | 'link-stays')[];
  /** udev renames the links. */
  readonly isRenamed: boolean;
  /** Numbers of the NICs that the operator releases. */
  readonly released: readonly number[];
  readonly primary: Config['routing']['primary'];
}

export const anyChange: fc.Arbitrary<Change> = fc.record({
  counts: fc.array(fc.integer({ min: 1, max: MOST_ADDRESSES }), {
    minLength: MOST_NICS,
    maxLength: MOST_NICS,
  }),
  detached: fc.array(fc.constantFrom('no', 'no', 'with-link', 'link-stays'), {
    minLength: MOST_NICS,
    maxLength: MOST_NICS,
  }),
  isRenamed: fc.boolean(),
  released: fc.oneof(
    fc.constant([]),
    fc.constant([]),
    fc.uniqueArray(fc.integer({ min: 1, max: MOST_NICS })),
  ),
  primary: fc.constantFrom('auto', 'auto', 'always', 'never'),
});

/** The world after the change; the recipe is the one that the world was made of. */
export function changed(world: World, recipe: Recipe, change: Change): World {
  const isDetached = (n: number): boolean => n > 1 && change.detached[n - 1] !== 'no';
  const readings = recipe.nics.flatMap((nic, index) =>
    isDetached(index + 1) ? [] : [listing(index + 1, { ...nic, count: change.counts[index] ?? nic.count })],
  );
  const lost = recipe.nics.flatMap((_, index) =>
    index > 0 && change.detached[index] === 'with-link' ? [macOf(index + 1)] : [],
  );
  const unplugged = lost.reduce(unplug, world.host);
  const host = change.isRenamed ? renamed(unplugged) : unplugged;
  const { routing } = world.config;
  return {
    ...world,
    metadata: instance(readings),
    host: { ...host, state: { ...host.state, released: change.released.map(macOf) } },
    config: { ...world.config, routing: { ...routing, primary: change.primary } },
  };
}

/** Routes go with their link; rules and routes without a device stay. */
export function unplug(host: HostState, mac: MacAddress): HostState {
  const gone = host.links.find((entry) => entry.mac === mac);
  return {
    ...host,
    links: host.links.filter((entry) => entry !== gone),
    routes: host.routes.filter(
      ({ nexthops }) => !nexthops.some(({ linkIndex }) => linkIndex === gone?.index),
    ),
  };
}

function renamed(host: HostState): HostState {
  const links = host.links.map((entry) => ({
    ...entry,
    ifname: entry.ifname.replace('eth', 'ens') as IfName,
  }));
  return { ...host, links };
}
