/**
 * From a NIC to the text of its files for network-scripts. A template is the operator's to override, so its output is read
 * back by the strict parser and compared with what was asked for: what is written is right whatever the template is.
 */
import type { DesiredFile, DesiredRoute, DesiredRule } from '../model/desired.ts';
import { isOurs, type ScriptKind, scriptPath } from '../model/files.ts';
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
import {
  type FileRoute,
  type FileRule,
  formatRouteLine,
  formatRuleLine,
  parseRouteFile,
  parseRuleFile,
  shortSource,
} from './routing-files.ts';
import type { Parsed } from './script-text.ts';

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
  readonly kind: ScriptKind;
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
export function renderNetworkScripts(nic: RenderInput, templates: Templates): Rendered {
  const unfit = inputProblem(nic);
  if (unfit !== undefined) return { problem: `rendering the files of ${nic.ifname}: ${unfit}` };
  const files: DesiredFile[] = [];
  for (const order of [ifcfgOrder(nic), ...FAMILIES.flatMap((family) => routingOrders(nic, family))]) {
    const path = scriptPath(order.kind, nic.ifname);
    const run = runTemplate(templates[order.kind], order.data);
    const problem =
      'problem' in run ? run.problem : outputProblem(order, { path, content: run.value }, nic.ifname);
    if (problem !== undefined)
      return { problem: `rendering template ${order.kind}.eta for ${nic.ifname}: ${problem}` };
    if ('value' in run) files.push({ path, content: run.value });
  }
  return { files };
}

function inputProblem({ addresses, routes }: RenderInput): string | undefined {
  const count = addresses.filter(({ address }) => familyOf(address) === 4).length;
  if (count > MAX_IPV4_ADDRESSES)
    return `${count} IPv4 addresses; network-scripts read ${MAX_IPV4_ADDRESSES}`;
  const odd = routes.find(({ type, metric }) => type !== 'unicast' || metric !== 0);
  return odd && `route ${odd.type} ${odd.destination} metric ${odd.metric} has no form in a file`;
}

function ifcfgOrder({ ifname, mac, mtu, addresses }: RenderInput): FileOrder {
  const ofFamily = (family: Family) => addresses.filter(({ address }) => familyOf(address) === family);
  const ipv4 = ofFamily(4);
  const ipv6 = ofFamily(6);
  const data = { ifname, mac, mtu, ipv4: structuredClone(ipv4), ipv6: ipv6.map(formatInterfaceAddress) };
  return {
    kind: 'ifcfg',
    data,
    expected: ifcfgLines({ ifname, mac, mtu, addresses: [...ipv4, ...ipv6] }),
    readBack: (text) => mapParsed(parseIfcfg(text), ifcfgLines),
  };
}

function ifcfgLines(ifcfg: Ifcfg): readonly string[] {
  return [...ifcfgAssignments(ifcfg)].map(([key, value]) => `${key}=${value}`);
}

/** The route and the rule file of one family; none without a line. */
function routingOrders({ ifname, routes, rules }: RenderInput, family: Family): readonly FileOrder[] {
  const fileRoutes = routes.filter((route) => route.family === family).map((route) => ({ ...route, ifname }));
  const fileRules = rules.filter((rule) => rule.family === family);
  const orders: readonly FileOrder[] = [
    {
      kind: family === 4 ? 'route' : 'route6',
      data: { ifname, routes: fileRoutes.map(routeData) },
      expected: fileRoutes.map(formatRouteLine),
      readBack: (text) => mapParsed(parseRouteFile(text), (values) => values.map(formatRouteLine)),
    },
    {
      kind: family === 4 ? 'rule' : 'rule6',
      data: { ifname, rules: fileRules.map(ruleData) },
      expected: fileRules.map(formatRuleLine),
      readBack: (text) => mapParsed(parseRuleFile(text), (values) => values.map(formatRuleLine)),
    },
  ];
  return orders.filter(({ expected }) => expected.length > 0);
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
