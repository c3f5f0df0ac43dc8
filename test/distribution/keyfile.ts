/** What NetworkManager makes of /etc/NetworkManager/system-connections: GKeyFile, nms-keyfile-utils.c, nm-keyfile.c. */
import { FAMILIES, type Family, parseInterfaceAddress } from '../../src/model/net.ts';
import {
  formatRoute,
  formatRule,
  type Link,
  MAIN_TABLE,
  type Meaning,
  mtuOf,
  parseAddressOf,
  parseCount,
  parseNetwork,
  type Result,
  type RouteWords,
} from './meaning.ts';
import { readRule } from './networkmanager.ts';
import { collect } from './words.ts';

export interface KeyfileOnDisk {
  readonly content: string;
  readonly mode: number;
  readonly uid: number;
}

type Section = ReadonlyMap<string, string>;
type Sections = ReadonlyMap<string, Section>;

/** Temporary files, editors' and certificates have other names. */
const PROFILE = /^[^.].*\.nmconnection$/;
const OTHERS_BITS = 0o077;
const GROUP = /^\[([^[\]]+)\]\s*$/;
const ENTRY = /^([A-Za-z0-9-]+(?:[_A-Za-z0-9-]*))\s*=\s*(.*)$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const KNOWN: Readonly<Record<string, RegExp>> = {
  connection: /^(?:id|uuid|type|interface-name|autoconnect-priority|autoconnect|autoconnect-retries|zone)$/,
  ethernet: /^(?:mac-address|mtu)$/,
  ipv4: /^(?:method|address\d*|route\d+|route\d+_options|routing-rule\d+|never-default|ignore-auto-dns|ignore-auto-routes|dad-timeout|may-fail|dhcp-timeout|route-metric|required-timeout)$/,
  ipv6: /^(?:method|address\d*|route\d+|route\d+_options|routing-rule\d+|never-default|ignore-auto-dns|ignore-auto-routes|dad-timeout|may-fail|addr-gen-mode|route-metric|ip6-privacy|required-timeout)$/,
};
const METHODS: Readonly<Record<Family, readonly string[]>> = {
  4: ['disabled', 'manual'],
  6: ['disabled', 'ignore', 'manual'],
};
const ROUTE_OPTION = /^(?:table=\d{1,10}|onlink=(?:true|false))$/;

/** Each profile that it loads. */
export function readKeyfiles(
  folder: ReadonlyMap<string, KeyfileOnDisk>,
  links: readonly Link[],
): readonly Meaning[] {
  return [...folder]
    .filter(([name]) => PROFILE.test(name))
    .map(([name, file]) => readProfile(name, file, links));
}

function readProfile(file: string, { content, mode, uid }: KeyfileOnDisk, links: readonly Link[]): Meaning {
  const complaints: string[] = [];
  if ((mode & OTHERS_BITS) !== 0)
    complaints.push(`File permissions (${(mode & 0o777).toString(8)}) are insecure`);
  if (uid !== 0) complaints.push(`File owner (${uid}) is insecure`);
  const sections = readSections(content, complaints);
  const ifname = sections.get('connection')?.get('interface-name') ?? '';
  complaints.push(...profileComplaints(sections, ifname, links));
  const families = FAMILIES.map((family) => readFamily(family, ifname, sections, complaints));
  return {
    ifname,
    file,
    addresses: families.flatMap(({ addresses }) => addresses),
    routes: families.flatMap(({ routes }) => routes),
    rules: families.flatMap(({ rules }) => rules),
    mtu: mtuOf(sections.get('ethernet')?.get('mtu'), complaints),
    complaints,
  };
}

/** Groups, entries, whole-line comments and empty lines; one line that is none of them and the file is not read at all. */
function readSections(content: string, complaints: string[]): Sections {
  const sections = new Map<string, Map<string, string>>();
  let name = '';
  for (const line of content.split(/\r?\n/)) {
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const group = GROUP.exec(line)?.[1];
    const [, key, value] = ENTRY.exec(line) ?? [];
    if (group !== undefined) {
      if (sections.has(group)) complaints.push(`[${group}] is there twice`);
      name = group;
      sections.set(group, sections.get(group) ?? new Map<string, string>());
    } else if (key === undefined || value === undefined || name === '') {
      complaints.push(`not a key-value pair, group, or comment: ${line}`);
      return new Map();
    } else {
      if (sections.get(name)?.has(key) === true) complaints.push(`${name}.${key} is there twice`);
      sections.get(name)?.set(key, unescaped(value, complaints));
    }
  }
  return sections;
}

function unescaped(value: string, complaints: string[]): string {
  const escapes: Readonly<Record<string, string>> = { s: ' ', n: '\n', t: '\t', r: '\r', '\\': '\\' };
  return value.replaceAll(/\\(.?)/g, (whole, char: string) => {
    if (escapes[char] === undefined) complaints.push(`invalid escape sequence ${whole}`);
    return escapes[char] ?? whole;
  });
}

function profileComplaints(sections: Sections, ifname: string, links: readonly Link[]): readonly string[] {
  const complaints: string[] = [];
  const connection = sections.get('connection');
  const mac = sections.get('ethernet')?.get('mac-address')?.toLowerCase();
  const link = links.find(({ name }) => name === ifname);
  if (link === undefined || (mac !== undefined && mac !== link.mac)) complaints.push('no device fits');
  if ((connection?.get('id') ?? '') === '') complaints.push('connection.id: property is missing');
  if (!UUID.test(connection?.get('uuid') ?? '')) complaints.push('connection.uuid: no UUID');
  if (connection?.get('type') !== 'ethernet') complaints.push('connection.type: not ethernet');
  if (connection?.get('autoconnect') === 'false') complaints.push('autoconnect is false');
  for (const [section, entries] of sections) {
    for (const key of entries.keys())
      if (KNOWN[section]?.test(key) !== true) complaints.push(`nobody reads ${section}.${key}`);
  }
  return complaints;
}

function readFamily(family: Family, ifname: string, sections: Sections, complaints: string[]) {
  const section: Section = sections.get(`ipv${family}`) ?? new Map<string, string>();
  const method = section.get('method') ?? 'auto';
  if (!METHODS[family].includes(method))
    complaints.push(`ipv${family}.method is ${method}: it asks somebody else`);
  const entries = (pattern: RegExp) => numbered(section, pattern);
  const addresses = entries(/^address(\d*)$/).map(({ key, value }) => ({
    where: `ipv${family}.${key}`,
    result: readAddress(value, family),
  }));
  const routes = entries(/^route(\d+)$/).map(({ key, value }) => ({
    where: `ipv${family}.${key}`,
    result: readRoute(value, section.get(`${key}_options`) ?? '', { family, ifname, complaints }),
  }));
  const rules = entries(/^routing-rule(\d+)$/).map(({ key, value }) => ({
    where: `ipv${family}.${key}`,
    result: readRule(value, family),
  }));
  const hasContent = addresses.length > 0;
  if (hasContent !== (method === 'manual'))
    complaints.push(`ipv${family}.method is ${method} with ${addresses.length} addresses`);
  if (method === 'manual') complaints.push(...dadComplaints(family, section));
  return {
    addresses: collect(addresses, (text) => text, complaints),
    routes: collect(routes, formatRoute, complaints),
    rules: collect(rules, formatRule, complaints),
  };
}

/** From 1.46 on it asks for 200 ms by ARP whether somebody else has an address, unless told not to. */
function dadComplaints(family: Family, section: Section): readonly string[] {
  return family === 4 && section.get('dad-timeout') !== '0'
    ? ['ipv4.dad-timeout is not 0: it may wait for ARP']
    : [];
}

function numbered(section: Section, pattern: RegExp) {
  return [...section]
    .flatMap(([key, value]) => {
      const number = pattern.exec(key)?.[1];
      return number === undefined ? [] : [{ key, value, number: number === '' ? -1 : Number(number) }];
    })
    .toSorted((a, b) => a.number - b.number);
}

/** `ADDRESS/LENGTH`; a gateway after a comma would be the profile's default route. */
function readAddress(text: string, family: Family): Result<string> {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined || parseAddressOf(family, parsed.address) === undefined)
    return { complaint: `ignoring invalid address: ${text}` };
  return { value: `${parsed.address}/${parsed.prefixLength}` };
}

/** `DESTINATION/LENGTH[,GATEWAY[,METRIC]]`, and its options beside it: one that is not known ends them, and the route is there without the rest. */
function readRoute(
  text: string,
  options: string,
  { family, ifname, complaints }: RouteContext,
): Result<RouteWords> {
  const [to = '', via = '', ...rest] = text.split(',');
  const destination = to.includes('/') ? parseNetwork(to, family) : undefined;
  const gateway = via === '' ? null : parseAddressOf(family, via);
  if (destination === undefined || gateway === undefined || rest.length > 0)
    return { complaint: `ignoring invalid route: ${text}` };
  const all = options === '' ? [] : options.split(',');
  const unknown = all.findIndex((option) => !ROUTE_OPTION.test(option));
  if (unknown >= 0) complaints.push(`unsupported route option: ${all[unknown]}`);
  const known = unknown < 0 ? all : all.slice(0, unknown);
  const table = parseCount(known.find((option) => option.startsWith('table='))?.slice('table='.length));
  return { value: { destination, gateway, ifname, table: table ?? MAIN_TABLE } };
}

interface RouteContext {
  readonly family: Family;
  readonly ifname: string;
  readonly complaints: string[];
}
