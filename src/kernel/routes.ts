/** Routes of all tables. */

import { AgentError } from '../errors.ts';
import { MAIN_TABLE, type Nexthop, type Route, type RouteType } from '../model/host.ts';
import { defaultCidr, type Family, familyOf, type IpAddress, ipToBytes, splitCidr } from '../model/net.ts';
import {
  type Attribute,
  type Attributes,
  align,
  decodeAttributes,
  encodeBody,
  encodeFixed,
  type KernelRequest,
  malformed,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  readS32,
  readU8,
  readU16,
  readU32,
  writeU16,
} from './codec.ts';
import { addressFamily, decodeAddress, decodeNetwork, dumpFamilies } from './families.ts';
import type { Rtnetlink } from './socket.ts';

/**
 * linux/rtnetlink.h. struct rtmsg: u8 family, destination length, source length, tos, table, protocol, scope, type; u32 flags.
 */
const RTMSG_BYTES = 12;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
/** In an answer: a cached copy of a route (IPv6 before kernel 4.2), not a route. */
const RTM_F_CLONED = 0x200;
/** The gateway is on the link, whatever the tables say. */
const RTNH_F_ONLINK = 4;
const RT_TABLE_UNSPEC = 0;
const RT_TABLE_LOCAL = 255;
/** struct rtnexthop: u16 length, u8 flags, u8 weight - 1, s32 link index; its attributes behind. */
const RTNEXTHOP_BYTES = 8;
/** RTN_*: those not in the list are `other`. */
const ROUTE_TYPE_NUMBER = {
  unicast: 1,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const satisfies Record<Exclude<RouteType, 'other'>, number>;
const ROUTE_TYPES: ReadonlyMap<number, RouteType> = new Map(
  Object.entries(ROUTE_TYPE_NUMBER).map(([type, number]) => [number, type as RouteType]),
);

/** What IPv6 makes of a metric of 0 (IP6_RT_PRIO_USER, linux/ipv6_route.h). */
const IPV6_DEFAULT_METRIC = 1024;
/** The loopback link of every namespace (LOOPBACK_IFINDEX, net/flow.h). */
const LOOPBACK_INDEX = 1;

/** The first kernel that looks for the gateway of a route in the route's own table (3bfd847203c6). */
const GATEWAY_IN_OWN_TABLE = [4, 4] as const;

/** All routes of both families but those of table local, and no cached ones. Throws AgentError `answer-lost`. */
export function dumpRoutes(rtnetlink: Rtnetlink): Promise<readonly Route[]> {
  return dumpFamilies(rtnetlink, {
    name: 'routes',
    messageType: RTM_GETROUTE,
    fixedBytes: RTMSG_BYTES,
    decode: decodeRoute,
    // IPv4 goes on from the last destination.
    counted: [6],
  });
}

/** undefined for what is no route of a table that people write. */
export function decodeRoute(body: Uint8Array, family: Family): Route | undefined {
  // In front of the attributes, which are most of the work: each address has three routes in table local.
  if (readU8(body, 4) === RT_TABLE_LOCAL || (readU32(body, 8) & RTM_F_CLONED) !== 0) return undefined;
  const attributes = decodeAttributes(body, RTMSG_BYTES);
  const table = attributes.u32(RTA_TABLE) ?? readU8(body, 4);
  if (table === RT_TABLE_LOCAL) return undefined;
  const type = decodeRouteType(body);
  const destination = attributes.get(RTA_DST);
  return {
    family,
    table,
    type,
    destination:
      destination === undefined ? defaultCidr(family) : decodeNetwork(destination, readU8(body, 1), family),
    // IPv6 says of a route without a device that it leaves by loopback.
    nexthops: type === 'unicast' || type === 'other' ? decodeNexthops(attributes, family) : [],
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
    protocol: readU8(body, 5),
    scope: readU8(body, 6),
  };
}

/** A route for one tos or one source network only is `other`, too: it isn't what its destination says. */
function decodeRouteType(body: Uint8Array): RouteType {
  const sourceLength = readU8(body, 2);
  const tos = readU8(body, 3);
  const number = readU8(body, 7);
  if (sourceLength !== 0 || tos !== 0) return 'other';
  return ROUTE_TYPES.get(number) ?? 'other';
}

/** A route over a nexthop object (RTA_NH_ID) has its legs written out beside it. */
function decodeNexthops(attributes: Attributes, family: Family): Nexthop[] {
  const multipath = attributes.get(RTA_MULTIPATH);
  if (multipath !== undefined) return decodeMultipath(multipath, family);
  const linkIndex = attributes.u32(RTA_OIF);
  return linkIndex === undefined ? [] : [{ gateway: decodeGateway(attributes, family), linkIndex }];
}

function decodeMultipath(bytes: Uint8Array, family: Family): Nexthop[] {
  const nexthops: Nexthop[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const length = readU16(bytes, offset);
    if (length < RTNEXTHOP_BYTES || offset + length > bytes.length)
      throw malformed(`a nexthop says it has ${length} bytes, ${bytes.length - offset} are there`);
    const attributes = decodeAttributes(bytes.subarray(offset, offset + length), RTNEXTHOP_BYTES);
    nexthops.push({ gateway: decodeGateway(attributes, family), linkIndex: readS32(bytes, offset + 4) });
    offset += align(length);
  }
  return nexthops;
}

/** RTA_VIA (struct rtvia: u16 family, address) is a gateway of the other family: IPv4 over an IPv6 gateway. */
export function decodeGateway(attributes: Attributes, family: Family): IpAddress | null {
  const gateway = attributes.get(RTA_GATEWAY);
  if (gateway !== undefined) return decodeAddress(gateway, family);
  const via = attributes.get(RTA_VIA);
  return via === undefined || readU16(via, 0) !== addressFamily(6) ? null : decodeAddress(via.subarray(2), 6);
}

export interface AddRouteOptions {
  /** Take the gateway for a neighbour without looking it up: see `needsOnlink`. */
  readonly onlink: boolean;
  /** What is at the route's place may go; without it the kernel says EEXIST. By default in every table but main. */
  readonly replace?: boolean;
}

/**
 * Adds the route, or puts it in the place of the one with its table, destination and metric. Such a one in main is somebody
 * else's, and stays, unless the caller knows better.
 */
export function addRouteRequest(route: Route, options: AddRouteOptions): KernelRequest {
  const { onlink, replace = route.table !== MAIN_TABLE } = options;
  const isOnlink = onlink && route.nexthops.some(({ gateway }) => gateway !== null);
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL),
    body: encodeRoute(route, nexthopAttributes(route), isOnlink ? RTNH_F_ONLINK : 0),
  };
}

/** Whether the kernel has room for one of the two only: what NLM_F_REPLACE and NLM_F_EXCL compare (fib_table_insert, fib6_add_rt2node). */
export function isSamePlace(a: Route, b: Route): boolean {
  return (
    a.family === b.family &&
    a.table === b.table &&
    a.destination === b.destination &&
    storedMetric(a) === storedMetric(b)
  );
}

function storedMetric({ family, metric }: Route): number {
  return metric === 0 && family === 6 ? IPV6_DEFAULT_METRIC : metric;
}

/**
 * Removes this very route, of whatever protocol. The kernel takes the first one that agrees in all that the message
 * says (fib_table_delete, ip6_route_del), and 0 says nothing. So everything is said: type and scope for IPv4; the
 * metric, which IPv6 never stores as 0; and for IPv6, which doesn't compare types, the loopback device that is behind
 * its routes without a device.
 */
export function removeRouteRequest(route: Route): KernelRequest {
  const isDeviceless = route.family === 6 && route.nexthops.length === 0;
  const nexthops: readonly Attribute[] = isDeviceless
    ? [[RTA_OIF, LOOPBACK_INDEX]]
    : nexthopAttributes(route);
  return { type: RTM_DELROUTE, flags: 0, body: encodeRoute(route, nexthops, 0) };
}

/** Throws AgentError `kernel-refused` for a route of type `other`, which can't be written in these terms. */
function encodeRoute(route: Route, nexthops: readonly Attribute[], flags: number): Uint8Array {
  const { address, prefixLength } = splitCidr(route.destination);
  if (route.type === 'other')
    throw new AgentError(
      'kernel-refused',
      `changing route ${route.destination}: it is of a kind that is never ours`,
    );
  const table = route.table < RT_TABLE_LOCAL ? route.table : RT_TABLE_UNSPEC;
  const type = ROUTE_TYPE_NUMBER[route.type];
  const fixed = [addressFamily(route.family), prefixLength, 0, 0, table, route.protocol, route.scope, type];
  const metric = storedMetric(route);
  const attributes: Attribute[] = [[RTA_TABLE, route.table]];
  if (prefixLength > 0) attributes.push([RTA_DST, ipToBytes(address)]);
  if (metric > 0) attributes.push([RTA_PRIORITY, metric]);
  attributes.push(...nexthops);
  return encodeBody(encodeFixed(fixed, flags), attributes);
}

function nexthopAttributes({ family, nexthops }: Route): readonly Attribute[] {
  const [first, ...others] = nexthops;
  if (first === undefined) return [];
  if (others.length > 0)
    return [[RTA_MULTIPATH, Buffer.concat(nexthops.map((leg) => encodeLeg(leg, family)))]];
  return [[RTA_OIF, first.linkIndex], ...gatewayAttributes(first, family)];
}

function encodeLeg(leg: Nexthop, family: Family): Uint8Array {
  const bytes = encodeBody(encodeFixed([0, 0, 0, 0], leg.linkIndex), gatewayAttributes(leg, family));
  writeU16(bytes, 0, bytes.length);
  return bytes;
}

function gatewayAttributes({ gateway }: Nexthop, family: Family): readonly Attribute[] {
  if (gateway === null) return [];
  const bytes = ipToBytes(gateway);
  if (familyOf(gateway) === family) return [[RTA_GATEWAY, bytes]];
  const via = Uint8Array.of(0, 0, ...bytes);
  writeU16(via, 0, addressFamily(familyOf(gateway)));
  return [[RTA_VIA, via]];
}

/**
 * Whether a route's gateway must be declared on the link. Before kernel 4.4 the gateway was looked up through the rules,
 * where a table that no rule points to yet is not found, and the route was refused (ENETUNREACH).
 * @param kernelRelease as in `uname -r`: `3.10.0-1160.el7.x86_64`
 */
export function needsOnlink(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split('.').map((part) => Number.parseInt(part, 10));
  const [firstMajor, firstMinor] = GATEWAY_IN_OWN_TABLE;
  return major < firstMajor || (major === firstMajor && minor < firstMinor);
}
