/** What `network.service` makes of /etc/sysconfig/network-scripts: ifup, ifup-eth, ifup-ipv6, ifup-routes, network-functions. */
import {
  type Family,
  familyOf,
  networkOf,
  parseInterfaceAddress,
  parseIpAddress,
  parseNetmask,
} from '../../src/model/net.ts';
import {
  type Folder,
  formatRoute,
  formatRule,
  type Link,
  MAIN_TABLE,
  type Meaning,
  mtuOf,
  parseAddressOf,
  parseCount,
  type Result,
  type RouteWords,
  type RuleWords,
} from './meaning.ts';
import { sourceFile, wordsOfLines } from './shell.ts';
import { collect, type Grammar, pairWords, routeOf, ruleOf } from './words.ts';

export interface Release {
  /** Of CentOS. */
  readonly release: 7 | 8;
}

interface Boot extends Release {
  readonly folder: Folder;
  readonly links: readonly Link[];
}

type Variables = ReadonlyMap<string, string>;

/** `__sed_discard_ignored_files` of both, and what the service leaves out besides. */
const IGNORED = {
  7: /(~|\.bak|\.orig|\.rpmnew|\.rpmorig|\.rpmsave)$/,
  8: /(~|\.bak|\.old|\.orig|\.rpmnew|\.rpmorig|\.rpmsave)$/,
};
const NO_INTERFACE = /^ifcfg-lo$|:|^ifcfg-.*-range/;
const FALSE = /^(?:f|n|no|off|false|0)$/i;
/** `IPADDR`, `IPADDR0` to `IPADDR255`; the first gap from index 2 on ends the list. */
const INDICES: readonly string[] = ['', ...Array.from({ length: 256 }, (_, index) => String(index))];
const OPTIONAL_INDICES = 3;

/** Those that the scripts read and this reader knows, or that change nothing of what it tells. */
const KNOWN = new Set(
  'DEVICE HWADDR TYPE ONBOOT NM_CONTROLLED BOOTPROTO DEFROUTE PEERDNS NOZEROCONF MTU GATEWAY IPV6INIT IPV6_AUTOCONF IPV6_DEFROUTE IPV6ADDR IPV6ADDR_SECONDARIES ZONE USERCTL NAME UUID'.split(
    ' ',
  ),
);
const KNOWN_NUMBERED = /^(?:IPADDR|PREFIX|NETMASK|ARPCHECK|ARPUPDATE)\d{0,3}$/;

/** Each interface that the service brings up, in the order of the names of the files. */
export function readNetworkScripts(
  folder: Folder,
  links: readonly Link[],
  { release }: Release,
): readonly Meaning[] {
  return [...folder.keys()]
    .filter((name) => name.startsWith('ifcfg-') && !IGNORED[release].test(name) && !NO_INTERFACE.test(name))
    .toSorted()
    .map((file) => readInterface(file, { folder, links, release }));
}

function readInterface(file: string, boot: Boot): Meaning {
  const complaints: string[] = [];
  const nickname = file.slice('ifcfg-'.length);
  const sourced = sourceFile(boot.folder.get(file) ?? '');
  const variables: Variables = 'value' in sourced ? sourced.value : new Map<string, string>();
  if ('complaint' in sourced) complaints.push(`${file}: ${sourced.complaint}`);
  const ifname = variables.get('DEVICE') ?? nickname;
  complaints.push(...linkComplaints(variables, ifname, boot), ...textComplaints(variables));
  const addresses = [...ipv4Addresses(variables, boot, complaints), ...ipv6Addresses(variables, complaints)];
  const names = [...new Set([ifname, nickname])];
  return {
    ifname,
    file,
    addresses,
    routes: [...implicitRoutes(variables, ifname), ...fileRoutes(names, addresses, boot, complaints)],
    rules: fileRules(names, boot, complaints),
    mtu: mtuOf(variables.get('MTU'), complaints),
    complaints,
  };
}

/** ifup and ifup-eth up to the first address; each of these ends them, or has them ask somebody else for addresses. */
function linkComplaints(variables: Variables, ifname: string, { links }: Boot): readonly string[] {
  const complaints: string[] = [];
  const link = links.find(({ name }) => name === ifname);
  const mac = variables.get('HWADDR');
  if (link === undefined) complaints.push(`there is no ${ifname}`);
  else if (mac !== undefined && mac.toLowerCase() !== link.mac)
    complaints.push(`Device ${ifname} has different MAC address than expected, ignoring.`);
  if (FALSE.test(variables.get('ONBOOT') ?? '')) complaints.push('ONBOOT is no');
  if (!['', 'none', 'static'].includes(variables.get('BOOTPROTO') ?? ''))
    complaints.push('it asks for a lease');
  if (!['', 'Ethernet'].includes(variables.get('TYPE') ?? '')) complaints.push('it is no Ethernet interface');
  return complaints;
}

/** The scripts quote few of their variables and eval some: a blank or a control character does not stay what it is. */
function textComplaints(variables: Variables): readonly string[] {
  return [...variables].flatMap(([name, value]) => {
    const isKnown = KNOWN.has(name) || KNOWN_NUMBERED.test(name);
    const isPlain =
      /^[\w.:/-]*$/.test(value) || (name === 'IPV6ADDR_SECONDARIES' && /^[\w.:/ -]*$/.test(value));
    return [
      ...(isKnown ? [] : [`nobody reads ${name}`]),
      ...(isPlain ? [] : [`${name} is evaluated again: ${value}`]),
    ];
  });
}

function ipv4Addresses(variables: Variables, { release }: Release, complaints: string[]): readonly string[] {
  const read: string[] = [];
  const given = (name: string, index: string): string => variables.get(`${name}${index}`) ?? '';
  for (const [position, index] of INDICES.entries()) {
    const text = given('IPADDR', index);
    if (text === '' && position >= OPTIONAL_INDICES) break;
    if (text === '') continue;
    read.push(index);
    for (const check of ['ARPCHECK', 'ARPUPDATE'])
      if (!FALSE.test(given(check, index))) complaints.push(`${check}${index} is not no: it waits for ARP`);
  }
  const unread = [...variables.keys()].filter(
    (name) => KNOWN_NUMBERED.test(name) && !read.includes(name.replace(/^\D+/, '')),
  );
  if (unread.length > 0) complaints.push(`beyond the end of the list: ${unread.join(' ')}`);
  return read.flatMap((index) => {
    const address = parseAddressOf(4, given('IPADDR', index));
    const length = address && ipv4Prefix(given('PREFIX', index), given('NETMASK', index), address, release);
    if (address === undefined || length === undefined)
      complaints.push(`Error adding address ${given('IPADDR', index)}`);
    else if (given('PREFIX', index) === '' && given('NETMASK', index) === '')
      complaints.push(`PREFIX${index} is guessed`);
    return length === undefined ? [] : [`${address}/${length}`];
  });
}

/** Without either, ipcalc of el7 answers with the class of the address; that of 8 with the address alone. */
function ipv4Prefix(prefix: string, mask: string, address: string, release: 7 | 8): number | undefined {
  if (prefix !== '') return parseCount(prefix, 32);
  if (mask !== '') return parseNetmask(mask);
  return release === 8 ? 32 : classOf(address);
}

/** 0 to 127: A; to 191: B; to 223: C. */
export function classOf(address: string): number {
  const first = Number(address.split('.')[0]);
  if (first < 128) return 8;
  if (first < 192) return 16;
  return first < 224 ? 24 : 32;
}

/** ifup-ipv6 runs unless IPV6INIT is no; each address is `ip -6 addr replace`d in turn, /64 when it says nothing. */
function ipv6Addresses(variables: Variables, complaints: string[]): readonly string[] {
  const texts = [
    variables.get('IPV6ADDR') ?? '',
    ...(variables.get('IPV6ADDR_SECONDARIES') ?? '').split(/\s+/),
  ].filter((text) => text !== '');
  if (FALSE.test(variables.get('IPV6INIT') ?? '')) {
    if (texts.length > 0) complaints.push('IPV6INIT is no: its IPv6 addresses are not added');
    return [];
  }
  if (!FALSE.test(variables.get('IPV6_AUTOCONF') ?? '')) complaints.push('it takes what routers advertise');
  return texts.flatMap((text) => {
    const parsed = parseInterfaceAddress(text.includes('/') ? text : `${text}/64`);
    if (parsed !== undefined && familyOf(parsed.address) === 6)
      return [`${parsed.address}/${parsed.prefixLength}`];
    complaints.push(`no IPv6 address: ${text}`);
    return [];
  });
}

/** The default route and the one of zeroconf that ifup-eth adds by itself. */
function implicitRoutes(variables: Variables, ifname: string): readonly string[] {
  const gateway = parseIpAddress(variables.get('GATEWAY') ?? '');
  const isDefault = gateway !== undefined && !FALSE.test(variables.get('DEFROUTE') ?? '');
  return [
    ...(isDefault ? [`default via ${gateway} dev ${ifname} table ${MAIN_TABLE}`] : []),
    ...((variables.get('NOZEROCONF') ?? '') === ''
      ? [`169.254.0.0/16 dev ${ifname} table ${MAIN_TABLE}`]
      : []),
  ];
}

const ROUTE: Grammar = {
  keys: {
    to: 'to',
    via: 'via',
    dev: 'dev',
    table: 'table',
    scope: 'scope',
    proto: 'proto',
    metric: 'metric',
    src: 'src',
  },
  flags: ['onlink'],
  unnamed: 'to',
};
const RULE_KEYS = {
  from: 'from',
  to: 'to',
  oif: 'oif',
  iif: 'iif',
  dev: 'iif',
  fwmark: 'fwmark',
  tos: 'tos',
  table: 'table',
  lookup: 'table',
  priority: 'priority',
  preference: 'priority',
  pref: 'priority',
  order: 'priority',
};
/** The iproute2 of el7 does not know a rule's protocol. */
const RULE: Readonly<Record<7 | 8, Grammar>> = {
  7: { keys: RULE_KEYS },
  8: { keys: { ...RULE_KEYS, protocol: 'protocol' } },
};

/** `grep -E` of ifup-routes: one such line makes a sourced file of the whole. */
const NEW_FORMAT = /^\s*ADDRESS[0-9]+=/m;

function fileRoutes(
  names: readonly string[],
  addresses: readonly string[],
  { folder }: Boot,
  complaints: string[],
): readonly string[] {
  return namedFiles(['route', 'route6'], names, folder).flatMap(({ file, family, text }) => {
    if (NEW_FORMAT.test(text)) {
      complaints.push(`${file}: it is sourced, for a line with ADDRESSn=`);
      return [];
    }
    const direct: string[] = [];
    return collect(
      wordsOfLines(text).map((words) => ({
        where: file,
        result: readRoute(words, family, addresses, direct),
      })),
      formatRoute,
      complaints,
    );
  });
}

/** `direct`: networks that routes before it in the same file reach without a gateway, by table. */
function readRoute(
  words: Result<readonly string[]>,
  family: Family,
  addresses: readonly string[],
  direct: string[],
): Result<RouteWords> {
  if ('complaint' in words) return words;
  const pairs = pairWords(words.value, ROUTE);
  if ('complaint' in pairs) return pairs;
  const route = routeOf(pairs.value, { family, ifname: null, table: MAIN_TABLE, parseTable });
  if ('complaint' in route || pairs.value.has('onlink')) return route;
  const { gateway, table, destination } = route.value;
  if (gateway === null) direct.push(`${table} ${destination}`);
  const inTable = direct.flatMap((entry) =>
    entry.startsWith(`${table} `) ? [entry.slice(`${table} `.length)] : [],
  );
  // The kernel looks for a gateway in the table of its route, then everywhere.
  const isReached = gateway === null || isNear(gateway, [...addresses, ...inTable]);
  return isReached ? route : { complaint: `Nexthop has invalid gateway: ${gateway} is in no subnet` };
}

function isNear(gateway: string, addresses: readonly string[]): boolean {
  if (/^fe[89ab]/.test(gateway)) return true;
  return addresses.some((text) => {
    const own = parseInterfaceAddress(text);
    const other = own && parseInterfaceAddress(`${gateway}/${own.prefixLength}`);
    return own !== undefined && other !== undefined && networkOf(own) === networkOf(other);
  });
}

function fileRules(
  names: readonly string[],
  { folder, release }: Boot,
  complaints: string[],
): readonly string[] {
  return namedFiles(['rule', 'rule6'], names, folder).flatMap(({ file, family, text }) =>
    collect(
      wordsOfLines(text).map((words) => ({ where: file, result: readRule(words, family, release) })),
      formatRule,
      complaints,
    ),
  );
}

function readRule(words: Result<readonly string[]>, family: Family, release: 7 | 8): Result<RuleWords> {
  if ('complaint' in words) return words;
  const pairs = pairWords(words.value, RULE[release]);
  return 'complaint' in pairs ? pairs : ruleOf(pairs.value, family, parseTable);
}

/** Numbers, and the names that every rt_tables has. */
function parseTable(text: string): number | undefined {
  return { main: MAIN_TABLE, default: 253, local: 255 }[text] ?? parseCount(text);
}

function namedFiles(kinds: readonly string[], names: readonly string[], folder: Folder) {
  return names.flatMap((name) =>
    kinds.flatMap((kind) => {
      const file = `${kind}-${name}`;
      const text = folder.get(file);
      const family: Family = kind.endsWith('6') ? 6 : 4;
      return text === undefined ? [] : [{ file, family, text }];
    }),
  );
}
