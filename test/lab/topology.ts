/** The addressing of the lab: its subnets, who lives in them, and the names made from them. */
import {
  type Cidr,
  cidrContains,
  ipFromBytes,
  ipToBytes,
  parseCidr,
  parseIpAddress,
} from '../../src/model/net.ts';

export interface Subnet {
  /** In the control plane; the one outside has none there. */
  readonly id: string;
  readonly cidr: string;
  readonly gateway: string;
  readonly cidr6: string;
  /** The client that lives in it. */
  readonly client: { readonly name: string; readonly address: string; readonly address6: string };
}

/** Link-local, the same in every subnet, as on Tencent. */
export const GATEWAY6 = 'fe80::feee:ffff:feff:ffff';
const PREFIX_LENGTH = 24;
const PREFIX_LENGTH6 = 64;
export const NETMASK = '255.255.255.0';

export const METADATA_ADDRESS = '169.254.0.23';
export const METADATA_PORT = 80;
/** Every host of the lab answers TCP here with who it is. */
export const RESPONDER_PORT = 7777;
/** And here it sends back what it is sent, for as long as it lasts. */
export const ECHO_PORT = 7778;

export const VPC_ID = 'vpc-ja82n9op';
export const ZONE = 'ap-guangzhou-3';
const INSTANCE_IDS: readonly string[] = ['ins-3g445roi', 'ins-8hq2mzxe'];
/** By VM, counted from 0. */
export function instanceIdOf(vm: number): string {
  return INSTANCE_IDS[vm] ?? `ins-${String(vm).padStart(8, '0')}`;
}

/** The first VM's; the others follow it. */
export const VM_ADDRESS = '10.0.0.4';
export const ROUTER_ADDRESS = '10.0.0.253';
export const ROUTER_ADDRESS6 = '2001:db8::253';
/** What the administrator's static route leads to, by the router alone: the fabric's gateways do not know it. */
export const STATIC_NETWORK = '172.16.0.0/16';
export const STATIC_NETWORK6 = 'fd00:16::/64';
export const STATIC_HOST = '172.16.0.10';
export const STATIC_HOST6 = 'fd00:16::10';

export const VPC_SUBNETS: readonly Subnet[] = [
  subnet('client-10.0.0', '10.0.0', '2001:db8:0', 'subnet-ja82n9op'),
  subnet('client-10.0.1', '10.0.1', '2001:db8:1', 'subnet-k1q7x2ma'),
  subnet('client-10.0.2', '10.0.2', '2001:db8:2', 'subnet-p9d3w5tc'),
  subnet('client-10.0.3', '10.0.3', '2001:db8:3', 'subnet-f6z0h8yv'),
];
export const SUBNETS: readonly Subnet[] = [subnet('outside', '203.0.113', '2001:db8:ffff'), ...VPC_SUBNETS];
/** Its client lives in the labs that ask for it alone (`addMachine`). */
export const SPARE_SUBNET = subnetOf('10.0.3.0');
/** Those whose clients every lab has. */
export const CLIENT_SUBNETS: readonly Subnet[] = SUBNETS.filter((one) => one !== SPARE_SUBNET);

function subnet(client: string, prefix: string, prefix6: string, id = ''): Subnet {
  return {
    id,
    cidr: `${prefix}.0/${PREFIX_LENGTH}`,
    gateway: `${prefix}.1`,
    cidr6: `${prefix6}::/${PREFIX_LENGTH6}`,
    client: { name: client, address: `${prefix}.250`, address6: `${prefix6}::250` },
  };
}

/** The subnet that an address is in. */
export function subnetOf(address: string): Subnet {
  const ip = parseIpAddress(address);
  const found = SUBNETS.find(({ cidr, cidr6 }) =>
    [cidr, cidr6].some((network) => ip !== undefined && cidrContains(parseCidr(network) as Cidr, ip)),
  );
  if (found === undefined) throw new Error(`looking up the subnet of ${address}: the lab has none with it`);
  return found;
}

/** 10.0.1.4 → 2001:db8:1::4: the IPv6 address of who has that IPv4 one. */
export function twinOf(address: string): string {
  const network = subnetOf(address).cidr6.split('/')[0] ?? '';
  return parseIpAddress(`${network}${address.split('.').at(-1)}`) ?? '';
}

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** `10.0.1.4` → `10.0.1.4/24`. */
export function withPrefix(address: string): string {
  return `${address}/${isIpv6(address) ? PREFIX_LENGTH6 : PREFIX_LENGTH}`;
}

/** A MAC made from an IPv4 address (10.0.1.4 → 02:e0:0a:00:01:04): unique, readable, and with letters, so that its case matters. */
export function macFor(address: string): string {
  const parts = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', 'e0', ...parts].join(':');
}

/** `count` consecutive IPv4 addresses. */
export function addressRange(first: string, count: number): readonly string[] {
  const ip = parseIpAddress(first);
  if (ip === undefined) throw new Error(`counting addresses from ${first}: it is none`);
  const bytes = ipToBytes(ip);
  const last = bytes.at(-1) ?? 0;
  return Array.from({ length: count }, (_, index) =>
    ipFromBytes(Uint8Array.from([...bytes.slice(0, -1), last + index])),
  );
}
