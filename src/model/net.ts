/**
 * Network values. Text from outside becomes one of these at the door through a `parse…()` function, or it is refused:
 * every branded value is canonical, so two equal values are equal strings and nothing unparsed can reach a file or the kernel.
 */
import ipaddr from 'ipaddr.js';

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** Lower case, colon separated: `02:00:00:00:00:02`. */
export type MacAddress = Brand<'MacAddress'>;
/** A kernel link name that is also safe in a file name and in a sourced shell file: `[A-Za-z0-9_.-]{1,15}`. */
export type IfName = Brand<'IfName'>;
/** Canonical IPv4 (`10.0.1.4`) or IPv6 (RFC 5952, `2001:db8:1::4`). */
export type IpAddress = Brand<'IpAddress'>;
/** A network in canonical form, host bits zero: `10.0.1.0/24`, `::/0`. */
export type Cidr = Brand<'Cidr'>;

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** An address as it sits on an interface: with the prefix length of its subnet. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** Where a server of ours listens. */
export interface ListenAddress {
  readonly address: IpAddress;
  readonly port: number;
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const NULL_MAC = '00:00:00:00:00:00';
/** IFNAMSIZ is 16 with the terminating zero. */
const IFNAME = /^[A-Za-z0-9_.-]{1,15}$/;
const IPV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;
const EVERYBODY: readonly string[] = ['0.0.0.0', '::'];
const MOST_PORT = 65_535;
const IPV6 = /^[0-9A-Fa-f:.]{2,45}$/;
/** First numbers of IPv4 addresses (RFC 6890). */
const LOOPBACK = 127;
const FIRST_MULTICAST = 224;
const LAST_MULTICAST = 239;
const EVERY_HOST = '255.255.255.255';
const DOT = '.'.charCodeAt(0);
const DIGIT_ZERO = '0'.charCodeAt(0);

/** Any case; undefined for anything that cannot be the MAC of an interface (the null and the group addresses included). */
export function parseMacAddress(text: string): MacAddress | undefined {
  const mac = text.toLowerCase();
  if (!MAC.test(mac) || mac === NULL_MAC) return undefined;
  const isGroup = (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
  return isGroup ? undefined : (mac as MacAddress);
}

export function parseIfName(text: string): IfName | undefined {
  return IFNAME.test(text) && text !== '.' && text !== '..' ? (text as IfName) : undefined;
}

/**
 * Strict: four decimal parts without leading zeros, or IPv6 without a zone.
 * ipaddr.js alone would take `010.0.1.5` (octal), `0x7f.1` and `10.0.1`.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (IPV4.test(text))
    return text.split('.').every((part) => Number(part) <= 255) ? (text as IpAddress) : undefined;
  if (!text.includes(':') || !IPV6.test(text) || !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.IPv6.parse(text).toRFC5952String() as IpAddress;
}

/** `10.0.1.4/24` → the address with its prefix length; the length is required. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const [addressText, lengthText, ...rest] = text.split('/');
  const address = parseIpAddress(addressText ?? '');
  const prefixLength = parsePrefixLength(lengthText ?? '');
  if (address === undefined || prefixLength === undefined || rest.length > 0) return undefined;
  return prefixLength <= addressBits(familyOf(address)) ? { address, prefixLength } : undefined;
}

/** `127.0.0.1:9101`, `[::1]:9101`; not the address that stands for all. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const {
    v4,
    v6,
    port = '',
  } = /^(?:\[(?<v6>.+)\]|(?<v4>[\d.]+)):(?<port>[1-9]\d{0,4})$/.exec(text)?.groups ?? {};
  const address = parseIpAddress(v4 ?? v6 ?? '');
  if (address === undefined || familyOf(address) !== (v4 === undefined ? 6 : 4)) return undefined;
  if (EVERYBODY.includes(address) || Number(port) > MOST_PORT) return undefined;
  return { address, port: Number(port) };
}

export function formatListenAddress({ address, port }: ListenAddress): string {
  return familyOf(address) === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}

/** A network; `10.0.1.4/24` (host bits set) is refused, since it is an address that somebody meant as something else. */
export function parseCidr(text: string): Cidr | undefined {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) return undefined;
  const network = networkOf(parsed);
  return network === formatInterfaceAddress(parsed) ? network : undefined;
}

/** `255.255.255.0` → 24; undefined when the ones are not contiguous. */
export function parseNetmask(text: string): number | undefined {
  const mask = parseIpAddress(text);
  if (mask === undefined || familyOf(mask) !== 4) return undefined;
  return ipaddr.IPv4.parse(mask).prefixLengthFromSubnetMask() ?? undefined;
}

function parsePrefixLength(text: string): number | undefined {
  return /^(0|[1-9]\d{0,2})$/.test(text) ? Number(text) : undefined;
}

export function familyOf(value: IpAddress | Cidr): Family {
  return value.includes(':') ? 6 : 4;
}

/** 32 or 128. */
export function addressBits(family: Family): number {
  return family === 4 ? 32 : 128;
}

export function formatInterfaceAddress(value: InterfaceAddress): string {
  return `${value.address}/${value.prefixLength}`;
}

/** The network that an address with a prefix length is in. */
export function networkOf({ address, prefixLength }: InterfaceAddress): Cidr {
  return networkFromBytes(ipToBytes(address), prefixLength);
}

/** The same from an address in network byte order. */
export function networkFromBytes(bytes: Uint8Array, prefixLength: number): Cidr {
  const network = prefixLength === bytes.length * 8 ? bytes : withoutHostBits(bytes, prefixLength);
  return `${ipFromBytes(network)}/${prefixLength}` as Cidr;
}

function withoutHostBits(bytes: Uint8Array, prefixLength: number): Uint8Array {
  const network = new Uint8Array(bytes);
  for (let index = prefixLength >> 3; index < bytes.length; index += 1)
    network[index] = (bytes[index] ?? 0) & (0xff00 >> Math.max(0, prefixLength - 8 * index));
  return network;
}

/** The network of one single address: `10.0.1.4/32`. */
export function hostCidr(address: IpAddress): Cidr {
  return `${address}/${addressBits(familyOf(address))}` as Cidr;
}

export function defaultCidr(family: Family): Cidr {
  return (family === 4 ? '0.0.0.0/0' : '::/0') as Cidr;
}

export const IPV6_LINK_LOCAL = 'fe80::/64' as Cidr;

export function splitCidr(cidr: Cidr): InterfaceAddress {
  const slash = cidr.lastIndexOf('/');
  return { address: cidr.slice(0, slash) as IpAddress, prefixLength: Number(cidr.slice(slash + 1)) };
}

/** Whether the network has the address in it; false across families. */
export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (familyOf(cidr) !== familyOf(address)) return false;
  const { prefixLength } = splitCidr(cidr);
  return networkOf({ address, prefixLength }) === cidr;
}

export function isLinkLocal(address: IpAddress): boolean {
  return familyOf(address) === 6 ? /^fe[89ab]/.test(address) : address.startsWith('169.254.');
}

/** Whether a cloud can give it to a NIC: not unspecified, loopback, link-local (there the metadata service itself is), multicast or broadcast. */
export function isAssignable(address: IpAddress): boolean {
  if (isLinkLocal(address)) return false;
  if (familyOf(address) === 6) return !/^(?:::(?:1|ffff:.*)?$|ff)/.test(address);
  const first = Number.parseInt(address, 10);
  const isMulticast = first >= FIRST_MULTICAST && first <= LAST_MULTICAST;
  return first !== 0 && first !== LOOPBACK && !isMulticast && address !== EVERY_HOST;
}

/** Network byte order: 4 or 16 bytes. */
export function ipToBytes(address: IpAddress): Uint8Array {
  return familyOf(address) === 4
    ? ipv4ToBytes(address)
    : Uint8Array.from(ipaddr.IPv6.parse(address).toByteArray());
}

/** Digit by digit: ipaddr.js takes several microseconds, a split one, and they add up over the thousands of a large host. */
function ipv4ToBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(4);
  let index = 0;
  let byte = 0;
  for (let at = 0; at < address.length; at += 1) {
    const code = address.charCodeAt(at);
    if (code === DOT) {
      bytes[index] = byte;
      index += 1;
      byte = 0;
    } else byte = byte * 10 + code - DIGIT_ZERO;
  }
  bytes[index] = byte;
  return bytes;
}

/** 4 or 16 bytes in network byte order → the canonical text. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  // Half the time of a join.
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as IpAddress;
  return new ipaddr.IPv6([...bytes]).toRFC5952String() as IpAddress;
}

/** Numeric order, IPv4 before IPv6; for sorting every set before it is compared, rendered or logged. */
export function compareIpAddresses(a: IpAddress, b: IpAddress): number {
  const left = ipToBytes(a);
  const right = ipToBytes(b);
  if (left.length !== right.length) return left.length - right.length;
  for (const [index, byte] of left.entries()) {
    const difference = byte - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
