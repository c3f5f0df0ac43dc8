/**
 * What the distribution's files mean to the program that reads them at boot. The readers in this folder are written from those
 * programs, not from ours: the scripts of initscripts 9.49 (CentOS 7) and 10.00 (8), NetworkManager's ifcfg-rh and keyfile
 * plugins, and proven on file sets whose outcome was seen on the real thing (test/golden/fixtures).
 */
import {
  addressBits,
  type Cidr,
  defaultCidr,
  type Family,
  familyOf,
  hostCidr,
  type IpAddress,
  parseCidr,
  parseIpAddress,
  splitCidr,
} from '../../src/model/net.ts';

/** What the interface has when its files were all that there was; every text in one spelling, `-6 ` before what is IPv6. */
export interface Meaning {
  readonly ifname: string;
  /** The file that it begins with. */
  readonly file: string;
  /** In the order in which they are added: the first of a subnet is its primary. */
  readonly addresses: readonly string[];
  /** Without the kernel's own connected ones. */
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  /** Bytes; null leaves it alone. */
  readonly mtu: number | null;
  /** What the program logs, refuses, guesses or waits for. A file that is right has none. */
  readonly complaints: readonly string[];
}

/** A folder's files by name. */
export type Folder = ReadonlyMap<string, string>;

export interface Link {
  readonly name: string;
  readonly mac: string;
}

export type Result<Value> = { readonly value: Value } | { readonly complaint: string };

export interface RouteWords {
  readonly destination: Cidr;
  readonly gateway: IpAddress | null;
  readonly ifname: string;
  readonly table: number;
}

export interface RuleWords {
  readonly family: Family;
  readonly source: Cidr | null;
  readonly oif: string | null;
  readonly table: number;
  readonly priority: number;
}

export const MAIN_TABLE = 254;

export function formatRoute({ destination, gateway, ifname, table }: RouteWords): string {
  const family = familyOf(destination);
  const to = destination === defaultCidr(family) ? 'default' : destination;
  return `${familyFlag(family)}${to}${gateway === null ? '' : ` via ${gateway}`} dev ${ifname} table ${table}`;
}

export function formatRule({ family, source, oif, table, priority }: RuleWords): string {
  const isAll = source === null || source === defaultCidr(family);
  const from = isAll ? 'all' : shortened(source);
  return `${familyFlag(family)}from ${from}${oif === null ? '' : ` oif ${oif}`} lookup ${table} priority ${priority}`;
}

/** A single address is the network of that address alone. */
export function parseNetwork(text: string, family: Family): Cidr | undefined {
  if (text === 'default' || text === 'all') return defaultCidr(family);
  const address = parseIpAddress(text);
  const network = address === undefined ? parseCidr(text) : hostCidr(address);
  return network !== undefined && familyOf(network) === family ? network : undefined;
}

export function parseAddressOf(family: Family, text: string): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address !== undefined && familyOf(address) === family ? address : undefined;
}

/** Decimal, 0 to `most`. */
export function parseCount(text: string | undefined, most = 0xffff_ffff): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

/** What is no number is passed over by some and fails with others. */
export function mtuOf(text: string | undefined, complaints: string[]): number | null {
  const mtu = parseCount(text) ?? null;
  if (mtu === null && text !== undefined) complaints.push(`no MTU: ${text}`);
  return mtu;
}

function familyFlag(family: Family): string {
  return family === 4 ? '' : '-6 ';
}

function shortened(source: Cidr): string {
  const { address, prefixLength } = splitCidr(source);
  return prefixLength === addressBits(familyOf(source)) ? address : source;
}
