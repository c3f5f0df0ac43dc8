/**
 * Which notifications are worth a look. Most repeat what was said, or follow from a change of our own, and the kernel does not
 * say so: it signs routes, rules and IPv4 addresses with the port of whoever changed them, but no link, no IPv6 address, and none of the connected
 * routes that come and go with an address (seen on 6.18). So what was last seen is remembered, and what we are about to change.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Cidr, Family } from '../model/net.ts';
import { cidrContains, FAMILIES, formatInterfaceAddress, IPV6_LINK_LOCAL, networkOf } from '../model/net.ts';
import { decodeKernelAddress } from './addresses.ts';
import {
  decodeAttributes,
  type KernelMessage,
  type KernelRequest,
  readS32,
  readU8,
  readU32,
} from './codec.ts';
import { addressFamily } from './families.ts';
import { decodeLink, type KernelLink } from './links.ts';
import { decodeRoute } from './routes.ts';

export type SightingKind = 'link' | 'address' | 'route' | 'rule' | 'sysctl';

export interface Sightings {
  /** Remembers what a message says, and answers of what kind its news are; null for none. */
  take(message: KernelMessage): SightingKind | null;
  /** A change that is about to be asked for: what it brings is no news. */
  expect(request: KernelRequest): void;
  /** It was asked for and the kernel did not do it: nothing will be announced. */
  refused(request: KernelRequest): void;
  forget(): void;
}

/** linux/rtnetlink.h */
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_SETLINK = 19;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_NEWNETCONF = 80;
const RTPROT_KERNEL = 2;
/** Routes that the kernel makes for itself: broadcast, anycast, multicast. */
const ROUTE_TYPES_OF_NO_INTEREST: readonly number[] = [3, 4, 5];
/** linux/if.h, linux/if_link.h */
const IFF_UP = 1;
const IFINFOMSG_BYTES = 16;
const IFLA_MTU = 4;
/** linux/netconf.h; the message is one byte and its padding */
const NETCONFMSG_BYTES = 4;
const NETCONFA_FORWARDING = 2;
const NETCONFA_RP_FILTER = 3;
/** A message of the bridge about its port has a family; those about links have none. */
const AF_UNSPEC = 0;

type LinkFields = Pick<KernelLink, 'ifname' | 'mac' | 'up' | 'mtu' | 'masterIndex'>;

interface LinkSight {
  fields: LinkFields | null;
  /** What is to become of the fields, until it has. */
  expected: Partial<Pick<LinkFields, 'up' | 'mtu'>>;
  /** Whether an address, as `10.0.1.4/24`, is there. */
  readonly addresses: Map<string, boolean>;
  /** The addresses that we remove and that have not been announced as gone. */
  readonly leaving: Set<string>;
  /** The networks of the addresses that we added or removed. */
  readonly ownNetworks: Set<Cidr>;
}

type LinkSights = Map<number, LinkSight>;

export function createSightings(): Sightings {
  const links: LinkSights = new Map();
  return {
    take: (message) => {
      const { type, body } = message;
      if (type === RTM_NEWLINK || type === RTM_DELLINK) return takeLink(links, body, type === RTM_DELLINK);
      if (type === RTM_NEWADDR || type === RTM_DELADDR) return takeAddress(links, body, type === RTM_NEWADDR);
      if (type === RTM_NEWROUTE || type === RTM_DELROUTE) return takeRoute(links, message);
      if (type === RTM_NEWNETCONF) return takeNetconf(body);
      return type === RTM_NEWRULE || type === RTM_DELRULE ? 'rule' : null;
    },
    expect: ({ type, body }) => {
      if (type === RTM_NEWADDR || type === RTM_DELADDR) expectAddress(links, body, type === RTM_NEWADDR);
      if (type === RTM_SETLINK) expectLink(sightOf(links, readS32(body, 4)), body);
    },
    refused: ({ type, body }) => {
      if (type === RTM_DELADDR) refuseRemoval(links, body);
    },
    forget: () => links.clear(),
  };
}

function sightOf(links: LinkSights, index: number): LinkSight {
  const known = links.get(index);
  if (known !== undefined) return known;
  const sight: LinkSight = {
    fields: null,
    expected: {},
    addresses: new Map(),
    leaving: new Set(),
    ownNetworks: new Set(),
  };
  links.set(index, sight);
  return sight;
}

function takeLink(links: LinkSights, body: Uint8Array, isGone: boolean): SightingKind | null {
  if (readU8(body, 0) !== AF_UNSPEC) return null;
  const index = readS32(body, 4);
  const link = isGone ? undefined : decodeLink(body);
  if (link !== undefined) return isLinkNews(sightOf(links, index), link) ? 'link' : null;
  // A name that is no IfName makes a link one that is not there for us.
  const wasKnown = links.delete(index);
  return isGone || wasKnown ? 'link' : null;
}

function takeAddress(links: LinkSights, body: Uint8Array, isThere: boolean): SightingKind | null {
  const family = familyIn(body);
  if (family === undefined) return null;
  const address = decodeKernelAddress(body, family);
  if (cidrContains(IPV6_LINK_LOCAL, address.address)) return null;
  const { addresses, leaving } = sightOf(links, address.linkIndex);
  const key = formatInterfaceAddress(address);
  // An IPv6 address is announced as new when its duplicates have been looked for: we may be about to remove it by then.
  if (isThere && leaving.has(key)) return null;
  leaving.delete(key);
  // That another host has it is found out long after it was added.
  const isNews = addresses.get(key) !== isThere || address.duplicate;
  if (isThere) addresses.set(key, true);
  else addresses.delete(key);
  return isNews ? 'address' : null;
}

/**
 * The connected route of an address is no news when the address or its link rings by itself, unless we changed it, and is taken
 * away by hand with a port. Those of others' networks ring: the address may have rung before the route was there to be seen.
 */
function takeRoute(links: LinkSights, { body, port }: KernelMessage): SightingKind | null {
  const family = familyIn(body);
  const route = family === undefined ? undefined : decodeRoute(body, family);
  if (route === undefined || ROUTE_TYPES_OF_NO_INTEREST.includes(readU8(body, 7))) return null;
  if (route.protocol !== RTPROT_KERNEL || port !== 0) return 'route';
  if (route.destination === IPV6_LINK_LOCAL) return null;
  const isOwn = route.nexthops.some(
    ({ linkIndex }) => links.get(linkIndex)?.ownNetworks.has(route.destination) === true,
  );
  return isOwn ? null : 'route';
}

/**
 * Of the sysctls that we set the kernel announces rp_filter alone, when it is written to /proc/sys (not when we set it); all that
 * it has, when a link is new.
 */
function takeNetconf(body: Uint8Array): SightingKind | null {
  const attributes = decodeAttributes(body, NETCONFMSG_BYTES);
  return attributes.has(NETCONFA_RP_FILTER) && !attributes.has(NETCONFA_FORWARDING) ? 'sysctl' : null;
}

function expectAddress(links: LinkSights, body: Uint8Array, isThere: boolean): void {
  const family = familyIn(body);
  if (family === undefined) return;
  const address = decodeKernelAddress(body, family);
  const { addresses, leaving, ownNetworks } = sightOf(links, address.linkIndex);
  const key = formatInterfaceAddress(address);
  addresses.set(key, isThere);
  if (isThere) leaving.delete(key);
  else leaving.add(key);
  ownNetworks.add(networkOf(address));
}

function refuseRemoval(links: LinkSights, body: Uint8Array): void {
  const family = familyIn(body);
  if (family === undefined) return;
  const address = decodeKernelAddress(body, family);
  links.get(address.linkIndex)?.leaving.delete(formatInterfaceAddress(address));
}

function isLinkNews(sight: LinkSight, { ifname, mac, up, mtu, masterIndex }: KernelLink): boolean {
  const before = sight.fields;
  const fields = { ifname, mac, up, mtu, masterIndex };
  sight.fields = fields;
  if (before === null) return true;
  const foreseen = { ...before };
  // Several changes of ours to one link come one after the other.
  for (const field of ['up', 'mtu'] as const) {
    if (fields[field] === before[field]) continue;
    if (fields[field] === sight.expected[field]) Object.assign(foreseen, { [field]: fields[field] });
    const { [field]: _, ...others } = sight.expected;
    sight.expected = others;
  }
  return !isDeepStrictEqual(fields, foreseen);
}

/** What is so already will not be announced, and must not be taken for ours when somebody else does it later. */
function expectLink(sight: LinkSight, body: Uint8Array): void {
  const isUpAsked = (readU32(body, 12) & IFF_UP) !== 0;
  const up = isUpAsked ? (readU32(body, 8) & IFF_UP) !== 0 : undefined;
  const mtu = decodeAttributes(body, IFINFOMSG_BYTES).u32(IFLA_MTU);
  if (up !== undefined && up !== sight.fields?.up) sight.expected = { ...sight.expected, up };
  if (mtu !== undefined && mtu !== sight.fields?.mtu) sight.expected = { ...sight.expected, mtu };
}

/** undefined for what is neither IPv4 nor IPv6 (multicast routes, MPLS). */
function familyIn(body: Uint8Array): Family | undefined {
  return FAMILIES.find((family) => addressFamily(family) === readU8(body, 0));
}
