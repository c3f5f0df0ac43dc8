/** What is against what should be: the steps between them, each with its reason, in an order without a gap. */
import type { DesiredInterface, DesiredState } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import type { Plan, Step } from '../model/plan.ts';
import { addAddresses, removeAddresses } from './addresses.ts';
import { fileSteps } from './files.ts';
import { addMarks, removeMarks } from './marks.ts';
import {
  addFlushedRoutes,
  addMainRoutes,
  addTableRoutes,
  indexRoutes,
  type RouteIndex,
  removeMainRoutes,
  removeSupersededRoutes,
  removeTableRoutes,
} from './routes.ts';
import {
  addRules,
  indexRules,
  type RuleIndex,
  type RuleWindow,
  removeMovedRules,
  removeRules,
} from './rules.ts';
import { restoringSteps, settingSteps } from './settings.ts';

export interface PlanOptions extends RuleWindow {
  /** rtnetlink protocol of what we add. */
  readonly protocol: number;
  /** The bits of the mark that are ours. */
  readonly forwardedMask: number;
}

/**
 * The primary's table and rules come first and go last, since the secondaries' addresses need them (ARCHITECTURE: order
 * without a gap). What is gone is cleared before what is new is set up: a left-over `oif` rule would bind to the next link of
 * that name.
 */
export function planChanges(host: HostState, desired: DesiredState, options: PlanOptions): Plan {
  const primary = desired.interfaces.filter(({ role }) => role === 'primary');
  const gone = desired.interfaces.filter(({ role, attached }) => role === 'secondary' && !attached);
  const secondaries = desired.interfaces.filter(({ role, attached }) => role === 'secondary' && attached);
  const world = {
    all: desired,
    host,
    rules: indexRules(host, desired, options),
    routes: indexRoutes(host, desired),
  };
  const setUp = (nic: DesiredInterface): readonly Step[] => additions(nic, world, options);
  const clear = (nic: DesiredInterface): readonly Step[] => removals(nic, world, options);
  const steps = [
    ...primary.flatMap(setUp),
    ...gone.flatMap(clear),
    ...secondaries.flatMap((nic) => [...setUp(nic), ...clear(nic)]),
    ...primary.flatMap(clear),
  ];
  return { steps, deferrals: desired.deferrals, problems: desired.problems };
}

/** What the steps of each NIC are made from. */
interface World {
  readonly all: DesiredState;
  readonly host: HostState;
  readonly rules: RuleIndex;
  readonly routes: RouteIndex;
}

/** Marks, link, the table, rules, addresses: an address answers only when its way back is there. */
function additions(
  nic: DesiredInterface,
  { host, rules, routes }: World,
  { protocol }: PlanOptions,
): readonly Step[] {
  const link = host.links.find(({ index }) => index === nic.linkIndex);
  if (link === undefined) return [];
  return [
    ...addMarks(nic, host),
    ...settingSteps(nic, link),
    ...addTableRoutes(nic, routes, protocol),
    ...removeSupersededRoutes(nic, routes),
    ...removeMovedRules(nic, rules),
    ...addRules(nic, rules, protocol),
    ...addAddresses(nic, link),
    // Their gateways are neighbours by main's connected route, which comes with the first address.
    ...addMainRoutes(nic, link, { host, routes }, protocol),
  ];
}

/** In reverse: addresses, rules, routes; what is written down changes last, and not before the kernel does. */
function removals(
  nic: DesiredInterface,
  { all, host, rules, routes }: World,
  options: PlanOptions,
): readonly Step[] {
  const link = host.links.find(({ index }) => index === nic.linkIndex);
  const isTableTaken = all.interfaces.some(
    ({ attached, mac, table }) => attached && mac !== nic.mac && table === nic.table,
  );
  const table = isTableTaken
    ? []
    : [
        ...removeMarks(nic, all, host, options.forwardedMask),
        ...removeRules(nic, host, rules),
        ...removeTableRoutes(nic, routes),
      ];
  const kernel = [
    ...(link === undefined ? [] : leavingAddresses(nic, link, host, options)),
    ...(nic.released === 'table' ? table.map(confirmed) : table),
    ...removeMainRoutes(nic, host, routes),
    ...(link === undefined ? [] : restoringSteps(nic, link, host)),
  ];
  const isWaiting = kernel.some(({ withdrawal }) => withdrawal);
  const files = fileSteps(nic, host).map((step) => (isWaiting ? { ...step, withdrawal: true } : step));
  const steps = [...kernel, ...files];
  return nic.released === 'all' ? steps.map((step) => confirmed({ ...step, reason: 'released' })) : steps;
}

function leavingAddresses(
  nic: DesiredInterface,
  link: Link,
  host: HostState,
  { protocol }: PlanOptions,
): readonly Step[] {
  const leaving = removeAddresses(nic, link, host);
  return [...leaving, ...addFlushedRoutes(nic, link, leaving, protocol)];
}

/** By the operator's word: it waits for nothing that the metadata says. */
function confirmed(step: Step): Step {
  return { ...step, withdrawal: false };
}
