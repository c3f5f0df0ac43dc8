/** What NetworkManager's ifcfg-rh plugin makes of /etc/sysconfig/network-scripts: shvar.c, nms-ifcfg-rh-reader.c, nms-ifcfg-rh-utils.c. */
import { type Family, familyOf, parseInterfaceAddress, parseNetmask } from '../../src/model/net.ts';
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
} from './meaning.ts';
import { classOf } from './network-scripts.ts';
import { parseTable, readRule, splitWords } from './networkmanager.ts';
import { sourceFile } from './shell.ts';
import { collect, type Grammar, pairWords, routeOf } from './words.ts';

type Variables = ReadonlyMap<string, string>;

/** utils_should_ignore_file: neither `.rpmsave` nor `.rpmorig`, `.tmp` or `.new` is among them. */
const IGNORED = /(~|\.bak|\.orig|\.rej|\.rpmnew|\.augnew|\.augtmp)$/i;
const FALSE = /^(?:no|false|f|n|0)$/i;
const TRUE = /^(?:yes|true|t|y|1)$/i;
const ASSIGNMENT = /^\s*([A-Za-z_]\w*)=([^\n]*)$/;
const RULE_NAME = /^ROUTING_RULE(6?)_(\d+)$/;
/** Of IPADDR: -1 stands for the one without a number; from 2 on the first that is missing ends the list. */
const FIRST_INDEX = -1;
const LAST_OPTIONAL_INDEX = 1;

const KNOWN = new Set(
  'DEVICE HWADDR TYPE ONBOOT NM_CONTROLLED BOOTPROTO DEFROUTE PEERDNS NOZEROCONF MTU GATEWAY IPV6INIT IPV6_AUTOCONF IPV6_DEFROUTE IPV6ADDR IPV6ADDR_SECONDARIES ZONE USERCTL NAME UUID ACD_TIMEOUT AUTOCONNECT_PRIORITY IPV6_DISABLED IPV6_ADDR_GEN_MODE IPV4_ROUTE_TABLE IPV6_ROUTE_TABLE'.split(
    ' ',
  ),
);
const KNOWN_NUMBERED = /^(?:IPADDR|PREFIX|NETMASK|ARPCHECK|ARPUPDATE)\d*$/;

/** Each profile that it loads; a file that it leaves to others (NM_CONTROLLED=no) is none. */
export function readIfcfgProfiles(folder: Folder, links: readonly Link[]): readonly Meaning[] {
  return [...folder.keys()]
    .filter(
      (name) =>
        name.startsWith('ifcfg-') && name !== 'ifcfg-lo' && !IGNORED.test(name) && !name.includes(':'),
    )
    .toSorted()
    .flatMap((file) => readProfile(file, folder, links) ?? []);
}

function readProfile(file: string, folder: Folder, links: readonly Link[]): Meaning | undefined {
  const complaints: string[] = [];
  const variables = readVariables(folder.get(file) ?? '', file, complaints);
  if (FALSE.test(variables.get('NM_CONTROLLED') ?? '')) return undefined;
  const name = file.slice('ifcfg-'.length);
  const ifname =
    variables.get('DEVICE') ??
    links.find(({ mac }) => mac === variables.get('HWADDR')?.toLowerCase())?.name ??
    '';
  const profile = { file, name, ifname, folder, variables, complaints };
  complaints.push(...profileComplaints(profile, links));
  const ipv4 = ipv4Addresses(profile);
  const isRejected = ipv4 === undefined;
  const hasRuleFile = ['rule', 'rule6'].some((kind) => folder.has(`${kind}-${name}`));
  if (hasRuleFile)
    complaints.push("'rule-' or 'rule6-' files are present; routes and rules of the profile are ignored");
  return {
    ifname,
    file,
    addresses: isRejected ? [] : [...ipv4, ...ipv6Addresses(profile)],
    routes: isRejected || hasRuleFile ? [] : [...gatewayRoute(profile), ...fileRoutes(profile)],
    rules: isRejected || hasRuleFile ? [] : profileRules(profile),
    mtu: mtuOf(variables.get('MTU'), complaints),
    complaints,
  };
}

interface Profile {
  readonly file: string;
  readonly name: string;
  readonly ifname: string;
  readonly folder: Folder;
  readonly variables: Variables;
  readonly complaints: string[];
}

/** Line by line, the last of a name holds; what is no assignment is passed over, and so is a value that a shell would expand. */
function readVariables(text: string, file: string, complaints: string[]): Variables {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = ASSIGNMENT.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      if (!/^\s*(?:#.*)?$/.test(line)) complaints.push(`${file}: not an assignment: ${line}`);
      continue;
    }
    const read = sourceFile(`${name}=${value.replace(/\r$/, '')}`);
    if ('value' in read && read.value.size === 1) found.set(name, read.value.get(name) ?? '');
    else complaints.push(`${file}: a value that is none: ${line}`);
    if (value.endsWith('\\') || value.endsWith('\r'))
      complaints.push(`${file}: a line that ends oddly: ${line}`);
  }
  return found;
}

function profileComplaints({ variables, ifname, file }: Profile, links: readonly Link[]): readonly string[] {
  const complaints: string[] = [];
  const mac = variables.get('HWADDR')?.toLowerCase();
  const link = links.find((entry) => entry.name === ifname);
  if (link === undefined || (mac !== undefined && mac !== link.mac))
    complaints.push(`${file}: no device fits`);
  if (FALSE.test(variables.get('ONBOOT') ?? '')) complaints.push('ONBOOT is no');
  if (!/^(?:none|static)?$/i.test(variables.get('BOOTPROTO') ?? '')) complaints.push('it asks for a lease');
  if (variables.get('TYPE') !== 'Ethernet') complaints.push('TYPE is not Ethernet');
  if (variables.get('ACD_TIMEOUT') !== '0') complaints.push('ACD_TIMEOUT is not 0: it may wait for ARP');
  for (const name of variables.keys()) {
    if (!KNOWN.has(name) && !KNOWN_NUMBERED.test(name) && !RULE_NAME.test(name))
      complaints.push(`nobody reads ${name}`);
  }
  return complaints;
}

/** undefined: one that cannot be read rejects the whole profile. */
function ipv4Addresses({ variables, complaints }: Profile): readonly string[] | undefined {
  const addresses: string[] = [];
  const read: string[] = [];
  for (let index = FIRST_INDEX; ; index += 1) {
    const suffix = index < 0 ? '' : String(index);
    const given = (name: string): string => variables.get(`${name}${suffix}`) ?? '';
    if (given('IPADDR') === '') {
      if (index > LAST_OPTIONAL_INDEX) break;
      continue;
    }
    read.push(suffix);
    const address = parseAddressOf(4, given('IPADDR'));
    const isGuess = given('PREFIX') === '' && given('NETMASK') === '';
    const prefix = given('PREFIX') === '' ? parseNetmask(given('NETMASK')) : parseCount(given('PREFIX'), 32);
    const length = isGuess ? classOf(given('IPADDR')) : prefix;
    if (isGuess) complaints.push(`missing PREFIX${suffix}, assuming ${given('IPADDR')}/${length}`);
    if (address === undefined || length === undefined || length === 0) {
      complaints.push(`the profile is rejected: Invalid IP4 address '${given('IPADDR')}/${given('PREFIX')}'`);
      return undefined;
    }
    addresses.push(`${address}/${length}`);
  }
  const unread = [...variables.keys()].filter(
    (name) => KNOWN_NUMBERED.test(name) && !read.includes(name.replace(/^\D+/, '')),
  );
  if (unread.length > 0) complaints.push(`beyond the end of the list: ${unread.join(' ')}`);
  if (new Set(addresses).size < addresses.length) complaints.push('duplicate IP4 address');
  return addresses;
}

function ipv6Addresses({ variables, complaints }: Profile): readonly string[] {
  const texts = splitWords(
    `${variables.get('IPV6ADDR') ?? ''} ${variables.get('IPV6ADDR_SECONDARIES') ?? ''}`,
  );
  if (!TRUE.test(variables.get('IPV6INIT') ?? '')) {
    if (texts.length > 0) complaints.push('IPV6INIT is not yes: its IPv6 addresses are not added');
    return [];
  }
  if (!FALSE.test(variables.get('IPV6_AUTOCONF') ?? '')) complaints.push('it takes what routers advertise');
  return texts.flatMap((text) => {
    const parsed = parseInterfaceAddress(text.includes('/') ? text : `${text}/64`);
    if (parsed !== undefined && familyOf(parsed.address) === 6)
      return [`${parsed.address}/${parsed.prefixLength}`];
    complaints.push(`Invalid IP6 address '${text}'`);
    return [];
  });
}

function gatewayRoute({ variables, ifname }: Profile): readonly string[] {
  const gateway = ['', '0', '1', '2']
    .map((index) => variables.get(`GATEWAY${index}`))
    .find((text) => text !== undefined);
  if (gateway === undefined || FALSE.test(variables.get('DEFROUTE') ?? '')) return [];
  return [`default via ${gateway} dev ${ifname} table ${MAIN_TABLE}`];
}

/** parse_route_line: no `proto`; the device is read and passed over. */
const ROUTE: Grammar = {
  keys: {
    to: 'to',
    via: 'via',
    dev: 'dev',
    table: 'table',
    scope: 'scope',
    metric: 'metric',
    src: 'src',
    tos: 'tos',
    window: 'window',
    cwnd: 'cwnd',
    initcwnd: 'initcwnd',
    initrwnd: 'initrwnd',
    mtu: 'mtu',
    type: 'type',
  },
  flags: ['onlink'],
  unnamed: 'to',
};
const NEW_FORMAT = /^\s*ADDRESS[0-9]+=/m;

function fileRoutes({ folder, name, ifname, variables, complaints }: Profile): readonly string[] {
  return ([4, 6] as const).flatMap((family) => {
    const file = family === 4 ? `route-${name}` : `route6-${name}`;
    const text = folder.get(file) ?? '';
    if (family === 4 && NEW_FORMAT.test(text)) {
      complaints.push(`${file}: it is sourced, for a line with ADDRESSn=`);
      return [];
    }
    const lines = text.split('\n').filter((line) => !/^\s*(?:#.*)?$/.test(line));
    const table = parseCount(variables.get(`IPV${family}_ROUTE_TABLE`)) ?? 0;
    const results = lines.map((line) => ({
      where: `ignoring invalid route at "${line}"`,
      result: readRoute(line, family, ifname, table === 0 ? MAIN_TABLE : table),
    }));
    return collect(results, formatRoute, complaints);
  });
}

function readRoute(line: string, family: Family, ifname: string, table: number): Result<RouteWords> {
  const pairs = pairWords(splitWords(line), ROUTE);
  return 'complaint' in pairs ? pairs : routeOf(pairs.value, { family, ifname, table, parseTable });
}

function profileRules({ variables, complaints }: Profile): readonly string[] {
  const numbered = [...variables].flatMap(([name, value]) => {
    const [, six, number] = RULE_NAME.exec(name) ?? [];
    if (number === undefined) return [];
    const family: Family = six === '6' ? 6 : 4;
    return [
      {
        where: `invalid routing rule ${name}`,
        number: Number(number),
        family,
        result: readRule(value, family),
      },
    ];
  });
  return collect(
    numbered.toSorted((a, b) => a.family - b.family || a.number - b.number),
    formatRule,
    complaints,
  );
}
