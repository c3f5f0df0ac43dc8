/**
 * From a NIC to the text of its files, in the form of the backend. A template is the operator's to override, so its output is read
 * back by the strict parser and compared with what was asked for: what is written is right whatever the template is.
 */
import type { Backend } from '../model/config.ts';
import type { DesiredFile, DesiredRoute, DesiredRule } from '../model/desired.ts';
import { type FileKind, filePath, isOurs } from '../model/files.ts';
import { isSameList } from '../model/memo.ts';
import {
  defaultCidr,
  FAMILIES,
  type Family,
  familyOf,
  formatInterfaceAddress,
  type IfName,
  type InterfaceAddress,
  type MacAddress,
} from '../model/net.ts';
import type { Template, Templates } from '../model/templates.ts';
import { type Ifcfg, ifcfgAssignments, MAX_IPV4_ADDRESSES, parseIfcfg } from './ifcfg.ts';
import { connectionUuid, type Keyfile, type KeyfileIp, keyfileAssignments, readKeyfile } from './keyfile.ts';
import {
  type FileRoute,
  type FileRule,
  formatProfileRule,
  formatRouteLine,
  formatRuleLine,
  parseRouteFile,
  parseRuleFile,
  shortSource,
} from './routing-files.ts';
import { type Parsed, readLines } from './script-text.ts';

export interface RenderInput {
  readonly ifname: IfName;
  readonly mac: MacAddress;
  /** Bytes; null writes none. */
  readonly mtu: number | null;
  /** The primary first within its family. */
  readonly addresses: readonly InterfaceAddress[];
  /** Unicast routes through this NIC without a metric, of any table: what must be there without the agent. */
  readonly routes: readonly DesiredRoute[];
  readonly rules: readonly DesiredRule[];
}

export type Rendered = { readonly files: readonly DesiredFile[] } | { readonly problem: string };

/** One file: what its template is given, and the lines that it must come out as. */
interface FileOrder {
  readonly kind: FileKind;
  readonly data: object;
  readonly expected: readonly string[];
  readonly readBack: (text: string) => Parsed<readonly string[]>;
}

/** What a template prints for a value that is not there. */
const MISSING_VALUE = /\b(?:undefined|null|NaN)\b|\[object/;

/**
 * The files that the NIC should have, ifcfg first; a route or rule file without a line is not among them. The problem names
 * the template, the interface and the first thing that is wrong.
 */
export function renderFiles(nic: RenderInput, backend: Backend, templates: Templates): Rendered {
  const unfit = inputProblem(nic);
  if (unfit !== undefined) return { problem: `rendering the files of ${nic.ifname}: ${unfit}` };
  const files: DesiredFile[] = [];
  for (const order of ORDERS[backend](nic)) {
    const path = filePath(order.kind, nic.ifname);
    const run = runTemplate(templates[order.kind], order.data);
    const problem =
      'problem' in run ? run.problem : outputProblem(order, { path, content: run.value }, nic.ifname);
    if (problem !== undefined)
      return { problem: `rendering template ${order.kind}.eta for ${nic.ifname}: ${problem}` };
    if ('value' in run) files.push({ path, content: run.value });
  }
  return { files };
}

/** NetworkManager reads no route file of an interface that has a rule file, not even an empty one. */
const ORDERS: Readonly<Record<Backend, (nic: RenderInput) => readonly FileOrder[]>> = {
  'network-scripts': (nic) => [
    ifcfgOrder(nic, null),
    ...FAMILIES.flatMap((family) => [...routeOrders(nic, family), ...ruleOrders(nic, family)]),
  ],
  'networkmanager-ifcfg': (nic) => [
    ifcfgOrder(nic, { 4: profileRules(nic, 4), 6: profileRules(nic, 6) }),
    ...FAMILIES.flatMap((family) => routeOrders(nic, family)),
  ],
  'networkmanager-keyfile': (nic) => [keyfileOrder(nic)],
  none: () => [],
};

function inputProblem({ addresses, routes }: RenderInput): string | undefined {
  const count = addresses.filter(({ address }) => familyOf(address) === 4).length;
  if (count > MAX_IPV4_ADDRESSES)
    return `${count} IPv4 addresses; network-scripts read ${MAX_IPV4_ADDRESSES}`;
  const odd = routes.find(({ type, metric }) => type !== 'unicast' || metric !== 0);
  return odd && `route ${odd.type} ${odd.destination} metric ${odd.metric} has no form in a file`;
}

function ifcfgOrder(nic: RenderInput, rules: Ifcfg['rules']): FileOrder {
  const { ifname, mac, mtu } = nic;
  const [ipv4, ipv6] = [addressesOf(nic, 4), addressesOf(nic, 6)];
  const data = {
    ifname,
    mac,
    mtu,
    ipv4: structuredClone(ipv4),
    ipv6: ipv6.map(formatInterfaceAddress),
    rules: rules && { ipv4: [...rules[4]], ipv6: [...rules[6]] },
  };
  const expected = ifcfgLines({ ifname, mac, mtu, addresses: [...ipv4, ...ipv6], rules });
  return { kind: 'ifcfg', data, expected, readBack: (text) => readScript(text, expected, readIfcfg) };
}

function readIfcfg(text: string): Parsed<readonly string[]> {
  return mapParsed(parseIfcfg(text), ifcfgLines);
}

function ifcfgLines(ifcfg: Ifcfg): readonly string[] {
  return [...ifcfgAssignments(ifcfg)].map(([key, value]) => `${key}=${value}`);
}

/** None without a line. */
function routeOrders({ ifname, routes }: RenderInput, family: Family): readonly FileOrder[] {
  const own = routes.filter((route) => route.family === family).map((route) => ({ ...route, ifname }));
  if (own.length === 0) return [];
  const kind = family === 4 ? 'route' : 'route6';
  const expected = own.map(formatRouteLine);
  const data = { ifname, routes: own.map(routeData) };
  return [{ kind, data, expected, readBack: (text) => readScript(text, expected, readRoutes) }];
}

/** None without a line. */
function ruleOrders({ ifname, rules }: RenderInput, family: Family): readonly FileOrder[] {
  const own = rules.filter((rule) => rule.family === family);
  if (own.length === 0) return [];
  const kind = family === 4 ? 'rule' : 'rule6';
  const expected = own.map(formatRuleLine);
  const data = { ifname, rules: own.map(ruleData) };
  return [{ kind, data, expected, readBack: (text) => readScript(text, expected, readRules) }];
}

function readRoutes(text: string): Parsed<readonly string[]> {
  return mapParsed(parseRouteFile(text), (values) => values.map(formatRouteLine));
}

function readRules(text: string): Parsed<readonly string[]> {
  return mapParsed(parseRuleFile(text), (values) => values.map(formatRuleLine));
}

/**
 * Where every line is the very one that was asked for, as it nearly always is, the parser has nothing to add, and takes ten times as
 * long. Not for a keyfile: what a line of that means is said by its section.
 */
function readScript(
  text: string,
  expected: readonly string[],
  parse: (text: string) => Parsed<readonly string[]>,
): Parsed<readonly string[]> {
  const lines = readLines(text);
  return 'value' in lines && isSameList(lines.value, expected) ? lines : parse(text);
}

function keyfileOrder(nic: RenderInput): FileOrder {
  const { ifname, mac, mtu } = nic;
  const keyfile: Keyfile = {
    ifname,
    mac,
    uuid: connectionUuid(mac),
    mtu,
    ipv4: keyfileIp(nic, 4),
    ipv6: keyfileIp(nic, 6),
  };
  const expected = keyfileAssignments(keyfile);
  return {
    kind: 'keyfile',
    data: structuredClone(keyfile),
    expected: [...expected].map(([key, value]) => `${key}=${value}`),
    readBack: (text) => readKeyfile(text, expected),
  };
}

/** Without IPv6 addresses of ours it is left to the kernel, as the ifcfg form leaves it. */
function keyfileIp(nic: RenderInput, family: Family): KeyfileIp {
  const addresses = addressesOf(nic, family).map(formatInterfaceAddress);
  if (addresses.length === 0)
    return { method: family === 4 ? 'disabled' : 'ignore', addresses, routes: [], rules: [] };
  const routes = nic.routes
    .filter((route) => route.family === family)
    .map(({ destination, gateway, table }) => ({ destination, gateway, table }));
  return { method: 'manual', addresses, routes, rules: profileRules(nic, family) };
}

function profileRules({ rules }: RenderInput, family: Family): readonly string[] {
  return rules.filter((rule) => rule.family === family).map((rule) => formatProfileRule(rule, family));
}

function addressesOf({ addresses }: RenderInput, family: Family): readonly InterfaceAddress[] {
  return addresses.filter(({ address }) => familyOf(address) === family);
}

function routeData({ destination, gateway, table }: FileRoute) {
  const isDefault = destination === defaultCidr(familyOf(destination));
  return { destination: isDefault ? 'default' : destination, gateway, table };
}

function ruleData({ source, outputInterface, table, priority }: FileRule) {
  return { source: source && shortSource(source), outputInterface, table, priority };
}

function runTemplate(template: Template, data: object): Parsed<string> {
  try {
    return { value: template(data) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function outputProblem(order: FileOrder, file: DesiredFile, ifname: IfName): string | undefined {
  // The parser refuses these too, but for a comment; an interface may bear such a name.
  const missing = MISSING_VALUE.exec(file.content.replaceAll(ifname, ''));
  if (missing !== null) return `the output has ${missing[0]} in it, a value that the template was not given`;
  if (!isOurs(file)) return 'the first line is not our marker';
  const found = order.readBack(file.content);
  return 'problem' in found ? found.problem : firstDifference(order.expected, found.value);
}

function firstDifference(expected: readonly string[], found: readonly string[]): string | undefined {
  for (let index = 0; index < Math.max(expected.length, found.length); index += 1) {
    const [wanted = 'no more lines', got = 'no more lines'] = [expected[index], found[index]];
    if (wanted !== got) return `expected ${wanted}, found ${got}`;
  }
  return undefined;
}

function mapParsed<Value, Result>(parsed: Parsed<Value>, map: (value: Value) => Result): Parsed<Result> {
  return 'problem' in parsed ? parsed : { value: map(parsed.value) };
}
