/**
 * The grammar of our ifcfg files, for both that read them: network-scripts (ifup-eth and ifup-ipv6; sysconfig.txt of initscripts), and
 * NetworkManager's plugin, which has no need of ARPCHECKn, and takes the rules from here as well (nm-settings-ifcfg-rh).
 */
import {
  FAMILIES,
  type Family,
  familyOf,
  formatInterfaceAddress,
  type IfName,
  type InterfaceAddress,
  type MacAddress,
  parseIfName,
  parseInterfaceAddress,
  parseMacAddress,
} from '../model/net.ts';
import { type Parsed, parseNumber, readLines } from './script-text.ts';

export interface Ifcfg {
  readonly ifname: IfName;
  readonly mac: MacAddress;
  /** Bytes; null when the file leaves it alone. */
  readonly mtu: number | null;
  /** IPv4 before IPv6, the primary first within its family. */
  readonly addresses: readonly InterfaceAddress[];
  /** NetworkManager's, in its words, by family; null: the file is for network-scripts, whose rules have files of their own. */
  readonly rules: Readonly<Record<Family, readonly string[]>> | null;
}

/** network-scripts read IPADDR0 to IPADDR255 and no further. */
export const MAX_IPV4_ADDRESSES = 256;

const ROUTING_RULE = { 4: 'ROUTING_RULE_', 6: 'ROUTING_RULE6_' } as const;
const ASSIGNMENT = /^([A-Z][A-Z0-9_]*)=(.*)$/;
/** What a template of the operator may add: firewalld's zone, and whether users may bring the interface up. */
const OPTIONAL: Readonly<Record<string, RegExp>> = { ZONE: /^[A-Za-z0-9_-]{1,17}$/, USERCTL: /^(?:yes|no)$/ };

export function parseIfcfg(text: string): Parsed<Ifcfg> {
  const read = readAssignments(text);
  if ('problem' in read) return read;
  const found = read.value;
  const ifname = parseIfName(found.get('DEVICE') ?? '');
  if (ifname === undefined) return { problem: 'DEVICE is missing or no interface name' };
  const mac = parseMacAddress(found.get('HWADDR') ?? '');
  if (mac === undefined) return { problem: 'HWADDR is missing or no MAC' };
  const mtu = found.has('MTU') ? parseNumber(found.get('MTU')) : null;
  if (mtu === undefined) return { problem: 'MTU is no number' };
  const addresses = readAddresses(found);
  if ('problem' in addresses) return addresses;
  const rules = found.has('NM_CONTROLLED') ? null : { 4: readRules(found, 4), 6: readRules(found, 6) };
  const value = { ifname, mac, mtu, addresses: addresses.value, rules };
  const problem = assignmentProblem(found, ifcfgAssignments(value));
  return problem === undefined ? { value } : { problem };
}

/** Every assignment of an ifcfg file that describes this, in our order. */
export function ifcfgAssignments({ ifname, mac, mtu, addresses, rules }: Ifcfg): ReadonlyMap<string, string> {
  const assignments = new Map<string, string>([
    ['DEVICE', ifname],
    ['HWADDR', mac],
    ['TYPE', 'Ethernet'],
    ['ONBOOT', 'yes'],
  ]);
  if (rules === null) assignments.set('NM_CONTROLLED', 'no');
  assignments.set('BOOTPROTO', 'none').set('DEFROUTE', 'no').set('PEERDNS', 'no').set('NOZEROCONF', 'yes');
  if (mtu !== null) assignments.set('MTU', String(mtu));
  assignIpv4(assignments, addresses.filter(isFamily(4)), rules === null);
  if (rules !== null) assignRules(assignments, rules);
  assignIpv6(assignments, addresses.filter(isFamily(6)).map(formatInterfaceAddress));
  return assignments;
}

function assignIpv4(
  assignments: Map<string, string>,
  addresses: readonly InterfaceAddress[],
  isForScripts: boolean,
): void {
  let index = 0;
  for (const { address, prefixLength } of addresses) {
    assignments.set(`IPADDR${index}`, address).set(`PREFIX${index}`, String(prefixLength));
    // Without a delay.
    if (isForScripts) assignments.set(`ARPCHECK${index}`, 'no').set(`ARPUPDATE${index}`, 'no');
    index += 1;
  }
}

function assignRules(assignments: Map<string, string>, rules: NonNullable<Ifcfg['rules']>): void {
  assignments.set('ACD_TIMEOUT', '0');
  for (const family of FAMILIES)
    for (const [index, rule] of rules[family].entries())
      assignments.set(`${ROUTING_RULE[family]}${index}`, `"${rule}"`);
}

function assignIpv6(assignments: Map<string, string>, [first, ...others]: readonly string[]): void {
  assignments.set('IPV6INIT', first === undefined ? 'no' : 'yes');
  if (first === undefined) return;
  assignments.set('IPV6_AUTOCONF', 'no').set('IPV6_DEFROUTE', 'no').set('IPV6ADDR', first);
  if (others.length > 0) assignments.set('IPV6ADDR_SECONDARIES', `"${others.join(' ')}"`);
}

function readRules(found: ReadonlyMap<string, string>, family: Family): readonly string[] {
  const rules: string[] = [];
  const next = (): string | undefined => found.get(`${ROUTING_RULE[family]}${rules.length}`);
  for (let value = next(); value !== undefined; value = next()) rules.push(value.replaceAll('"', ''));
  return rules;
}

function readAssignments(text: string): Parsed<ReadonlyMap<string, string>> {
  const lines = readLines(text);
  if ('problem' in lines) return lines;
  const found = new Map<string, string>();
  for (const line of lines.value) {
    const [, key, value] = ASSIGNMENT.exec(line) ?? [];
    if (key === undefined || value === undefined) return { problem: `not an assignment: ${line}` };
    if (found.has(key)) return { problem: `${key} is set twice` };
    found.set(key, value);
  }
  return { value: found };
}

function assignmentProblem(
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
): string | undefined {
  for (const [key, value] of expected) {
    const other = found.get(key);
    if (other === undefined) return `${key}=${value} is missing`;
    if (other !== value) return `${key}=${other} should read ${key}=${value}`;
  }
  for (const [key, value] of found) {
    if (!expected.has(key) && OPTIONAL[key]?.test(value) !== true)
      return `not one of our lines: ${key}=${value}`;
  }
  return undefined;
}

/** IPADDR0, IPADDR1, … up to the first gap, as ifup reads them; what is beyond it is found out as a line too many. */
function readAddresses(found: ReadonlyMap<string, string>): Parsed<readonly InterfaceAddress[]> {
  const texts: string[] = [];
  for (let index = 0; index < MAX_IPV4_ADDRESSES && found.has(`IPADDR${index}`); index += 1) {
    texts.push(`${found.get(`IPADDR${index}`)}/${found.get(`PREFIX${index}`)}`);
  }
  const first6 = found.get('IPV6ADDR');
  const others6 = /^"(.+)"$/.exec(found.get('IPV6ADDR_SECONDARIES') ?? '')?.[1];
  if (first6 !== undefined) texts.push(first6, ...(others6?.split(' ') ?? []));
  const addresses: InterfaceAddress[] = [];
  for (const text of texts) {
    const address = parseInterfaceAddress(text);
    if (address === undefined) return { problem: `not an address with its prefix length: ${text}` };
    addresses.push(address);
  }
  return { value: addresses };
}

function isFamily(family: Family): (entry: InterfaceAddress) => boolean {
  return ({ address }) => familyOf(address) === family;
}
