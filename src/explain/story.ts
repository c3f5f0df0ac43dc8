/** The story in a few lines, for people. */
import type { NicFacts } from '../model/lookup.ts';
import type { Decision, Passed } from './decide.ts';
import { describeRoute, describeRule, tableName } from './describe.ts';
import { isSourceRefused } from './document.ts';
import {
  arrivalLink,
  deviceOf,
  type Findings,
  isOurs,
  type Lookup,
  linkName,
  linkOf,
  nicAt,
  type World,
} from './findings.ts';
import { isKernelsOwn, LOCAL_TABLE } from './rules.ts';

export interface StoryLine {
  readonly label: 'passed' | 'rule' | 'route' | 'leaves' | 'NIC' | 'reply';
  readonly text: string;
}

export function tellStory(findings: Findings): readonly StoryLine[] {
  const { forward, reply, world } = findings;
  const leaves: StoryLine = { label: 'leaves', text: leavesText(findings) };
  if (isSourceRefused(findings)) return [leaves];
  return [
    ...passedLines(forward),
    { label: 'rule', text: ruleText(forward, world) },
    { label: 'route', text: routeText(forward, world) },
    leaves,
    ...nicLine(nicAt(deviceOf(forward), world), findings),
    ...(reply === null ? [] : [{ label: 'reply' as const, text: replyText(reply, findings) }]),
  ];
}

function passedLines({ decision }: Lookup): readonly StoryLine[] {
  const passed = decision.passed.filter(({ rule }) => !isKernelsOwn(rule));
  return passed.map((entry) => ({ label: 'passed', text: passedText(entry) }));
}

function passedText({ rule, reason, route }: Passed): string {
  const what = {
    empty: 'its table is empty',
    'no-route': 'its table has no route there',
    throw: `its table hands ${route?.destination ?? 'it'} on (throw)`,
    suppressed: `it passes over ${route?.destination ?? 'that route'}`,
  } as const;
  return `${rule.priority}: ${describeRule(rule)}: ${what[reason]}`;
}

function ruleText({ decision }: Lookup, world: World): string {
  const { rule, kind } = decision;
  if (rule === null) return WITHOUT_RULE[kind];
  const text = `${rule.priority}: ${describeRule(rule)}`;
  if (isOurs(rule, world)) return `${text} (eni-agent's)`;
  return isKernelsOwn(rule) ? text : `${text} (somebody else's)`;
}

const WITHOUT_RULE: Readonly<Record<Decision['kind'], string>> = {
  rule: '',
  none: 'none leads to a route',
  unasked: 'none is asked for a packet to a group',
  unknown: 'cannot be told',
};

function routeText({ decision, answer }: Lookup, world: World): string {
  const { route, rule } = decision;
  if (route !== null) return describeRoute(route, (index) => linkName(index, world));
  if (answer.kind === 'way' && answer.route !== null && answer.table !== null) {
    const type = answer.type === 'unicast' ? '' : `${answer.type} `;
    return `${type}${answer.route} in table ${tableName(answer.table)}`;
  }
  if (answer.kind === 'refusal') return rule === null ? 'none' : 'none: the rule refuses by itself';
  if (decision.kind === 'unasked') return 'none';
  // The table local is not listed, and kernels before 4.13 do not tell its route.
  return rule?.table === LOCAL_TABLE ? `${answer.type} in table ${tableName(rule.table)}` : 'cannot be told';
}

function leavesText({ forward, source, world }: Findings): string {
  const { answer, flow } = forward;
  if (answer.kind === 'refusal') return `nowhere: ${answer.text}`;
  if (answer.type === 'local') {
    const owner = linkOf(flow.destination, world, null);
    return `nowhere: it is an address of this machine${owner === undefined ? '' : `, on ${owner.ifname}`}`;
  }
  if (answer.linkIndex === null) return `nowhere: ${answer.type}`;
  const device = linkName(answer.linkIndex, world);
  const input = flow.input === null ? '' : `, forwarded from ${flow.input.ifname}`;
  const from = source === null ? '' : `, source ${source}${input}`;
  if (answer.type !== 'unicast') return `by ${device} as ${answer.type}${from}`;
  return `by ${device} to ${answer.gateway === null ? 'a neighbour' : `gateway ${answer.gateway}`}${from}`;
}

function nicLine(nic: NicFacts | undefined, { forward, world }: Findings): readonly StoryLine[] {
  const device = deviceOf(forward);
  if (device === null) return [];
  const name = linkName(device, world);
  if (nic === undefined) {
    const isUnknown = world.nics.length === 0;
    const text = isUnknown ? 'no answer of the metadata is known yet' : 'no NIC of the cloud';
    return [{ label: 'NIC', text: `${name}: ${text}` }];
  }
  const { mac, role, leftAlone } = nic;
  const whose = leftAlone === null ? 'managed by eni-agent' : `left alone by eni-agent (${leftAlone})`;
  const table = nic.table === null ? '' : `, table ${nic.table}`;
  return [{ label: 'NIC', text: `${name}, ${mac}, ${role}, ${whose}${table}` }];
}

function replyText(reply: Lookup, { forward, source, world }: Findings): string {
  const device = deviceOf(reply);
  const arrival = source === null ? undefined : arrivalLink(source, device, world);
  const by = arrival === undefined ? '' : ` comes in by ${arrival.ifname} and`;
  const packet = `a packet from ${forward.flow.destination} to ${source}${by}`;
  if (device === null) {
    const { answer } = reply;
    return `${packet} is not answered: ${answer.kind === 'refusal' ? answer.text : answer.type}`;
  }
  const rule = reply === forward ? '' : `, by rule ${ruleText(reply, world)}`;
  return `${packet} is answered by ${arrival?.index === device ? 'the same' : linkName(device, world)}${rule}`;
}
