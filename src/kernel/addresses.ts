/** Addresses of links. */
import type { LinkAddress } from '../model/host.ts';
import { type Family, familyOf, type InterfaceAddress, ipToBytes } from '../model/net.ts';
import type { AddressArguments } from '../model/plan.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeBody,
  encodeFixed,
  type KernelRequest,
  malformed,
  NLM_F_CREATE,
  NLM_F_EXCL,
  readU8,
  readU32,
} from './codec.ts';
import { addressFamily, decodeAddress, decodePrefixLength, dumpFamilies } from './families.ts';
import type { Rtnetlink } from './socket.ts';

export interface KernelAddress extends LinkAddress {
  readonly linkIndex: number;
}

/** linux/rtnetlink.h */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RT_SCOPE_UNIVERSE = 0;

/** linux/if_addr.h. struct ifaddrmsg: u8 family, prefix length, flags, scope; u32 link index. */
const IFADDRMSG_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_CACHEINFO = 6;
const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_PERMANENT = 0x80;
/** A lifetime in seconds, meaning for ever (INFINITY_LIFE_TIME, net/addrconf.h). */
const FOREVER = 0xffffffff;
/** RFC 3021: the two addresses of a /31 are both hosts; a /32 has nobody to send a broadcast to. */
const LONGEST_PREFIX_WITH_BROADCAST = 30;

/** All addresses, in the kernel's order: of each subnet the primary first. Throws AgentError `answer-lost`. */
export function dumpAddresses(rtnetlink: Rtnetlink): Promise<readonly KernelAddress[]> {
  return dumpFamilies(rtnetlink, {
    name: 'addresses',
    messageType: RTM_GETADDR,
    fixedBytes: IFADDRMSG_BYTES,
    decode: decodeKernelAddress,
    counted: [],
  });
}

export function decodeKernelAddress(body: Uint8Array, family: Family): KernelAddress {
  const attributes = decodeAttributes(body, IFADDRMSG_BYTES);
  // With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours; IPv6 without a peer has IFA_ADDRESS alone.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (bytes === undefined) throw malformed('an address without an address');
  const flags = readU8(body, 2);
  const found: KernelAddress = {
    linkIndex: readU32(body, 4),
    address: decodeAddress(bytes, family),
    prefixLength: decodePrefixLength(readU8(body, 1), family),
    // The kernel gives IPv6 link-local addresses RT_SCOPE_LINK.
    scope: readU8(body, 3) === RT_SCOPE_UNIVERSE ? 'global' : 'other',
    duplicate: family === 6 && (flags & IFA_F_DADFAILED) !== 0,
  };
  return (flags & IFA_F_PERMANENT) === 0 ? { ...found, leased: true } : found;
}

/** IPv6 without duplicate address detection: the fabric has no duplicates, and an address on trial does not answer. */
export function addAddressRequest(args: AddressArguments): KernelRequest {
  const isIpv6 = familyOf(args.address) === 6;
  const attributes = addressAttributes(args);
  if (!isIpv6 && args.prefixLength <= LONGEST_PREFIX_WITH_BROADCAST)
    attributes.push([IFA_BROADCAST, broadcastAddress(args)]);
  // struct ifa_cacheinfo: preferred, valid, created, updated. Never preferred, always valid.
  if (isIpv6 && args.deprecated) attributes.push([IFA_CACHEINFO, encodeFixed([], 0, FOREVER, 0, 0)]);
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: encodeBody(addressHeader(args, isIpv6 ? IFA_F_NODAD : 0), attributes),
  };
}

/** Removes this address with this prefix length, whatever its label. */
export function removeAddressRequest(args: AddressArguments): KernelRequest {
  return { type: RTM_DELADDR, flags: 0, body: encodeBody(addressHeader(args, 0), addressAttributes(args)) };
}

function addressHeader({ address, prefixLength, linkIndex }: AddressArguments, flags: number): Uint8Array {
  return encodeFixed([addressFamily(familyOf(address)), prefixLength, flags, RT_SCOPE_UNIVERSE], linkIndex);
}

function addressAttributes({ address }: AddressArguments): Attribute[] {
  const bytes = ipToBytes(address);
  return [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
  ];
}

function broadcastAddress({ address, prefixLength }: InterfaceAddress): Uint8Array {
  const bytes = ipToBytes(address);
  for (let index = prefixLength >> 3; index < bytes.length; index += 1)
    bytes[index] = (bytes[index] ?? 0) | (0xff >> Math.max(0, prefixLength - 8 * index));
  return bytes;
}
