/** A kernel without a kernel: carries steps out on a HostState, with the consequences that matter to a plan. Pure. */
import { buildDesired } from '../../src/desired/build.ts';
import type { Config } from '../../src/model/config.ts';
import type { DesiredState } from '../../src/model/desired.ts';
import { originalPath } from '../../src/model/files.ts';
import { type HostState, type Link, MAIN_TABLE, type Route } from '../../src/model/host.ts';
import { type ConnectionMark, isSameMark, isSamePlace, markTag } from '../../src/model/mark.ts';
import type { InstanceMetadata } from '../../src/model/metadata.ts';
import { type Family, familyOf, type InterfaceAddress, networkOf } from '../../src/model/net.ts';
import type { AddressArguments, Plan, RuleArguments, Step, StepArguments } from '../../src/model/plan.ts';
import type { Templates } from '../../src/model/templates.ts';
import { planChanges } from '../../src/plan/diff.ts';
import { settledNics } from '../../src/reconcile/ownership.ts';
import { rememberedAnswer } from '../../src/reconcile/reading.ts';
import { AT, asLinkAddress, connectedRoute, hasConnectedRoute, optionsOf } from './builders.ts';
import { assertFilesMean } from './distribution/rendered.ts';

/** IP6_RT_PRIO_USER: what IPv6 makes of a metric of 0. */
const IPV6_DEFAULT_METRIC = 1024;

export interface World {
  readonly metadata: InstanceMetadata;
  readonly host: HostState;
  readonly config: Config;
  /** Needed only where files are written. */
  readonly templates?: Templates;
}

export interface Look {
  readonly desired: DesiredState;
  readonly plan: Plan;
}

const noTemplate = (): string => '';
export const NO_TEMPLATES: Templates = {
  ifcfg: noTemplate,
  route: noTemplate,
  rule: noTemplate,
  route6: noTemplate,
  rule6: noTemplate,
  keyfile: noTemplate,
};

export function lookAt({ metadata, host, config, templates }: World): Look {
  const desired = buildDesired({ metadata, host, config, templates: templates ?? NO_TEMPLATES });
  for (const nic of desired.interfaces) assertFilesMean(nic);
  return { desired, plan: planChanges(host, desired, optionsOf(config)) };
}

/** One whole run that succeeds: look, apply, remember. */
export function runOnce(world: World, at = AT): World {
  const { desired, plan } = lookAt(world);
  return { ...world, host: remember(applyToHost(world.host, plan.steps), desired, plan, world, at) };
}

function remember(
  host: HostState,
  desired: DesiredState,
  plan: Plan,
  { metadata }: World,
  at: string,
): HostState {
  const { state } = host;
  const answer = rememberedAnswer(metadata, state.metadata?.answer);
  const nics = settledNics(state.nics, desired.interfaces, plan.steps, at);
  return { ...host, state: { ...state, nics, metadata: { readAt: at, answer } } };
}

export function applyToHost(host: HostState, steps: readonly Step[]): HostState {
  return steps.reduce(applyStep, host);
}

/** The host after each step, beginning with the one before the first. */
export function replay(host: HostState, steps: readonly Step[]): readonly HostState[] {
  const states = [host];
  for (const step of steps) states.push(applyStep(states.at(-1) ?? host, step));
  return states;
}

function applyStep(host: HostState, step: Step): HostState {
  switch (step.kind) {
    case 'write-file':
      return writeFile(host, step.arguments);
    case 'remove-file':
      return removeFile(host, step.arguments);
    case 'set-link-up':
      return setUp(host, step.arguments.linkIndex);
    case 'set-mtu': {
      const { mtu, linkIndex } = step.arguments;
      return changeLink(host, linkIndex, () => ({ mtu }));
    }
    case 'set-sysctl': {
      const { name, value, linkIndex } = step.arguments;
      return changeLink(host, linkIndex, ({ sysctls }) => ({ sysctls: { ...sysctls, [name]: value } }));
    }
    case 'add-address':
      return addAddress(host, step.arguments);
    case 'remove-address':
      return removeAddress(host, step.arguments);
    case 'add-route':
      return addRoute(host, step.arguments);
    case 'remove-route':
      return removeFirstRoute(host, step.arguments);
    case 'add-rule':
      return addRule(host, step.arguments);
    case 'remove-rule':
      return removeRule(host, step.arguments);
    case 'add-mark':
      return { ...host, marks: [...marksBeside(host, step.arguments), step.arguments] };
    case 'remove-mark':
      return { ...host, marks: host.marks.filter((mark) => markTag(mark) !== markTag(step.arguments)) };
  }
}

function changeLink(host: HostState, index: number, change: (link: Link) => Partial<Link>): HostState {
  const links = host.links.map((entry) => (entry.index === index ? { ...entry, ...change(entry) } : entry));
  return { ...host, links };
}

function linkOf(host: HostState, index: number): Link {
  const found = host.links.find((entry) => entry.index === index);
  if (found === undefined) throw new Error(`ENODEV: no link ${index}`);
  return found;
}

export function setUp(host: HostState, index: number): HostState {
  const { addresses } = linkOf(host, index);
  return addresses.reduce(
    (state, address) => addConnected(state, index, address),
    changeLink(host, index, () => ({ up: true })),
  );
}

/** Every IPv4 route by it goes; what has no device stays. */
export function setDown(host: HostState, index: number): HostState {
  const down = changeLink(host, index, () => ({ up: false }));
  return { ...down, routes: down.routes.filter((entry) => !leavesBy(entry, index, 4)) };
}

/** The kernel adds the connected route to main. */
export function addAddress(host: HostState, args: AddressArguments): HostState {
  const before = linkOf(host, args.linkIndex);
  if (before.addresses.some((entry) => isSameAddress(entry, args))) return host;
  const added = changeLink(host, args.linkIndex, ({ addresses }) => ({
    addresses: [...addresses, asLinkAddress(args)],
  }));
  return before.up ? addConnected(added, args.linkIndex, args) : added;
}

function addConnected(host: HostState, index: number, address: InterfaceAddress): HostState {
  const route = connectedRoute({ index }, address);
  if (!hasConnectedRoute(address)) return host;
  if (host.routes.some((entry) => isSameConnected(entry, route))) return host;
  return { ...host, routes: [...host.routes, route] };
}

/** The connected route goes with the last address of its subnet, and every route by the link with its last address. */
export function removeAddress(host: HostState, args: AddressArguments): HostState {
  const removed = changeLink(host, args.linkIndex, ({ addresses }) => ({
    addresses: addresses.filter((entry) => !isSameAddress(entry, args)),
  }));
  const family = familyOf(args.address);
  const left = linkOf(removed, args.linkIndex).addresses.filter(
    ({ address }) => familyOf(address) === family,
  );
  const connected = connectedRoute({ index: args.linkIndex }, args);
  const hasSubnet = left.some((entry) => networkOf(entry) === connected.destination);
  const routes = removed.routes.filter(
    (entry) =>
      (hasSubnet || !isSameConnected(entry, connected)) &&
      (left.length > 0 || family === 6 || !leavesBy(entry, args.linkIndex, family)),
  );
  return { ...removed, routes };
}

function leavesBy(route: Route, index: number, family: Family): boolean {
  return route.family === family && route.nexthops.some(({ linkIndex }) => linkIndex === index);
}

function isSameAddress(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.address === b.address && a.prefixLength === b.prefixLength;
}

function isSameConnected(a: Route, b: Route): boolean {
  return (
    a.table === MAIN_TABLE &&
    a.destination === b.destination &&
    a.protocol === b.protocol &&
    a.nexthops[0]?.gateway === null &&
    a.nexthops[0].linkIndex === b.nexthops[0]?.linkIndex
  );
}

/** NLM_F_REPLACE: takes the place of the one with the same table, destination and metric. */
function addRoute(host: HostState, args: Route): HostState {
  const metric = args.metric === 0 && args.family === 6 ? IPV6_DEFAULT_METRIC : args.metric;
  const route = { ...args, metric };
  const index = host.routes.findIndex(
    (entry) =>
      entry.family === route.family &&
      entry.table === route.table &&
      entry.destination === route.destination &&
      entry.metric === metric,
  );
  const routes = index < 0 ? [...host.routes, route] : host.routes.with(index, route);
  return { ...host, routes };
}

/** One that is not there is no error (ESRCH). */
function removeFirstRoute(host: HostState, args: Route): HostState {
  const text = JSON.stringify(args);
  const index = host.routes.findIndex((entry) => JSON.stringify(entry) === text);
  return { ...host, routes: host.routes.filter((_, position) => position !== index) };
}

function addRule(host: HostState, args: RuleArguments): HostState {
  if (host.rules.some((entry) => !entry.foreign && isSameRule(entry, args))) return host;
  return { ...host, rules: [...host.rules, { ...args, foreign: false }] };
}

function removeRule(host: HostState, args: RuleArguments): HostState {
  const index = host.rules.findIndex(
    (entry) => !entry.foreign && isSameRule(entry, args) && entry.protocol === args.protocol,
  );
  return { ...host, rules: host.rules.filter((_, position) => position !== index) };
}

function marksBeside({ marks }: HostState, added: ConnectionMark): readonly ConnectionMark[] {
  return marks.filter((mark) => !isSamePlace(mark, added));
}

function isSameRule(a: RuleArguments, b: RuleArguments): boolean {
  return (
    a.family === b.family &&
    a.priority === b.priority &&
    a.table === b.table &&
    a.source === b.source &&
    a.outputInterface === b.outputInterface &&
    isSameMark(a.mark, b.mark)
  );
}

function writeFile(host: HostState, args: StepArguments['write-file']): HostState {
  const kept = args.keepOriginal ? rename(host, args.path, originalPath(args.path)) : host;
  const others = kept.files.filter(({ path }) => path !== args.path);
  return { ...kept, files: [...others, { path: args.path, content: args.content }] };
}

function removeFile(host: HostState, { path, original }: StepArguments['remove-file']): HostState {
  if (original === 'keep') return rename(host, path, originalPath(path));
  const without = { ...host, files: host.files.filter((file) => file.path !== path) };
  return original === 'restore' ? rename(without, originalPath(path), path) : without;
}

function rename(host: HostState, from: string, to: string): HostState {
  const file = host.files.find(({ path }) => path === from);
  if (file === undefined) return host;
  const others = host.files.filter(({ path }) => path !== from && path !== to);
  return { ...host, files: [...others, { path: to, content: file.content }] };
}
