/**
 * The grammar of our keyfiles (nm-settings-keyfile). A line is right when it is the very text that the values asked for are written
 * as; the order of sections and of keys is free.
 */
import { MAIN_TABLE } from '../model/host.ts';
import { type Family, type IfName, type MacAddress } from '../model/net.ts';
import { type Parsed, readLines } from './script-text.ts';

export interface KeyfileIp {
  readonly method: 'manual' | 'disabled' | 'ignore';
  /** With their prefix lengths, the primary first. */
  readonly addresses: readonly string[];
  readonly routes: readonly {
    readonly destination: string;
    readonly gateway: string | null;
    readonly table: number;
  }[];
  /** In NetworkManager's words. */
  readonly rules: readonly string[];
}

export interface Keyfile {
  readonly ifname: IfName;
  readonly mac: MacAddress;
  readonly uuid: string;
  /** Bytes; null when the file leaves it alone. */
  readonly mtu: number | null;
  readonly ipv4: KeyfileIp;
  readonly ipv6: KeyfileIp;
}

const SECTION = /^\[([a-z0-9-]+)\]$/;
const ASSIGNMENT = /^([a-z0-9_-]+)=(.*)$/;
/** What a template of the operator may add: firewalld's zone, and a name of his own. */
const OPTIONAL: Readonly<Record<string, RegExp>> = {
  'connection.zone': /^[A-Za-z0-9_-]{1,17}$/,
};

/** The same for the same NIC for ever. Version 8 of RFC 9562: free but for the digits of version and variant; it ends in the MAC. */
export function connectionUuid(mac: MacAddress): string {
  return `656e692d-6167-8e74-8000-${mac.replaceAll(':', '')}`;
}

/** Every assignment of a keyfile that describes this: `section.key` → value. */
export function keyfileAssignments({
  ifname,
  mac,
  uuid,
  mtu,
  ipv4,
  ipv6,
}: Keyfile): ReadonlyMap<string, string> {
  return new Map([
    ['connection.id', `eni-agent-${ifname}`],
    ['connection.uuid', uuid],
    ['connection.type', 'ethernet'],
    ['connection.interface-name', ifname],
    ['connection.autoconnect-priority', '10'],
    ['ethernet.mac-address', mac],
    ...(mtu === null ? [] : [['ethernet.mtu', String(mtu)] as const]),
    ...ipAssignments(4, ipv4),
    ...ipAssignments(6, ipv6),
  ]);
}

function ipAssignments(family: Family, { method, addresses, routes, rules }: KeyfileIp) {
  const section = `ipv${family}`;
  if (method !== 'manual') return [[`${section}.method`, method] as const];
  return [
    [`${section}.method`, method] as const,
    ...addresses.map((address, index) => [`${section}.address${index + 1}`, address] as const),
    ...routes.flatMap(({ destination, gateway, table }, index) => [
      [`${section}.route${index + 1}`, gateway === null ? destination : `${destination},${gateway}`] as const,
      ...(table === MAIN_TABLE ? [] : [[`${section}.route${index + 1}_options`, `table=${table}`] as const]),
    ]),
    ...rules.map((rule, index) => [`${section}.routing-rule${index + 1}`, rule] as const),
    [`${section}.never-default`, 'true'] as const,
    [`${section}.ignore-auto-dns`, 'true'] as const,
    ...(family === 4 ? [[`${section}.dad-timeout`, '0'] as const] : []),
  ];
}

/** In the order of the keyfile that was asked for, so that the two can be compared line by line. */
export function readKeyfile(text: string, expected: ReadonlyMap<string, string>): Parsed<readonly string[]> {
  const read = readAssignments(text);
  if ('problem' in read) return read;
  const found = read.value;
  for (const [key, value] of found) {
    if (!expected.has(key) && OPTIONAL[key]?.test(value) !== true)
      return { problem: `not one of our lines: ${key}=${value}` };
  }
  return {
    value: [...expected.keys()].flatMap((key) => (found.has(key) ? [`${key}=${found.get(key)}`] : [])),
  };
}

function readAssignments(text: string): Parsed<ReadonlyMap<string, string>> {
  const lines = readLines(text);
  if ('problem' in lines) return lines;
  const found = new Map<string, string>();
  const sections = new Set<string>();
  let section: string | undefined;
  for (const line of lines.value) {
    const begun = SECTION.exec(line)?.[1];
    if (begun !== undefined) {
      if (sections.has(begun)) return { problem: `[${begun}] comes twice` };
      sections.add(begun);
      section = begun;
      continue;
    }
    const [, name, value] = ASSIGNMENT.exec(line) ?? [];
    if (name === undefined || value === undefined) return { problem: `not an assignment: ${line}` };
    if (section === undefined) return { problem: `before any [section]: ${line}` };
    if (found.has(`${section}.${name}`)) return { problem: `${section}.${name} is set twice` };
    found.set(`${section}.${name}`, value);
  }
  return { value: found };
}
