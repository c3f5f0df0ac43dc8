/** What is wrong with the way that a packet takes, and what to do: only what does harm is a problem. */
import type { Link } from '../model/host.ts';
import type { NicFacts, RuleDetails } from '../model/lookup.ts';
import { cidrContains, hostCidr, type IpAddress, splitCidr } from '../model/net.ts';
import type { Passed } from './decide.ts';
import { describeRoute, nameRule } from './describe.ts';
import {
  arrivalLink,
  deviceOf,
  type Findings,
  homeOf,
  isCloudLink,
  isOurs,
  type Lookup,
  linkName,
  linkOf,
  nicAt,
  type World,
} from './findings.ts';
import { isKernelsOwn } from './rules.ts';

/** CONTRACT of `explain --json`: docs/cli.md has a line for each. */
export type ProblemCode =
  | 'source-missing'
  | 'link-down'
  | 'address-moved'
  | 'foreign-rule'
  | 'no-rule'
  | 'stale-rule'
  | 'table-empty'
  | 'table-incomplete'
  | 'throw'
  | 'wrong-route'
  | 'no-route'
  | 'wrong-source'
  | 'rp-filter';

export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
}

/** The cause first, then what follows from it. */
export function diagnose(findings: Findings): readonly Problem[] {
  const { source, isSourceHere, forward, reply, world } = findings;
  const isLost = !isSourceHere && forward.flow.input === null;
  if (source !== null && isLost) return [sourceMissing(source, world)];
  const lookup = reply ?? forward;
  const owner = source === null ? undefined : homeOf(source, world, deviceOf(lookup));
  const cause = isMisled(lookup, owner, world)
    ? [causeOf({ source, owner, lookup, world })]
    : wrongSource(findings);
  return [...cause, ...misplaced(source, owner, world), ...filtered(findings)];
}

/** Refused, or sent by a NIC that the cloud does not know its source by: the cloud drops it. */
function isMisled({ answer }: Lookup, owner: Link | undefined, world: World): boolean {
  if (answer.kind === 'refusal') return true;
  if (answer.type !== 'unicast') return REFUSING_TYPES.includes(answer.type);
  return isForeignTo(answer.linkIndex, owner, world);
}

/** An IPv6 look-up may answer with such a route instead of an error. */
const REFUSING_TYPES: readonly string[] = ['unreachable', 'prohibit', 'blackhole'];

/** What a bridge of the machine has for an address is translated on its way out. */
function isForeignTo(device: number | null, owner: Link | undefined, world: World): boolean {
  if (owner === undefined || device === owner.index || !isCloudLink(device, world)) return false;
  return world.nics.length > 0 ? nicAt(owner.index, world) !== undefined : mayBeCloudLink(owner);
}

function mayBeCloudLink({ mac, kind, lowerIndex, masterIndex }: Link): boolean {
  return mac !== null && kind !== 'bridge' && lowerIndex === null && masterIndex === null;
}

function sourceMissing(source: IpAddress, { nics, links }: World): Problem {
  const nowhere = `${source} is on no interface of this machine`;
  const useless = links.find((link) => link.addresses.some((entry) => entry.address === source));
  if (useless !== undefined) {
    const message = `${source} on ${useless.ifname} is not used by the kernel: another host of the subnet has it`;
    return { code: 'source-missing', message };
  }
  const nic = nics.find(({ listed }) => listed.includes(source));
  if (nic === undefined)
    return { code: 'source-missing', message: `${nowhere}: no packet of it has this source` };
  const { link, excluded } = nic;
  if (!link.up) {
    const message = `${link.ifname} is down, and has taken ${source} with it; ${remedyForLink(link, nic)}`;
    return { code: 'link-down', message };
  }
  const isOthers = excluded.some((network) => cidrContains(network, source));
  const fix = isOthers ? 'the configuration leaves it to others (excludeAddresses)' : remedy(nic);
  return { code: 'source-missing', message: `${nowhere}: it is listed on ${link.ifname}; ${fix}` };
}

interface Case {
  readonly source: IpAddress | null;
  /** The link that the source belongs to. */
  readonly owner: Link | undefined;
  readonly lookup: Lookup;
  readonly world: World;
}

function causeOf(found: Case): Problem {
  const { owner, lookup, world } = found;
  const { rule, kind } = lookup.decision;
  if (owner !== undefined && !owner.up) return linkDown(owner, found);
  if (rule !== null && isOurs(rule, world)) return ourRule(rule, found);
  if (rule !== null && !isKernelsOwn(rule)) return foreignRule(rule, found);
  if (owner === undefined || kind === 'unknown') return noWay(found);
  return notLed(owner, found);
}

function linkDown(owner: Link, found: Case): Problem {
  const fix = remedyForLink(owner, nicAt(owner.index, found.world));
  return {
    code: 'link-down',
    message: `${owner.ifname} is down, and has taken its routes with it: ${consequence(found)}; ${fix}`,
  };
}

/** The agent sets up no primary, and no NIC that it leaves alone. */
function remedyForLink({ ifname }: Link, nic: NicFacts | undefined): string {
  const isAgents = nic?.role === 'secondary' && nic.leftAlone === null;
  return isAgents ? remedy(nic) : `\`ip link set ${ifname} up\` sets it up`;
}

/** A rule for a table of the agent's decided. */
function ourRule(rule: RuleDetails, found: Case): Problem {
  const { source, owner, lookup, world } = found;
  const target = world.nics.find(({ table }) => table === rule.table);
  if (target === undefined && world.nics.length > 0) {
    const message = `${nameRule(rule)} leads to a table of no NIC of this machine: ${consequence(found)}; ${remedy(undefined)}`;
    return { code: 'stale-rule', message };
  }
  if (target !== undefined && owner !== undefined && target.link.index !== owner.index) {
    const fix = remedy(nicAt(owner.index, world));
    const message = `${source} belongs to ${owner.ifname}, but ${nameRule(rule)} leads to the table of ${target.link.ifname}: ${consequence(found)}; ${fix}`;
    return { code: 'address-moved', message };
  }
  const { route } = lookup.decision;
  const isDefault = route !== null && splitCidr(route.destination).prefixLength === 0;
  if (isDefault && route.type === 'unreachable') return incomplete(rule, found);
  const text =
    route === null ? `table ${rule.table}` : describeRoute(route, (index) => linkName(index, world));
  const fix = `take that route out, then ${remedy(target)}`;
  return { code: 'wrong-route', message: `${text} is none of eni-agent's: ${consequence(found)}; ${fix}` };
}

function incomplete(rule: RuleDetails, found: Case): Problem {
  const nic = nicOf(found);
  const { destination } = found.lookup.flow;
  const message = `table ${rule.table} has no route to ${destination}: ${consequence(found)}; ${remedy(nic)}`;
  return { code: 'table-incomplete', message };
}

function foreignRule(rule: RuleDetails, found: Case): Problem {
  const table = nicOf(found)?.table ?? null;
  const before = table !== null && rule.priority < table ? ` and comes before priority ${table}` : '';
  const fix =
    table === null ? 'remove it, if it is not meant so' : `remove it, or give it a priority above ${table}`;
  const message = `${nameRule(rule)} is none of eni-agent's${before}: ${consequence(found)}; ${fix}`;
  return { code: 'foreign-rule', message };
}

/** No rule decided, or one of the kernel's own: what should have decided before did not. */
function notLed(owner: Link, found: Case): Problem {
  const { source, world, lookup } = found;
  const nic = nicAt(owner.index, world);
  const passed = lookup.decision.passed.find(({ rule }) => isOurs(rule, world));
  if (passed !== undefined) return passedOn(passed, found);
  const table = nic?.table ?? null;
  const isUnwanted = nic?.role === 'primary' && !world.isPrimaryRouted;
  const fix = isUnwanted ? 'the configuration says routing.primary: never' : remedy(nic);
  const where = table === null ? `a table of ${owner.ifname}` : `table ${table}, that of ${owner.ifname}`;
  const message = `no rule leads ${source} to ${where}: ${consequence(found)}; ${fix}`;
  return { code: 'no-rule', message };
}

function passedOn({ rule, reason, route }: Passed, found: Case): Problem {
  if (reason === 'no-route') return incomplete(rule, found);
  const fix = remedy(nicOf(found));
  if (reason === 'empty') {
    const message = `${nameRule(rule)} is there, but its table is empty: ${consequence(found)}; ${fix}`;
    return { code: 'table-empty', message };
  }
  const what = route === null ? `table ${rule.table}` : describeRoute(route, String);
  const message = `${what} hands it on to main: ${consequence(found)}; ${fix}`;
  return { code: 'throw', message };
}

function noWay(found: Case): Problem {
  const { lookup, world, source } = found;
  const { decision, flow } = lookup;
  const down = world.nics.filter(({ link }) => !link.up).map(({ link }) => link.ifname);
  const because = down.length === 0 ? '' : `; ${down.join(', ')} ${down.length === 1 ? 'is' : 'are'} down`;
  const from = source === null ? '' : ` from ${source}`;
  const what =
    decision.route === null
      ? `no route leads${from} to ${flow.destination}`
      : describeRoute(decision.route, (index) => linkName(index, world));
  return { code: 'no-route', message: `${what}: ${consequence(found)}${because}` };
}

function nicOf({ owner, world }: Case): NicFacts | undefined {
  return owner === undefined ? undefined : nicAt(owner.index, world);
}

function consequence({ lookup, world, source }: Case): string {
  const { answer, flow } = lookup;
  const packets = `packets ${source === null ? '' : `from ${source} `}to ${flow.destination}`;
  if (answer.kind === 'refusal') return `the kernel refuses ${packets} (${answer.text})`;
  if (answer.type !== 'unicast') return `the kernel refuses ${packets} (${answer.type})`;
  return `${packets} leave by ${linkName(answer.linkIndex, world)}, where the cloud drops them`;
}

function remedy(nic: NicFacts | undefined): string {
  if (nic === undefined) return '`eni-agent plan` shows what there is to do';
  const { leftAlone, link } = nic;
  if (leftAlone === null) return `\`eni-agent reconfigure ${link.ifname}\` puts it right`;
  return leftAlone === 'released'
    ? `${link.ifname} was released, \`eni-agent reconfigure ${link.ifname}\` takes it back`
    : `eni-agent leaves ${link.ifname} alone (${leftAlone})`;
}

/** On another NIC than that of the metadata: what the cloud brings there may be taken or not (arp_ignore, rp_filter). */
function misplaced(source: IpAddress | null, owner: Link | undefined, world: World): readonly Problem[] {
  if (source === null || owner === undefined) return [];
  const here = linkOf(source, world, owner.index);
  if (here === undefined || here.index === owner.index) return [];
  const nic = nicAt(owner.index, world);
  const rule = world.rules.find((rule) => isOurs(rule, world) && rule.source === hostCidr(source));
  const led = world.nics.find(({ table }) => table === rule?.table)?.link.ifname;
  const also =
    led === undefined || rule === undefined ? '' : `, and ${nameRule(rule)} leads to the table of ${led}`;
  const message = `${source} is on ${here.ifname}, but it is listed on ${owner.ifname}${also}; take it off ${here.ifname}, then ${remedy(nic)}`;
  return [{ code: 'address-moved', message }];
}

/** An unbound socket is looked up without a source; a connected one a second time with it, and that is the reply's way. */
function wrongSource({ source, forward, reply, world }: Findings): readonly Problem[] {
  const device = deviceOf(forward);
  const owner = source === null ? undefined : homeOf(source, world, device);
  if (reply === null || owner === undefined || !isForeignTo(device, owner, world)) return [];
  const { rule } = forward.decision;
  const by = rule === null ? '' : ` (${nameRule(rule)})`;
  const message = `unbound packets to ${forward.flow.destination} leave by ${linkName(device, world)}${by} with ${source}, which belongs to ${owner.ifname}: the cloud drops those of sockets that are not connected`;
  return [{ code: 'wrong-source', message }];
}

/** For each NIC the kernel uses the larger of `all` and its own value. */
function filtered({ isArrivalRefused, source, forward, reply, world }: Findings): readonly Problem[] {
  if (!isArrivalRefused || source === null) return [];
  const device = deviceOf(reply ?? forward);
  const link = arrivalLink(source, device, world);
  if (link === undefined) return [];
  const value = Math.max(link.sysctls.rp_filter, world.allSysctls.rp_filter);
  if (value === 0) return [];
  const { destination } = forward.flow;
  const why = device === null ? 'no reply could leave' : `replies leave by ${linkName(device, world)}`;
  const message = `rp_filter=${value} on ${link.ifname} drops what comes in there from ${destination} to ${source}, since ${why}`;
  return [{ code: 'rp-filter', message }];
}
