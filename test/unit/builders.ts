/** What the tests of the pure stages say about a host, a cloud and a configuration, in short text; and a host said back as text. */
import { SLOTS } from '../../src/desired/slots.ts';
import type { Backend, Config, InterfaceConfig } from '../../src/model/config.ts';
import {
  type Distribution,
  type HostState,
  type Link,
  type LinkAddress,
  MAIN_TABLE,
  type NetworkManagerFacts,
  type Route,
  type RouteType,
  type Rule,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../../src/model/host.ts';
import { type ConnectionMark, type FirewallMark, formatMark } from '../../src/model/mark.ts';
import type { InstanceMetadata, InvalidNic, NicMetadata } from '../../src/model/metadata.ts';
import {
  type Cidr,
  compareIpAddresses,
  defaultCidr,
  type Family,
  familyOf,
  formatInterfaceAddress,
  hostCidr,
  type IfName,
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
  networkOf,
  parseCidr,
  parseInterfaceAddress,
  parseIpAddress,
} from '../../src/model/net.ts';
import { type AgentState, EMPTY_STATE, type NicState } from '../../src/model/state.ts';
import type { PlanOptions } from '../../src/plan/diff.ts';
import { DEFAULTS } from './config/defaults.ts';

export const TABLE_BASE = DEFAULTS.routing.tableBase;
export const OUR_PROTOCOL = DEFAULTS.routing.protocol;
/** RTPROT_KERNEL: what the kernel itself makes of an address. */
const KERNEL_PROTOCOL = 2;
/** RTPROT_BOOT: what `ip route add` writes. */
const BOOT_PROTOCOL = 3;
export const WORST_METRIC = 4_294_967_295;
export const AT = '2026-11-22T10:00:00.000Z';

/** `02:00:00:00:00:0n` for NIC n. */
export function macOf(n: number): MacAddress {
  return `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as MacAddress;
}

function must<Value>(value: Value | undefined, text: string): Value {
  if (value === undefined) throw new Error(`not a network value: ${text}`);
  return value;
}

export function ip(text: string): IpAddress {
  return must(parseIpAddress(text), text);
}

export function cidr(text: string): Cidr {
  return must(parseCidr(text), text);
}

/** `10.0.1.4/24 10.0.1.5/24` */
export function addressesOf(text: string): readonly InterfaceAddress[] {
  return words(text).map((word) => must(parseInterfaceAddress(word), word));
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** NIC n as the metadata lists it; the first address of each family is its primary one. */
export function eni(n: number, addresses: string, ...gateways: readonly string[]): NicMetadata {
  const gateway = gateways.find((text) => !text.includes(':'));
  const gateway6 = gateways.find((text) => text.includes(':'));
  return {
    mac: macOf(n),
    addresses: addressesOf(addresses),
    ...(gateway === undefined ? {} : { gateway: ip(gateway) }),
    ...(gateway6 === undefined ? {} : { gateway6: ip(gateway6) }),
  };
}

/** What the cloud says; the first NIC is the primary. */
export function instance(
  nics: readonly NicMetadata[],
  invalid: readonly InvalidNic[] = [],
): InstanceMetadata {
  const primaryMac = nics[0]?.mac ?? macOf(1);
  return {
    instanceId: 'ins-test',
    primaryMac,
    nics: nics.toSorted((a, b) => (a.mac < b.mac ? -1 : 1)),
    invalid,
  };
}

export interface LinkText extends Partial<Omit<Link, 'addresses' | 'ifname'>> {
  readonly addresses?: string;
}

/** Link of NIC n: index n + 1 (1 is loopback), up, ready. */
export function link(n: number, ifname: string, text: LinkText = {}): Link {
  const { addresses, ...rest } = text;
  return {
    index: n + 1,
    ifname: ifname as IfName,
    mac: macOf(n),
    permanentMac: null,
    up: true,
    mtu: 1500,
    kind: null,
    masterIndex: null,
    lowerIndex: null,
    sysctls: { rp_filter: 0, arp_ignore: 0, arp_announce: 0, promote_secondaries: 1 },
    addresses: addressesOf(addresses ?? '').map(asLinkAddress),
    ready: true,
    ...rest,
  };
}

export function asLinkAddress({ address, prefixLength }: InterfaceAddress): LinkAddress {
  const scope = address.startsWith('fe80:') ? 'other' : 'global';
  return { address, prefixLength, scope, duplicate: false };
}

/** A bridge or a tunnel: no MAC that any metadata lists. */
export function otherLink(index: number, ifname: string, text: LinkText = {}): Link {
  return link(index - 1, ifname, { mac: `0a:00:00:00:00:${index.toString(16)}` as MacAddress, ...text });
}

export interface HostText {
  readonly links: readonly Link[];
  /** As `ip route` writes them; the connected ones of the links' addresses are added. */
  readonly routes?: readonly string[];
  /** As `ip rule` writes them. */
  readonly rules?: readonly string[];
  readonly marks?: readonly ConnectionMark[];
  readonly files?: Readonly<Record<string, string>>;
  readonly nics?: Readonly<Record<MacAddress, NicState>>;
  readonly allSysctls?: Partial<HostState['allSysctls']>;
  readonly distribution?: Partial<Distribution>;
  readonly containerNetwork?: string;
  readonly state?: Partial<AgentState>;
}

export function hostOf(text: HostText): HostState {
  const { links } = text;
  return {
    links: links.toSorted((a, b) => a.index - b.index),
    routes: [
      ...links.flatMap((entry) => connectedRoutes(entry)),
      ...(text.routes ?? []).map((line) => route(line, links)),
    ],
    rules: (text.rules ?? []).map(rule),
    marks: text.marks ?? [],
    files: Object.entries(text.files ?? {}).map(([path, content]) => ({ path, content })),
    distribution: {
      ...DISTRIBUTIONS[text.files === undefined ? 'none' : 'network-scripts'],
      ...text.distribution,
    },
    containerNetwork: text.containerNetwork ?? null,
    allSysctls: { rp_filter: 0, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0, ...text.allSysctls },
    state: { ...EMPTY_STATE, nics: text.nics ?? {}, ...text.state },
  };
}

/** For which each backend is chosen. */
export const DISTRIBUTIONS: Readonly<Record<Backend, Distribution>> = {
  none: distributionOf({ hasScriptsFolder: false, hasNetworkScripts: false }),
  'network-scripts': distributionOf({}),
  'networkmanager-ifcfg': distributionOf({
    networkManager: networkManager({ readsIfcfg: true }),
    release: 8,
  }),
  'networkmanager-keyfile': distributionOf({ networkManager: networkManager({}), release: 10 }),
};

function distributionOf(facts: Partial<Distribution>): Distribution {
  return {
    hasScriptsFolder: true,
    hasNetworkScripts: true,
    isNetworkServiceEnabled: false,
    networkManager: null,
    release: null,
    ...facts,
  };
}

export function networkManager(facts: Partial<NetworkManagerFacts>): NetworkManagerFacts {
  return { version: '1.40.16', readsIfcfg: false, isInUse: true, ...facts };
}

/** What the state file says of a NIC; `addresses` are those that we added. */
export function owned(slot: number, ifname: string, addresses = '', rest: Partial<NicState> = {}): NicState {
  return {
    slot,
    ifname: ifname as IfName,
    detachedAt: null,
    addresses: addressesOf(addresses),
    routes: [],
    sysctls: {},
    mtu: null,
    files: [],
    ...rest,
  };
}

/** One for each subnet of a link that is up. */
function connectedRoutes(entry: Link): readonly Route[] {
  const subnets = new Map(entry.addresses.map((address) => [networkOf(address), address]));
  const addresses = [...subnets.values()].filter(hasConnectedRoute);
  return entry.up ? addresses.map((address) => connectedRoute(entry, address)) : [];
}

/** A single IPv4 address is no subnet (fib_add_ifaddr). */
export function hasConnectedRoute({ address, prefixLength }: InterfaceAddress): boolean {
  return familyOf(address) === 6 || prefixLength < 32;
}

/** The route that the kernel makes of an address on a link that is up. */
export function connectedRoute({ index }: Pick<Link, 'index'>, address: InterfaceAddress): Route {
  const family = familyOf(address.address);
  return {
    family,
    table: MAIN_TABLE,
    type: 'unicast',
    destination: networkOf(address),
    nexthops: [{ gateway: null, linkIndex: index }],
    metric: family === 4 ? 0 : 256,
    protocol: KERNEL_PROTOCOL,
    scope: family === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}

/** `[throw|unreachable] DEST [via GATEWAY] [dev IF] [table N] [metric N] [proto N]`, `default` for an IPv4 default. */
function route(line: string, links: readonly Link[]): Route {
  const tokens = [...words(line)];
  const types: readonly string[] = ['throw', 'unreachable', 'blackhole', 'prohibit', 'other'];
  const type = types.includes(tokens[0] ?? '') ? (tokens.shift() as RouteType) : 'unicast';
  const to = tokens.shift() ?? '';
  const options = pairs(tokens);
  const destination = to === 'default' ? defaultCidr(4) : cidr(to);
  const ifname = options.get('dev');
  const gateway = options.get('via');
  const device = links.find((entry) => entry.ifname === ifname);
  if (ifname !== undefined && device === undefined) throw new Error(`no link ${ifname} for ${line}`);
  return {
    family: familyOf(destination),
    table: Number(options.get('table') ?? MAIN_TABLE),
    type,
    destination,
    nexthops:
      device === undefined
        ? []
        : [{ gateway: gateway === undefined ? null : ip(gateway), linkIndex: device.index }],
    metric: Number(options.get('metric') ?? 0),
    protocol: Number(options.get('proto') ?? BOOT_PROTOCOL),
    scope: gateway === undefined ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}

/** `[from ADDRESS] [oif IF] [fwmark N/MASK] lookup TABLE priority N [proto N] [family 6]`; a mark without a mask makes it foreign. */
export function rule(line: string): Rule {
  const options = pairs(words(line));
  const from = options.get('from');
  const source =
    from === undefined || from === 'all' ? null : from.includes('/') ? cidr(from) : hostCidr(ip(from));
  return {
    family: source === null ? (Number(options.get('family') ?? 4) as Family) : familyOf(source),
    priority: Number(options.get('priority') ?? 0),
    table: Number(options.get('lookup') ?? MAIN_TABLE),
    source,
    outputInterface: options.get('oif') ?? null,
    mark: markOf(options.get('fwmark')),
    protocol: Number(options.get('proto') ?? 0),
    foreign: options.get('fwmark')?.includes('/') === false,
  };
}

/** `0x7e/0x7f`; one without a mask is of all bits, and so foreign. */
function markOf(text = ''): FirewallMark | null {
  const [value, mask] = text.split('/').map(Number);
  return value === undefined || mask === undefined ? null : { value, mask };
}

function pairs(tokens: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    tokens.flatMap((token, index): [string, string][] =>
      index % 2 === 0 ? [[token, tokens[index + 1] ?? '']] : [],
    ),
  );
}

export interface ConfigText {
  readonly routing?: Partial<Config['routing']>;
  readonly sysctl?: Partial<Config['sysctl']>;
  readonly persistence?: Partial<Config['persistence']>;
  readonly interfaces?: readonly Partial<InterfaceConfig>[];
}

export function configOf(text: ConfigText = {}): Config {
  return {
    ...DEFAULTS,
    routing: { ...DEFAULTS.routing, ...text.routing },
    sysctl: { ...DEFAULTS.sysctl, ...text.sysctl },
    persistence: { ...DEFAULTS.persistence, ...text.persistence },
    interfaces: (text.interfaces ?? []).map((entry) => ({
      match: {},
      manage: null,
      mtu: null,
      excludeAddresses: [],
      addresses: [],
      gateway6: null,
      routes: [],
      ...entry,
    })),
  };
}

export function optionsOf({ routing }: Config): PlanOptions {
  const { tableBase, protocol, forwardedMask } = routing;
  return { tableBase, slots: SLOTS, protocol, forwardedMask };
}

/** What a run may change, as sorted text: links with their settings, addresses, routes, rules, files. */
export function dumpHost(host: HostState): readonly string[] {
  const name = (index: number): string =>
    host.links.find((entry) => entry.index === index)?.ifname ?? `if${index}`;
  return [
    ...host.links.map(describeLink),
    ...host.links.flatMap(({ ifname, addresses }) =>
      addresses.map((entry) => `address ${formatInterfaceAddress(entry)} dev ${ifname}`),
    ),
    ...host.routes.map((entry) => `route ${describeRoute(entry, name)}`),
    ...host.rules.map((entry) => `rule ${describeRule(entry)}`),
    ...host.marks.map((entry) => `mark ${formatMark(entry)} dev ${entry.ifname} family ${entry.family}`),
    ...host.files.map(({ path, content }) => `file ${path} ${JSON.stringify(content)}`),
  ].toSorted();
}

function describeLink({ ifname, up, mtu, sysctls }: Link): string {
  const values = Object.entries(sysctls).map(([key, value]) => `${key}=${value}`);
  return `link ${ifname} ${up ? 'up' : 'down'} mtu ${mtu} ${values.join(' ')}`;
}

function describeRoute(entry: Route, name: (index: number) => string): string {
  const { type, destination, nexthops, table, metric } = entry;
  const legs = nexthops.map(
    ({ gateway, linkIndex }) => `${gateway === null ? '' : `via ${gateway} `}dev ${name(linkIndex)} `,
  );
  const kind = type === 'unicast' ? '' : `${type} `;
  const where = table === MAIN_TABLE ? 'main' : `${table}`;
  return `${kind}${destination} ${legs.join('')}table ${where} metric ${metric}`;
}

function describeRule(
  entry: Pick<Rule, 'source' | 'outputInterface' | 'mark' | 'table' | 'priority'>,
): string {
  const source = entry.source === null ? '' : `from ${entry.source.replace(/\/(32|128)$/, '')} `;
  const output = entry.outputInterface === null ? '' : `oif ${entry.outputInterface} `;
  const mark = entry.mark === null ? '' : `fwmark ${formatMark(entry.mark)} `;
  return `${source}${output}${mark}lookup ${entry.table} priority ${entry.priority}`;
}

/** A table as `ip route show table N` would list it, sorted, for one family. */
export function tableOf(host: HostState, table: number, family: Family = 4): readonly string[] {
  const name = (index: number): string =>
    host.links.find((entry) => entry.index === index)?.ifname ?? `if${index}`;
  return host.routes
    .filter((entry) => entry.table === table && entry.family === family)
    .map((entry) =>
      describeRoute(entry, name)
        .replace(/ table \w+/, '')
        .replace(/ metric (0|1024)$/, ''),
    )
    .toSorted();
}

/** The rules that look the table up, sorted. */
export function rulesOf(host: HostState, table: number): readonly string[] {
  return host.rules
    .filter((entry) => entry.table === table)
    .map(describeRule)
    .toSorted();
}

/** The addresses of a link, IPv4 first, in numeric order. */
export function addressesOn(host: HostState, ifname: string): readonly string[] {
  const found = host.links.find((entry) => entry.ifname === ifname)?.addresses ?? [];
  return found.toSorted((a, b) => compareIpAddresses(a.address, b.address)).map(formatInterfaceAddress);
}
