/** What is against what should be: the steps between them, each with its reason, in an order without a gap. */
import type { DesiredInterface, DesiredState } from '../model/desired.ts';
import type { HostState } from '../model/host.ts';
import type { Plan, Step } from '../model/plan.ts';
import { addAddresses, removeAddresses } from './addresses.ts';
import { fileSteps } from './files.ts';
import { addRoutes, removeMainRoutes, removeSupersededRoutes, removeTableRoutes } from './routes.ts';
import { addRules, type RuleWindow, removeMovedRules, removeRules } from './rules.ts';
import { restoringSteps, settingSteps } from './settings.ts';

export interface PlanOptions extends RuleWindow {
  /** rtnetlink protocol of what we add. */
  readonly protocol: number;
}

/**
 * The primary's table and rules come first and go last, since the secondaries' addresses need them (ARCHITECTURE: order
 * without a gap). What is gone is cleared before what is new is set up: a left-over `oif` rule would bind to the next link of
 * that name.
 */
export function planChanges(host: HostState, desired: DesiredState, options: PlanOptions): Plan {
  const primary = desired.interfaces.filter(({ role }) => role === 'primary');
  const gone = desired.interfaces.filter(({ attached }) => !attached);
  const secondaries = desired.interfaces.filter(({ role, attached }) => role === 'secondary' && attached);
  const setUp = (nic: DesiredInterface): readonly Step[] => additions(nic, desired, host, options);
  const clear = (nic: DesiredInterface): readonly Step[] => removals(nic, desired, host, options);
  const steps = [
    ...primary.flatMap(setUp),
    ...gone.flatMap(clear),
    ...secondaries.flatMap((nic) => [...setUp(nic), ...clear(nic)]),
    ...primary.flatMap(clear),
  ];
  return { steps, deferrals: desired.deferrals, problems: desired.problems };
}

/** Link, routes, rules, addresses: an address answers only when its way back is there. */
function additions(
  nic: DesiredInterface,
  all: DesiredState,
  host: HostState,
  options: PlanOptions,
): readonly Step[] {
  const link = host.links.find(({ index }) => index === nic.linkIndex);
  if (link === undefined) return [];
  return [
    ...settingSteps(nic, link),
    ...addRoutes(nic, host, options.protocol),
    ...removeSupersededRoutes(nic, host),
    ...removeMovedRules(nic, all, host, options),
    ...addRules(nic, host, options.protocol),
    ...addAddresses(nic, link),
  ];
}

/** In reverse: addresses, rules, routes; what is written down changes last. */
function removals(
  nic: DesiredInterface,
  all: DesiredState,
  host: HostState,
  options: PlanOptions,
): readonly Step[] {
  const link = host.links.find(({ index }) => index === nic.linkIndex);
  const isTableTaken = all.interfaces.some(
    ({ attached, mac, table }) => attached && mac !== nic.mac && table === nic.table,
  );
  return [
    ...(link === undefined ? [] : removeAddresses(nic, link, host)),
    ...(isTableTaken ? [] : removeRules(nic, all, host, options)),
    ...(isTableTaken ? [] : removeTableRoutes(nic, host)),
    ...removeMainRoutes(nic, host),
    ...(link === undefined ? [] : restoringSteps(nic, link, host)),
    ...fileSteps(nic, host),
  ];
}
