/** What the control plane knows, and the questions that its actions ask of it before they do anything. Pure. */
import {
  type Cidr,
  cidrContains,
  familyOf,
  type IpAddress,
  ipFromBytes,
  ipToBytes,
  parseCidr,
  parseIpAddress,
  splitCidr,
} from '../../../src/model/net.ts';
import type { NetworkInterface } from './api.ts';
import type { Refuse } from './errors.ts';
import { eniQuota, type InstanceSize, MOST_ADDRESSES } from './quotas.ts';

export interface VpcSubnet {
  readonly SubnetId: string;
  readonly VpcId: string;
  readonly Zone: string;
  readonly CidrBlock: string;
  readonly Ipv6CidrBlock: string;
}

/** A VM. */
export interface Instance extends InstanceSize {
  readonly InstanceId: string;
  /** Of its primary ENI; VPC and zone are those of the subnet. */
  readonly SubnetId: string;
  readonly PrivateIpAddress: string;
}

export interface CloudModel {
  readonly subnets: readonly VpcSubnet[];
  readonly instances: readonly Instance[];
  /** Addresses of machines that are none of the instances. */
  readonly occupied: readonly string[];
  /** By id. */
  readonly enis: ReadonlyMap<string, NetworkInterface>;
}

/** An id is its kind and 8 letters or digits (`eni-m6dyj72l`). */
const ID = /^[a-z]+-[0-9a-z]{8}$/;
/** A list of addresses in one request, says the description of each field that is one. */
export const MOST_AT_ONCE = 10;
/** The cloud keeps the first two addresses of a subnet (the network, the gateway) and the last one to itself. */
const RESERVED_FIRST = 2;
const RESERVED_LAST = 1;

type Lookup = Refuse<'InvalidParameterValue.Malformed' | 'ResourceNotFound'>;

export function findEni(model: CloudModel, id: string, refuse: Lookup): NetworkInterface {
  return found(model.enis.get(id), 'eni', id, refuse);
}

export function findInstance(model: CloudModel, id: string, refuse: Lookup): Instance {
  const instance = model.instances.find(({ InstanceId }) => InstanceId === id);
  return found(instance, 'ins', id, refuse);
}

export function findSubnet(model: CloudModel, id: string, refuse: Lookup): VpcSubnet {
  const subnet = model.subnets.find(({ SubnetId }) => SubnetId === id);
  return found(subnet, 'subnet', id, refuse);
}

function found<T>(value: T | undefined, kind: string, id: string, refuse: Lookup): T {
  if (!ID.test(id) || !id.startsWith(`${kind}-`))
    throw refuse('InvalidParameterValue.Malformed', `${id} is no id of the kind ${kind}-xxxxxxxx`);
  if (value === undefined) throw refuse('ResourceNotFound', `${id} does not exist`);
  return value;
}

function enisOf(model: CloudModel, instanceId: string): readonly NetworkInterface[] {
  return [...model.enis.values()].filter(({ Attachment }) => Attachment?.InstanceId === instanceId);
}

/** The lowest index that no ENI of the instance has. */
export function freeDeviceIndex(model: CloudModel, instanceId: string): number {
  const taken = new Set(enisOf(model, instanceId).map(({ Attachment }) => Attachment?.DeviceIndex));
  let index = 0;
  while (taken.has(index)) index += 1;
  return index;
}

/** Room for one more ENI with the addresses that it has. */
export function requireRoomFor(
  model: CloudModel,
  instance: Instance,
  eni: NetworkInterface,
  refuse: Refuse<'LimitExceeded'>,
): void {
  const { interfaces, addressesPerInterface } = eniQuota(instance);
  const { InstanceId } = instance;
  if (enisOf(model, InstanceId).length >= interfaces)
    throw refuse('LimitExceeded', `${InstanceId} has the ${interfaces} ENIs that it may have`);
  const count = eni.PrivateIpAddressSet.length;
  if (Math.max(count, eni.Ipv6AddressSet.length) > addressesPerInterface)
    throw refuse(
      'LimitExceeded',
      `${eni.NetworkInterfaceId} has ${count} addresses, an ENI of ${InstanceId} may have ${addressesPerInterface}`,
    );
}

/** Room on an ENI, of one family: each has the quota to itself. */
export function requireRoomOn(
  model: CloudModel,
  eni: NetworkInterface,
  count: number,
  refuse: Refuse<'LimitExceeded'>,
): void {
  const owner = model.instances.find(({ InstanceId }) => InstanceId === eni.Attachment?.InstanceId);
  requireAtMost(owner === undefined ? MOST_ADDRESSES : eniQuota(owner).addressesPerInterface, count, refuse);
}

export function requireAtMost(limit: number, count: number, refuse: Refuse<'LimitExceeded'>): void {
  if (count > limit) throw refuse('LimitExceeded', `${count} addresses, the ENI may have ${limit}`);
}

export function requireShortList(
  list: readonly unknown[],
  refuse: Refuse<'InvalidParameterValue.LimitExceeded'>,
): void {
  if (list.length > MOST_AT_ONCE)
    throw refuse(
      'InvalidParameterValue.LimitExceeded',
      `${list.length} addresses at once, more than ${MOST_AT_ONCE}`,
    );
}

export function hasTwice(addresses: readonly IpAddress[]): boolean {
  return new Set(addresses).size < addresses.length;
}

export function requireAddress(text: string, refuse: Refuse<'InvalidParameterValue.Malformed'>): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw refuse('InvalidParameterValue.Malformed', `${text} is no IP address`);
  return address;
}

/** Addresses of the subnet that nobody has, in canonical form. */
export function requireFree(
  model: CloudModel,
  cidrBlock: string,
  texts: readonly string[],
  refuse: Refuse<
    | 'InvalidParameterValue.Malformed'
    | 'InvalidParameterValue.Range'
    | 'InvalidParameterValue.Reserved'
    | 'ResourceInUse'
  >,
): readonly IpAddress[] {
  const cidr = cidrOf(cidrBlock);
  const [first, last] = usableHosts(cidr);
  const taken = takenAddresses(model);
  return texts.map((text) => {
    const address = requireAddress(text, refuse);
    if (familyOf(address) !== familyOf(cidr) || !cidrContains(cidr, address))
      throw refuse('InvalidParameterValue.Range', `${address} is not in ${cidr}`);
    const host = hostOf(cidr, address);
    if (host < first || host > last)
      throw refuse('InvalidParameterValue.Reserved', `${address} of ${cidr} belongs to the cloud`);
    if (taken.has(address)) throw refuse('ResourceInUse', `${address} is in use`);
    return address;
  });
}

/** The lowest free addresses of the subnet, without `except`. */
export function drawFree(
  model: CloudModel,
  cidrBlock: string,
  count: number,
  except: readonly string[],
  refuse: Refuse<'ResourceInsufficient.Subnet'>,
): readonly IpAddress[] {
  const cidr = cidrOf(cidrBlock);
  const taken = new Set([...takenAddresses(model), ...except]);
  const [first, last] = usableHosts(cidr);
  const drawn: IpAddress[] = [];
  for (let host = first; host <= last && drawn.length < count; host += 1n) {
    const address = addressAt(cidr, host);
    if (!taken.has(address)) drawn.push(address);
  }
  if (drawn.length < count)
    throw refuse('ResourceInsufficient.Subnet', `${cidr} has ${drawn.length} free addresses, not ${count}`);
  return drawn;
}

export function allAddresses({ PrivateIpAddressSet, Ipv6AddressSet }: NetworkInterface): readonly string[] {
  return [
    ...PrivateIpAddressSet.map(({ PrivateIpAddress }) => PrivateIpAddress),
    ...Ipv6AddressSet.map(({ Address }) => Address),
  ];
}

function takenAddresses({ enis, occupied }: CloudModel): Set<string> {
  return new Set([...occupied, ...[...enis.values()].flatMap(allAddresses)]);
}

function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`reading the subnet ${text}: it is no network`);
  return cidr;
}

/** First and last host number that an ENI may have. */
function usableHosts(cidr: Cidr): readonly [bigint, bigint] {
  const { address, prefixLength } = splitCidr(cidr);
  const hosts = 1n << BigInt(ipToBytes(address).length * 8 - prefixLength);
  return [BigInt(RESERVED_FIRST), hosts - 1n - BigInt(RESERVED_LAST)];
}

function hostOf(cidr: Cidr, address: IpAddress): bigint {
  return numberOf(address) - numberOf(splitCidr(cidr).address);
}

function addressAt(cidr: Cidr, host: bigint): IpAddress {
  const { address } = splitCidr(cidr);
  const { length } = ipToBytes(address);
  const hex = (numberOf(address) + host).toString(16).padStart(length * 2, '0');
  return ipFromBytes(new Uint8Array(Buffer.from(hex, 'hex')));
}

function numberOf(address: IpAddress): bigint {
  return BigInt(`0x${Buffer.from(ipToBytes(address)).toString('hex')}`);
}
