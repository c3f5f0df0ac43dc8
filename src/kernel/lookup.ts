/** Which way a packet takes (RTM_GETROUTE): the kernel's own look-up, that changes nothing. */
import { constants } from 'node:os';
import { MAIN_TABLE } from '../model/host.ts';
import type { Flow, LookupAnswer, Refusal, RefusalReason, Way, WayType } from '../model/lookup.ts';
import { addressBits, type Cidr, type Family, familyOf, type IpAddress, ipToBytes } from '../model/net.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeBody,
  encodeFixed,
  type KernelRequest,
  readU8,
  readU32,
} from './codec.ts';
import { errnoText } from './errors.ts';
import { addressFamily, decodeAddress, decodeNetwork } from './families.ts';
import { decodeGateway } from './routes.ts';
import type { Rtnetlink } from './socket.ts';

/** linux/rtnetlink.h; struct rtmsg as in routes.ts. */
const RTM_GETROUTE = 26;
const RTMSG_BYTES = 12;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_IIF = 3;
const RTA_OIF = 4;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
const RT_TABLE_UNSPEC = 0;
/** In an answer: not the route, but what was made of it for this packet. */
const RTM_F_CLONED = 0x200;
/** Asks for the table (kernel 4.4), and for the route itself (4.13). Kernels before pass over them: IPv4 says `main` then, whatever it was. */
const RTM_F_LOOKUP_TABLE = 0x1000;
const RTM_F_FIB_MATCH = 0x2000;

/** RTN_* */
const RTN_LOCAL = 2;
const WAY_TYPES: Readonly<Record<number, WayType>> = {
  1: 'unicast',
  [RTN_LOCAL]: 'local',
  3: 'broadcast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
};

const REFUSALS: Readonly<Record<number, RefusalReason>> = {
  [constants.errno.ENETUNREACH]: 'no-route',
  [constants.errno.EHOSTUNREACH]: 'unreachable',
  [constants.errno.EACCES]: 'prohibited',
  [constants.errno.EINVAL]: 'invalid',
};

/** What the kernel does with a packet. Throws AgentError `answer-lost`. */
export async function lookUp(rtnetlink: Rtnetlink, flow: Flow): Promise<LookupAnswer> {
  const answer = await rtnetlink.ask(question(flow, RTM_F_LOOKUP_TABLE));
  if ('errno' in answer) return refusal(answer.errno);
  const way = decodeWay(answer.body, flow);
  const matched = await rtnetlink.ask(question(flow, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH));
  return 'errno' in matched ? way : { ...way, ...matchedRoute(matched.body, flow) };
}

/** How a source filter refuses; new kernels (6.14) say no more than that something is invalid. */
const FILTERED: readonly number[] = [constants.errno.EXDEV, constants.errno.EINVAL];

/**
 * Whether the kernel refuses to take a packet from there to an address of ours in by this link, as the source filter
 * (rp_filter), which IPv4 alone has, does. A kernel that logs martians logs this one, too.
 */
export async function isRefusedThere(
  rtnetlink: Rtnetlink,
  from: IpAddress,
  to: IpAddress,
  linkIndex: number,
): Promise<boolean> {
  if (familyOf(to) !== 4) return false;
  const input = { index: linkIndex };
  const answer = await rtnetlink.ask(question({ destination: to, source: from, input }, 0));
  return 'errno' in answer && FILTERED.includes(answer.errno);
}

type Question = Omit<Flow, 'input'> & { readonly input: { readonly index: number } | null };

function question({ destination, source, input }: Question, flags: number): KernelRequest {
  const family = familyOf(destination);
  const bits = addressBits(family);
  const fixed = [addressFamily(family), bits, source === null ? 0 : bits, 0, 0, 0, 0, 0];
  const attributes: Attribute[] = [[RTA_DST, ipToBytes(destination)]];
  if (source !== null) attributes.push([RTA_SRC, ipToBytes(source)]);
  if (input !== null) attributes.push([RTA_IIF, input.index]);
  return { type: RTM_GETROUTE, flags: 0, body: encodeBody(encodeFixed(fixed, flags), attributes) };
}

function refusal(errno: number): Refusal {
  return { kind: 'refusal', reason: REFUSALS[errno] ?? 'other', text: errnoText(errno) };
}

export function decodeWay(body: Uint8Array, { destination }: Flow): Way {
  const family = familyOf(destination);
  const attributes = decodeAttributes(body, RTMSG_BYTES);
  const source = attributes.get(RTA_PREFSRC);
  const table = tableOf(body);
  return {
    kind: 'way',
    type: WAY_TYPES[readU8(body, 7)] ?? 'other',
    linkIndex: attributes.u32(RTA_OIF) ?? null,
    gateway: decodeGateway(attributes, family),
    source: source === undefined ? null : decodeAddress(source, family),
    // IPv6 has always said the table.
    table: family === 4 && table === MAIN_TABLE ? null : table,
    route: null,
  };
}

/** From the answer to a question for the route itself; nothing where the kernel answered with something else. */
export function matchedRoute(body: Uint8Array, { destination }: Flow): Partial<Pick<Way, 'table' | 'route'>> {
  if ((readU32(body, 8) & RTM_F_CLONED) !== 0) return {};
  const family = familyOf(destination);
  const table = tableOf(body);
  return table === null ? {} : { table, route: matchedDestination(body, family) };
}

/** Old kernels' IPv6 gives the address that it was asked for back, which is a route only where it is one of this host. */
function matchedDestination(body: Uint8Array, family: Family): Cidr | null {
  const prefixLength = readU8(body, 1);
  if (family === 6 && prefixLength === addressBits(6) && readU8(body, 7) !== RTN_LOCAL) return null;
  const bytes = decodeAttributes(body, RTMSG_BYTES).get(RTA_DST) ?? new Uint8Array(addressBits(family) / 8);
  return decodeNetwork(bytes, prefixLength, family);
}

function tableOf(body: Uint8Array): number | null {
  const table = decodeAttributes(body, RTMSG_BYTES).u32(RTA_TABLE) ?? readU8(body, 4);
  return table === RT_TABLE_UNSPEC ? null : table;
}
