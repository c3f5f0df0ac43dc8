/** Links: dumped with their IPv4 sysctls, set up and down, and changed. */
import type { Link } from '../model/host.ts';
import { type MacAddress, parseIfName, parseMacAddress } from '../model/net.ts';
import { SYSCTL_NAMES, type SysctlName, type Sysctls } from '../model/sysctl.ts';
import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeBody,
  encodeFixed,
  type KernelRequest,
  readS32,
  readU32,
} from './codec.ts';
import { addressFamily } from './families.ts';
import { decodeAll } from './memo.ts';
import type { Rtnetlink } from './socket.ts';

/** What the kernel knows of a link; its addresses come in a dump of their own, and udev is asked by others. */
export type KernelLink = Omit<Link, 'addresses' | 'ready'>;

/** linux/rtnetlink.h */
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
/** Leaves the IPv6 counters out, a quarter of the answer (kernel 4.4; others ignore it). */
const RTEXT_FILTER_SKIP_STATS = 1 << 3;
/** struct ifinfomsg: u8 family, u8 pad, u16 type, s32 index, u32 flags, u32 change mask. */
const IFINFOMSG_BYTES = 16;

/** linux/if_link.h */
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_PERM_ADDRESS = 54;
const IFLA_INFO_KIND = 1;
const IFLA_INET_CONF = 1;

/** linux/if.h */
const IFF_UP = 1;
const MAC_BYTES = 6;
/** Kinds whose IFLA_LINK is the other end of a pair, not a link below. */
const PAIRED_KINDS: readonly (string | null)[] = ['veth', 'netkit', 'vxcan'];

/** IPV4_DEVCONF_* (linux/ip.h) */
const DEVCONF_ID = {
  rp_filter: 8,
  arp_announce: 18,
  arp_ignore: 19,
  promote_secondaries: 20,
} as const satisfies Record<SysctlName, number>;

/**
 * All links of the namespace whose name is an IfName. What has no Ethernet address (loopback, tunnels) has mac null.
 * Throws AgentError `answer-lost`.
 */
export async function dumpLinks(rtnetlink: Rtnetlink): Promise<readonly KernelLink[]> {
  const question = encodeBody(new Uint8Array(IFINFOMSG_BYTES), [[IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]]);
  const bodies = await rtnetlink.dump(RTM_GETLINK, question);
  return decodeAll(rtnetlink, 'links', bodies, decodeLink);
}

/** undefined for a link whose name is no IfName. */
export function decodeLink(body: Uint8Array): KernelLink | undefined {
  const index = readS32(body, 4);
  const flags = readU32(body, 8);
  const attributes = decodeAttributes(body, IFINFOMSG_BYTES);
  const ifname = parseIfName(attributes.text(IFLA_IFNAME) ?? '');
  if (ifname === undefined) return undefined;
  const kind = attributes.nested(IFLA_LINKINFO).text(IFLA_INFO_KIND) ?? null;
  return {
    index,
    ifname,
    mac: decodeMac(attributes.get(IFLA_ADDRESS)),
    permanentMac: decodeMac(attributes.get(IFLA_PERM_ADDRESS)),
    up: (flags & IFF_UP) !== 0,
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    kind,
    masterIndex: attributes.u32(IFLA_MASTER) ?? null,
    lowerIndex: PAIRED_KINDS.includes(kind) ? null : decodeLowerIndex(attributes, index),
    sysctls: decodeSysctls(attributes),
  };
}

/** An index beside IFLA_LINK_NETNSID is one of another namespace; some tunnels say 0, some name themselves. */
function decodeLowerIndex(attributes: Attributes, index: number): number | null {
  const lower = attributes.u32(IFLA_LINK) ?? 0;
  return lower === 0 || lower === index || attributes.has(IFLA_LINK_NETNSID) ? null : lower;
}

function decodeMac(bytes: Uint8Array | undefined): MacAddress | null {
  if (bytes?.length !== MAC_BYTES) return null;
  return (
    parseMacAddress(
      Buffer.from(bytes)
        .toString('hex')
        .replace(/..(?!$)/g, '$&:'),
    ) ?? null
  );
}

/** IFLA_INET_CONF is an array of s32 by IPV4_DEVCONF id, which begins at 1. A link without IPv4 has none: 0. */
function decodeSysctls(attributes: Attributes): Sysctls {
  const specific = attributes.nested(IFLA_AF_SPEC).get(addressFamily(4));
  const values = specific === undefined ? undefined : decodeAttributes(specific).get(IFLA_INET_CONF);
  const entries = SYSCTL_NAMES.map((name) => [
    name,
    values === undefined ? 0 : readS32(values, (DEVCONF_ID[name] - 1) * 4),
  ]);
  return Object.fromEntries(entries) as Sysctls;
}

export function linkUpRequest(index: number): KernelRequest {
  return setLinkRequest(index, IFF_UP, IFF_UP, []);
}

/** For the rollback of a link that we set up, and nothing else: it empties the link's tables. */
export function linkDownRequest(index: number): KernelRequest {
  return setLinkRequest(index, 0, IFF_UP, []);
}

/** @param mtu bytes */
export function mtuRequest(index: number, mtu: number): KernelRequest {
  return setLinkRequest(index, 0, 0, [[IFLA_MTU, mtu]]);
}

/** Sets net.ipv4.conf.IF.NAME without a write to /proc/sys, which a sandbox (ProtectKernelTunables) forbids. */
export function sysctlRequest(index: number, name: SysctlName, value: number): KernelRequest {
  return setLinkRequest(index, 0, 0, [
    [IFLA_AF_SPEC, [[addressFamily(4), [[IFLA_INET_CONF, [[DEVCONF_ID[name], value]]]]]]],
  ]);
}

function setLinkRequest(
  index: number,
  flags: number,
  change: number,
  attributes: readonly Attribute[],
): KernelRequest {
  return {
    type: RTM_SETLINK,
    flags: 0,
    body: encodeBody(encodeFixed([], 0, index, flags, change), attributes),
  };
}
