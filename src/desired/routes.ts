/** The routes of a NIC's table (docs/decisions/0004). Pure, and the same for the primary and the secondaries. */
import type { Config } from '../model/config.ts';
import type { DesiredRoute } from '../model/desired.ts';
import { type HostState, MAIN_TABLE, type Route } from '../model/host.ts';
import { oncePer } from '../model/memo.ts';
import { gatewayOf } from '../model/metadata.ts';
import {
  type Cidr,
  cidrContains,
  defaultCidr,
  FAMILIES,
  type Family,
  familyOf,
  IPV6_LINK_LOCAL,
  type IpAddress,
  isLinkLocal,
  networkOf,
  splitCidr,
} from '../model/net.ts';
import type { KnownNic } from './addresses.ts';
import type { CloudNic } from './nics.ts';

/** The worst metric there is: the kernel prefers any other route of the same prefix. */
const WORST_METRIC = 0xffff_ffff;

export interface RouteContext {
  readonly host: HostState;
  readonly config: Config;
  /** Every NIC of the cloud that has a link, managed or not. */
  readonly cloudNics: readonly CloudNic[];
  readonly managed: readonly KnownNic[];
  readonly table: number;
}

/** The families in which a NIC has a table: those in which it has an address of the metadata or the configuration. */
export function familiesOf(nic: KnownNic): readonly Family[] {
  return FAMILIES.filter((family) => ownSubnets(nic, family).length > 0);
}

/** The whole table of one NIC, own prefixes first, throws last. */
export function tableRoutes(nic: KnownNic, context: RouteContext): readonly DesiredRoute[] {
  return familiesOf(nic).flatMap((family) => {
    const own = [
      ...fileRoutes(nic, context.table, family),
      ...linkLocalRoute(nic, context.table, family),
      ...neighbourRoutes(nic, context, family),
    ];
    const taken = new Set(own.map(({ destination }) => destination));
    const throws = throwRoutes(nic, context, family, taken);
    const kept = keptRoutes(nic, context, family, throws).filter(
      ({ destination }) => !taken.has(destination),
    );
    return [...own, ...kept, unreachableDefault(context.table, family), ...throws];
  });
}

/** The part of the table that the distribution's own files carry too: what must be right without the agent. */
export function fileRoutes(nic: KnownNic, table: number, family: Family): readonly DesiredRoute[] {
  const through = unicast(nic, table, family);
  const gateway = gatewayFor(nic, family);
  const routes = ownSubnets(nic, family).map((subnet) => through(subnet, null, 'the subnet of the NIC'));
  if (gateway !== null) routes.push(through(defaultCidr(family), gateway, 'the gateway of the subnet'));
  for (const { to, via } of nic.config.routes) {
    if (familyOf(to) === family) routes.push(through(to, via, 'listed in the configuration'));
  }
  return routes;
}

/** `interfaces[].routes` in the main table. */
export function mainRoutes(nic: KnownNic): readonly DesiredRoute[] {
  return nic.config.routes.map(({ to, via }) =>
    unicast(nic, MAIN_TABLE, familyOf(to))(to, via, 'listed in the configuration'),
  );
}

function unicast(nic: KnownNic, table: number, family: Family) {
  return (destination: Cidr, gateway: IpAddress | null, reason: string): DesiredRoute => ({
    family,
    table,
    type: 'unicast',
    destination,
    gateway,
    linkIndex: nic.link.index,
    metric: 0,
    reason,
  });
}

/** Link-local peers of a global source are looked up in the source's table. */
function linkLocalRoute(nic: KnownNic, table: number, family: Family): readonly DesiredRoute[] {
  return family === 6 ? [unicast(nic, table, family)(IPV6_LINK_LOCAL, null, 'link-local neighbours')] : [];
}

/** The other NICs' subnets go by this NIC's gateway, so that replies to a neighbour of another NIC leave by this one. */
function neighbourRoutes(nic: KnownNic, context: RouteContext, family: Family): readonly DesiredRoute[] {
  const gateway = gatewayFor(nic, family);
  if (gateway === null) return [];
  const through = unicast(nic, context.table, family);
  const own = new Set(fileRoutes(nic, context.table, family).map(({ destination }) => destination));
  const others = context.cloudNics.filter(({ mac }) => mac !== nic.mac);
  const subnets = new Set(
    others.flatMap(({ subnets }) => subnets).filter((subnet) => familyOf(subnet) === family),
  );
  return [...subnets]
    .filter((subnet) => !own.has(subnet))
    .toSorted()
    .map((subnet) => through(subnet, gateway, 'the subnet of another NIC, by this NIC'));
}

/** Traffic of a NIC that is down is refused here; without it main would send it out by another NIC. */
function unreachableDefault(table: number, family: Family): DesiredRoute {
  return {
    family,
    table,
    type: 'unreachable',
    destination: defaultCidr(family),
    gateway: null,
    linkIndex: null,
    metric: WORST_METRIC,
    reason: 'refuses what has no route here, so that it never leaves by another NIC',
  };
}

/** What main routes beyond the cloud's NICs (bridges, VPNs) stays reachable from this NIC's addresses. */
function throwRoutes(
  nic: KnownNic,
  context: RouteContext,
  family: Family,
  taken: ReadonlySet<Cidr>,
): readonly DesiredRoute[] {
  const { host, config, table } = context;
  if (config.routing.localRoutes === 'off') return [];
  const cloudLinks = cloudLinksOf(context);
  const destinations = host.routes
    .filter((route) => route.table === MAIN_TABLE && route.family === family && !taken.has(route.destination))
    .filter((route) => isThrown(route, nic, cloudLinks) && !isOurDoing(route, nic, host))
    .map(({ destination }) => destination);
  return [...new Set(destinations)].toSorted().map((destination) => ({
    family,
    table,
    type: 'throw',
    destination,
    gateway: null,
    linkIndex: null,
    metric: 0,
    reason: 'main knows the way',
  }));
}

/**
 * What main sends by another NIC of the cloud and a throw covers (a static route, or a subnet that no metadata lists, within the
 * network of a VPN): the throw would lead to it, and the fabric would drop the packet.
 */
function keptRoutes(
  nic: KnownNic,
  context: RouteContext,
  family: Family,
  throws: readonly DesiredRoute[],
): readonly DesiredRoute[] {
  const gateway = gatewayFor(nic, family);
  if (gateway === null) return [];
  const isOther = ({ mac }: CloudNic): boolean => mac !== nic.mac;
  const others = context.cloudNics.filter(isOther);
  const there = context.host.routes
    .filter((route) => route.table === MAIN_TABLE && route.family === family)
    .filter((route) =>
      others.some(
        (other) =>
          leavesBy(route, other) &&
          !(other.config.manage !== false && isOurDoing(route, other, context.host)),
      ),
    )
    .map(({ destination }) => destination);
  const listed = context.managed.filter(isOther).flatMap(({ config }) => config.routes.map(({ to }) => to));
  const through = unicast(nic, context.table, family);
  return [...new Set([...there, ...listed])]
    .filter((destination) => throws.some((wider) => isWithin(destination, wider.destination)))
    .toSorted()
    .map((destination) => through(destination, gateway, 'what main sends by another NIC, by this NIC'));
}

function isWithin(narrow: Cidr, wide: Cidr): boolean {
  const { address, prefixLength } = splitCidr(narrow);
  return prefixLength > splitCidr(wide).prefixLength && cidrContains(wide, address);
}

/** A link that was an ENI before is no bridge and no VPN, even when the metadata does not list it any more. */
function cloudLinksOf({ host, cloudNics }: RouteContext): ReadonlySet<number> {
  const former = host.links.filter((link) =>
    [link.permanentMac, link.mac].some((mac) => mac !== null && mac in host.state.nics),
  );
  return new Set([...cloudNics.map(({ link }) => link), ...former].map(({ index }) => index));
}

/** In main because of what we set on this NIC, and gone when we take that back. */
function isOurDoing(route: Route, nic: Pick<CloudNic, 'mac' | 'link'>, { state }: HostState): boolean {
  const { addresses = [], routes = [] } = state.nics[nic.mac] ?? {};
  const destinations = [...addresses.map(networkOf), ...routes.map(({ to }) => to)];
  return leavesBy(route, nic) && destinations.includes(route.destination);
}

function leavesBy({ nexthops }: Route, { link }: Pick<CloudNic, 'link'>): boolean {
  return nexthops.some(({ linkIndex }) => linkIndex === link.index);
}

function isThrown(route: Route, nic: KnownNic, cloudLinks: ReadonlySet<number>): boolean {
  // A default split in halves (OpenVPN) would cut the host off.
  if (route.type === 'other' || splitCidr(route.destination).prefixLength <= 1) return false;
  if (!route.nexthops.some(({ linkIndex }) => cloudLinks.has(linkIndex))) return true;
  // The administrator's: a static route through this NIC, or the subnet of an address that is not the cloud's. Not the
  // zeroconf route, which would hide the metadata service.
  const isLeavingHere = route.nexthops.every(({ linkIndex }) => linkIndex === nic.link.index);
  return isLeavingHere && !isLinkLocal(splitCidr(route.destination).address);
}

/** That of the metadata first; the configuration may list addresses of others. */
function ownSubnets(nic: KnownNic, family: Family): readonly Cidr[] {
  return subnetsOf(nic).filter((subnet) => familyOf(subnet) === family);
}

const subnetsOf = oncePer(({ reading, config }: KnownNic): readonly Cidr[] => [
  ...new Set([...reading.addresses, ...config.addresses].map(networkOf)),
]);

function gatewayFor(nic: KnownNic, family: Family): IpAddress | null {
  const fromConfig = family === 6 ? nic.config.gateway6 : null;
  return fromConfig ?? gatewayOf(nic.reading, family) ?? null;
}
