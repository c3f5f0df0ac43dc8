/** The actions on the addresses of an ENI. */
import type {
  Answered,
  AssignIpv6AddressesRequest,
  AssignIpv6AddressesResponse,
  AssignPrivateIpAddressesRequest,
  AssignPrivateIpAddressesResponse,
  MigratePrivateIpAddressRequest,
  NetworkInterface,
  PrivateIpAddress,
  UnassignPrivateIpAddressesRequest,
} from './api.ts';
import { type Refuse, refusalOf } from './errors.ts';
import {
  drawFree,
  findEni,
  hasTwice,
  requireAddress,
  requireFree,
  requireRoomOn,
  requireShortList,
} from './model.ts';
import { type CloudState, newAddress } from './state.ts';

export async function assignPrivateIpAddresses(
  cloud: CloudState,
  request: AssignPrivateIpAddressesRequest,
): Promise<AssignPrivateIpAddressesResponse> {
  const refuse = refusalOf('AssignPrivateIpAddresses');
  const { NetworkInterfaceId: id, PrivateIpAddresses: given = [] } = request;
  const { SecondaryPrivateIpAddressCount: count = 0 } = request;
  const eni = findEni(cloud.model, id, refuse);
  if (given.length + count === 0) throw refuse('MissingParameter', 'neither addresses nor a count');
  requireShortList(given, refuse);
  if (given.some(({ Primary }) => Primary === true))
    throw refuse('UnsupportedOperation', `${id} has its primary address already`);
  requireIdle(cloud, eni, refuse);
  const { CidrBlock } = cloud.subnetOf(eni);
  const texts = given.map(({ PrivateIpAddress }) => PrivateIpAddress);
  const free = requireFree(cloud.model, CidrBlock, texts, refuse);
  if (hasTwice(free)) throw refuse('InvalidParameterValue.DuplicatePara', 'an address twice');
  const before = eni.PrivateIpAddressSet;
  requireRoomOn(cloud.model, eni, before.length + free.length + count, refuse);
  const drawn = drawFree(cloud.model, CidrBlock, count, free, refuse);
  const added = [...given, ...drawn.map((each) => ({ PrivateIpAddress: each }))].map(newAddress);
  cloud.update(eni, { PrivateIpAddressSet: [...before, ...added] });
  const answered = cloud.begin([eni], () => cloud.assign(eni, [...free, ...drawn]));
  return { PrivateIpAddressSet: added, ...answered };
}

export async function unassignPrivateIpAddresses(
  cloud: CloudState,
  request: UnassignPrivateIpAddressesRequest,
): Promise<Answered> {
  const refuse = refusalOf('UnassignPrivateIpAddresses');
  const { NetworkInterfaceId: id, PrivateIpAddresses: given } = request;
  const eni = findEni(cloud.model, id, refuse);
  requireShortList(given, refuse);
  const addresses = given.map(({ PrivateIpAddress }) => requireAddress(PrivateIpAddress, refuse));
  if (hasTwice(addresses)) throw refuse('InvalidParameterValue.DuplicatePara', 'an address twice');
  requireIdle(cloud, eni, refuse);
  for (const address of addresses) {
    const owned = findAddress(eni, address);
    if (owned === undefined)
      throw refuse('UnsupportedOperation.AttachmentNotFound', `${address} is not on ${id}`);
    if (owned.Primary) throw refuse('UnsupportedOperation', `${address} is the primary address of ${id}`);
  }
  cloud.setAddressState(eni, addresses, 'DELETING');
  return cloud.begin([eni], () => cloud.unassign(eni, addresses));
}

export async function migratePrivateIpAddress(
  cloud: CloudState,
  request: MigratePrivateIpAddressRequest,
): Promise<Answered> {
  const refuse = refusalOf('MigratePrivateIpAddress');
  const { SourceNetworkInterfaceId: from, DestinationNetworkInterfaceId: to } = request;
  const source = findEni(cloud.model, from, refuse);
  const target = findEni(cloud.model, to, refuse);
  const address = requireAddress(request.PrivateIpAddress, refuse);
  const owned = findAddress(source, address);
  if (owned === undefined)
    throw refuse('UnauthorizedOperation.AttachmentNotFound', `${address} is not on ${from}`);
  // The first edition of this action's page, for this very case.
  if (owned.Primary)
    throw refuse('UnauthorizedOperation.PrimaryIp', `${address} is the primary address of ${from}`);
  if (source === target || source.SubnetId !== target.SubnetId)
    throw refuse('UnsupportedOperation', `${to} is not another ENI of the same subnet`);
  for (const eni of [source, target]) requireNoTask(cloud, eni, refuse);
  requireRoomOn(cloud.model, target, target.PrivateIpAddressSet.length + 1, refuse);
  cloud.setAddressState(source, [address], 'MIGRATING');
  return cloud.begin([source, target], async () => {
    await cloud.unassign(source, [address]);
    const { PrivateIpAddressSet } = cloud.current(target);
    cloud.update(target, { PrivateIpAddressSet: [...PrivateIpAddressSet, newAddress(owned)] });
    await cloud.assign(target, [address]);
  });
}

/** Only given ones: the lab's subnets are too large to draw from in order. */
export async function assignIpv6Addresses(
  cloud: CloudState,
  request: AssignIpv6AddressesRequest,
): Promise<AssignIpv6AddressesResponse> {
  const refuse = refusalOf('AssignIpv6Addresses');
  const eni = findEni(cloud.model, request.NetworkInterfaceId, refuse);
  requireIdle(cloud, eni, refuse);
  const texts = request.Ipv6Addresses.map(({ Address }) => Address);
  const free = requireFree(cloud.model, cloud.subnetOf(eni).Ipv6CidrBlock, texts, refuse);
  if (hasTwice(free)) throw refuse('InvalidParameterValue', 'an address twice');
  requireRoomOn(cloud.model, eni, eni.Ipv6AddressSet.length + free.length, refuse);
  const added = free.map((Address) => ({ Address, Primary: false, State: 'PENDING' as const }));
  cloud.update(eni, { Ipv6AddressSet: [...eni.Ipv6AddressSet, ...added] });
  return { Ipv6AddressSet: added, ...cloud.begin([eni], () => cloud.assign(eni, free)) };
}

function findAddress(
  { PrivateIpAddressSet }: NetworkInterface,
  address: string,
): PrivateIpAddress | undefined {
  return PrivateIpAddressSet.find(({ PrivateIpAddress }) => PrivateIpAddress === address);
}

function requireIdle(
  cloud: CloudState,
  eni: NetworkInterface,
  refuse: Refuse<'UnsupportedOperation.InvalidState' | 'UnsupportedOperation.MutexOperationTaskRunning'>,
): void {
  if (eni.State !== 'AVAILABLE')
    throw refuse('UnsupportedOperation.InvalidState', `${eni.NetworkInterfaceId} is ${eni.State}`);
  requireNoTask(cloud, eni, refuse);
}

function requireNoTask(
  cloud: CloudState,
  eni: NetworkInterface,
  refuse: Refuse<'UnsupportedOperation.MutexOperationTaskRunning'>,
): void {
  if (!cloud.isIdle(eni))
    throw refuse(
      'UnsupportedOperation.MutexOperationTaskRunning',
      `${eni.NetworkInterfaceId} has a task that is not over`,
    );
}
