/** Routes: our table holds what is desired and nothing else; of main only what the state file says we added. */
import type { DesiredInterface, DesiredRoute, DesiredState } from '../model/desired.ts';
import { grouped } from '../model/grouped.ts';
import {
  type HostState,
  type Link,
  MAIN_TABLE,
  type Route,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../model/host.ts';
import { type Cidr, type Family, familyOf, formatInterfaceAddress } from '../model/net.ts';
import type { Step, StepOf } from '../model/plan.ts';
import { removeAddresses } from './addresses.ts';
import { makeStep } from './step.ts';

/** What is there beside what is wanted, each found without a look at all the others. */
export interface RouteIndex {
  readonly byTable: ReadonlyMap<number, TableIndex>;
  readonly tables: ReadonlyMap<DesiredInterface, Difference>;
}

interface TableIndex {
  readonly routes: readonly Route[];
  readonly byDestination: ReadonlyMap<Cidr, readonly Route[]>;
}

/** Of what is wanted and what is there. */
interface Difference {
  readonly missing: readonly DesiredRoute[];
  readonly unwanted: readonly Route[];
}

export function indexRoutes({ routes }: HostState, { interfaces }: DesiredState): RouteIndex {
  const byTable = new Map<number, TableIndex>();
  for (const [table, there] of grouped(routes, (route) => route.table))
    byTable.set(table, { routes: there, byDestination: grouped(there, ({ destination }) => destination) });
  const tables = new Map(interfaces.map((nic) => [nic, tableDifference(nic, byTable)]));
  return { byTable, tables };
}

function tableDifference({ routes, table }: DesiredInterface, byTable: RouteIndex['byTable']): Difference {
  const found = new Set<Route>();
  const missing = routes.filter((route) => {
    const same = routesAt(route, byTable).filter((present) => isSameRoute(route, present));
    for (const present of same) found.add(present);
    return same.length === 0;
  });
  const there = byTable.get(table)?.routes ?? [];
  return { missing, unwanted: there.filter((present) => present.type !== 'other' && !found.has(present)) };
}

function routesAt({ table, destination }: DesiredRoute, byTable: RouteIndex['byTable']): readonly Route[] {
  return byTable.get(table)?.byDestination.get(destination) ?? [];
}

export function addTableRoutes(
  desired: DesiredInterface,
  { tables, byTable }: RouteIndex,
  protocol: number,
): readonly Step[] {
  return addRoutes(tables.get(desired)?.missing ?? [], desired, byTable, protocol);
}

/** Not by a NIC whose addresses are all left to others who have set none: the kernel knows no way to the gateway. */
export function addMainRoutes(
  desired: DesiredInterface,
  link: Link,
  { host, routes: { byTable } }: { readonly host: HostState; readonly routes: RouteIndex },
  protocol: number,
): readonly Step[] {
  const missing = desired.mainRoutes.filter(
    (route) => !routesAt(route, byTable).some((present) => isSameRoute(route, present)),
  );
  if (missing.length === 0) return [];
  const leaving = removeAddresses(desired, link, host);
  const wanted = missing.filter(({ family }) => hasAddress(family, desired, link, leaving));
  return addRoutes(wanted, desired, byTable, protocol);
}

/** Whether one stays, or is to come. */
function hasAddress(
  family: Family,
  desired: DesiredInterface,
  link: Link,
  leaving: readonly StepOf<'remove-address'>[],
): boolean {
  const gone = new Set(leaving.map((step) => formatInterfaceAddress(step.arguments)));
  return [...link.addresses, ...desired.addresses].some(
    (entry) => familyOf(entry.address) === family && !gone.has(formatInterfaceAddress(entry)),
  );
}

/** With the last IPv4 address of a link the kernel takes every IPv4 route by it along, in every table. */
export function addFlushedRoutes(
  desired: DesiredInterface,
  link: Link,
  leaving: readonly StepOf<'remove-address'>[],
  protocol: number,
): readonly Step[] {
  const gone = leaving.filter((step) => familyOf(step.arguments.address) === 4);
  if (gone.length === 0 || hasAddress(4, desired, link, leaving)) return [];
  const isWithdrawal = gone.some(({ withdrawal }) => withdrawal);
  return desired.routes
    .filter(({ family, linkIndex }) => family === 4 && linkIndex !== null)
    .map((route) => {
      const reason = `${route.reason}, which the kernel removes with the last address of ${link.ifname}`;
      return makeStep('add-route', desired, kernelRoute(route, protocol), reason, isWithdrawal);
    });
}

function addRoutes(
  missing: readonly DesiredRoute[],
  desired: DesiredInterface,
  byTable: RouteIndex['byTable'],
  protocol: number,
): readonly Step[] {
  return missing.map((route) => {
    const where = route.table === MAIN_TABLE ? 'main' : `table ${route.table}`;
    return makeStep(
      'add-route',
      desired,
      kernelRoute(route, protocol),
      `${route.reason}, missing in ${where}`,
      routesAt(route, byTable).some((present) => isHandedToMain(present, route)),
    );
  });
}

/** What is in the way of a route that was just added: a better metric would win, so it goes before any address comes. */
export function removeSupersededRoutes(desired: DesiredInterface, { tables }: RouteIndex): readonly Step[] {
  return (tables.get(desired)?.unwanted ?? [])
    .filter((present) => isSuperseded(present, desired))
    .map((present) => {
      const withdrawal = desired.routes.some((route) => isHandedToMain(present, route));
      return makeStep('remove-route', desired, present, 'another one takes its place', withdrawal);
    });
}

/** The subnet of a NIC that the metadata does not list any more is on a link like any other: both steps wait together. */
function isHandedToMain(present: Route, { table, type, destination }: DesiredRoute): boolean {
  return (
    type === 'throw' &&
    present.type === 'unicast' &&
    present.table === table &&
    present.destination === destination
  );
}

export function removeTableRoutes(desired: DesiredInterface, { tables }: RouteIndex): readonly Step[] {
  const isTableGone = !desired.attached || desired.routes.length === 0;
  const reason = isTableGone
    ? 'nothing needs this table any more'
    : `does not belong in table ${desired.table}`;
  return (tables.get(desired)?.unwanted ?? [])
    .filter((present) => !isSuperseded(present, desired))
    .map((present) => {
      // A unicast one may be the way to the subnet of a NIC that the metadata does not list any more.
      const withdrawal = isTableGone || present.type === 'unicast';
      return makeStep('remove-route', desired, present, reason, withdrawal);
    });
}

function isSuperseded(present: Route, { routes }: DesiredInterface): boolean {
  return routes.some(({ destination }) => destination === present.destination);
}

export function removeMainRoutes(
  desired: DesiredInterface,
  host: HostState,
  { byTable }: RouteIndex,
): readonly Step[] {
  const owned = host.state.nics[desired.mac]?.routes ?? [];
  if (owned.length === 0) return [];
  return (byTable.get(MAIN_TABLE)?.routes ?? [])
    .filter(({ type }) => type === 'unicast')
    .filter((present) =>
      owned.some(({ to, via }) => to === present.destination && leavesBy(present, via, desired)),
    )
    .filter((present) => !desired.mainRoutes.some((route) => isSameRoute(route, present)))
    .map((present) =>
      makeStep(
        'remove-route',
        desired,
        present,
        'not listed in the configuration any more',
        !desired.attached,
      ),
    );
}

function leavesBy(route: Route, gateway: string, { linkIndex }: DesiredInterface): boolean {
  return route.nexthops.some((nexthop) => nexthop.gateway === gateway && nexthop.linkIndex === linkIndex);
}

/**
 * Whether the kernel has what is desired. Metric, protocol and scope are whatever the distribution made of them, except the
 * metric of an unreachable default: a better one would hide the default itself.
 */
function isSameRoute(desired: DesiredRoute, present: Route): boolean {
  if (
    present.family !== desired.family ||
    present.table !== desired.table ||
    present.type !== desired.type ||
    present.destination !== desired.destination
  ) {
    return false;
  }
  if (desired.type === 'throw') return true;
  if (desired.type === 'unreachable') return present.metric === desired.metric;
  const [nexthop, ...others] = present.nexthops;
  return (
    nexthop?.gateway === desired.gateway && nexthop.linkIndex === desired.linkIndex && others.length === 0
  );
}

function kernelRoute(route: DesiredRoute, protocol: number): Route {
  const { family, table, type, destination, gateway, linkIndex, metric } = route;
  const isOnLink = type === 'unicast' && gateway === null && family === 4;
  return {
    family,
    table,
    type,
    destination,
    nexthops: linkIndex === null ? [] : [{ gateway, linkIndex }],
    metric,
    protocol,
    scope: isOnLink ? SCOPE_LINK : SCOPE_UNIVERSE,
  };
}
