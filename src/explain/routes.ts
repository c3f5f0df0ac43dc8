/** The routes of a table that may take a packet, and whether it is one of them that the kernel's answer speaks of. */
import type { Route } from '../model/host.ts';
import type { LookupAnswer, RefusalReason, WayType } from '../model/lookup.ts';
import { cidrContains, familyOf, type IpAddress, splitCidr } from '../model/net.ts';

/** The routes of one table to one address, the best first; those of one entry the kernel takes for equally good. */
export function routesTo(
  destination: IpAddress,
  table: number,
  routes: readonly Route[],
): readonly (readonly Route[])[] {
  const groups = new Map<string, Route[]>();
  const fitting = routes.filter(
    (route) =>
      route.table === table &&
      route.family === familyOf(destination) &&
      cidrContains(route.destination, destination),
  );
  for (const route of fitting.toSorted(bestFirst)) {
    const key = `${route.destination} ${route.metric}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [route]);
    else group.push(route);
  }
  return [...groups.values()];
}

function bestFirst(a: Route, b: Route): number {
  const longer = splitCidr(b.destination).prefixLength - splitCidr(a.destination).prefixLength;
  return longer === 0 ? a.metric - b.metric : longer;
}

/** What a route of a type without a device answers (fib_props, fib6_table_lookup). */
const REFUSING: Readonly<Partial<Record<RefusalReason, WayType>>> = {
  unreachable: 'unreachable',
  prohibited: 'prohibit',
  invalid: 'blackhole',
};
/** To a group the kernel writes no gateway, and to a broadcast address that no table has neither. */
const WITHOUT_GATEWAY: readonly WayType[] = ['multicast', 'broadcast'];

export function agrees(route: Route, answer: LookupAnswer): boolean {
  if (answer.kind === 'refusal') return route.type === REFUSING[answer.reason];
  const { table, type, gateway, linkIndex } = answer;
  if (table !== null && table !== route.table) return false;
  if (answer.route !== null && answer.route !== route.destination) return false;
  if (route.nexthops.length === 0) return type === route.type;
  return route.nexthops.some(
    (leg) => leg.linkIndex === linkIndex && (WITHOUT_GATEWAY.includes(type) || leg.gateway === gateway),
  );
}
