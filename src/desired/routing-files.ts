/** The grammar of our route and rule files: each line is handed to `ip route add` or `ip rule add` as it stands. */
import {
  type Cidr,
  defaultCidr,
  type Family,
  familyOf,
  hostCidr,
  type IfName,
  type IpAddress,
  parseCidr,
  parseIfName,
  parseIpAddress,
  splitCidr,
} from '../model/net.ts';
import { type Parsed, parseNumber, readLines } from './script-text.ts';

export interface FileRoute {
  readonly destination: Cidr;
  readonly gateway: IpAddress | null;
  readonly ifname: IfName;
  readonly table: number;
}

export interface FileRule {
  readonly source: Cidr | null;
  readonly outputInterface: IfName | null;
  readonly table: number;
  readonly priority: number;
}

const ROUTE = /^(?<to>\S+)(?: via (?<via>\S+))? dev (?<dev>\S+)(?<scope> scope link)? table (?<table>\d+)$/;
const RULE = /^(?:from (?<from>\S+)|oif (?<oif>\S+)) table (?<table>\d+) priority (?<priority>\d+)$/;

export function parseRouteFile(text: string): Parsed<readonly FileRoute[]> {
  return parseLines(text, parseRouteLine, formatRouteLine);
}

export function formatRouteLine({ destination, gateway, ifname, table }: FileRoute): string {
  const family = familyOf(destination);
  const to = destination === defaultCidr(family) ? 'default' : destination;
  const via = gateway === null ? '' : ` via ${gateway}`;
  // IPv6 routes have no scope; an IPv4 route without a gateway would have this one anyway.
  const scope = gateway === null && family === 4 ? ' scope link' : '';
  return `${to}${via} dev ${ifname}${scope} table ${table}`;
}

function parseRouteLine(line: string): FileRoute | undefined {
  const words = ROUTE.exec(line)?.groups;
  if (words === undefined) return undefined;
  const { to = '', via, dev = '', scope } = words;
  const gateway = via === undefined ? null : parseIpAddress(via);
  const ifname = parseIfName(dev);
  const table = parseNumber(words['table']);
  if (gateway === undefined || ifname === undefined || table === undefined) return undefined;
  const family: Family = gateway === null ? (scope === undefined ? 6 : 4) : familyOf(gateway);
  const destination = to === 'default' ? defaultCidr(family) : parseCidr(to);
  if (destination === undefined || familyOf(destination) !== family) return undefined;
  return { destination, gateway, ifname, table };
}

export function parseRuleFile(text: string): Parsed<readonly FileRule[]> {
  return parseLines(text, parseRuleLine, formatRuleLine);
}

export function formatRuleLine({ source, outputInterface, table, priority }: FileRule): string {
  const from = source === null ? '' : `from ${shortSource(source)} `;
  const oif = outputInterface === null ? '' : `oif ${outputInterface} `;
  return `${from}${oif}table ${table} priority ${priority}`;
}

/** As a profile of NetworkManager has it, which wants a source in any case. */
export function formatProfileRule(
  { source, outputInterface, table, priority }: FileRule,
  family: Family,
): string {
  const from = source === null ? defaultCidr(family) : shortSource(source);
  const oif = outputInterface === null ? '' : ` oif ${outputInterface}`;
  return `priority ${priority} from ${from}${oif} table ${table}`;
}

/** A single address without its prefix length, as `ip rule` prints it. */
export function shortSource(source: Cidr): string {
  const { address } = splitCidr(source);
  return source === hostCidr(address) ? address : source;
}

function parseRuleLine(line: string): FileRule | undefined {
  const words = RULE.exec(line)?.groups;
  const table = parseNumber(words?.['table']);
  const priority = parseNumber(words?.['priority']);
  if (words === undefined || table === undefined || priority === undefined) return undefined;
  const { from, oif } = words;
  const source = from === undefined ? null : parseSource(from);
  const outputInterface = oif === undefined ? null : parseIfName(oif);
  if (source === undefined || outputInterface === undefined) return undefined;
  return { source, outputInterface, table, priority };
}

function parseSource(text: string): Cidr | undefined {
  if (text.includes('/')) return parseCidr(text);
  const address = parseIpAddress(text);
  return address === undefined ? undefined : hostCidr(address);
}

/** A line must be the very text that its value is written as: one spelling for each value. */
function parseLines<Value>(
  text: string,
  parse: (line: string) => Value | undefined,
  format: (value: Value) => string,
): Parsed<readonly Value[]> {
  const lines = readLines(text);
  if ('problem' in lines) return lines;
  const values: Value[] = [];
  for (const line of lines.value) {
    const value = parse(line);
    if (value === undefined || format(value) !== line) return { problem: `not one of our lines: ${line}` };
    values.push(value);
  }
  return { value: values };
}
