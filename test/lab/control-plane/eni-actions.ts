/** The actions on an ENI as a whole. */
import type {
  Answered,
  AttachmentRequest,
  CreateNetworkInterfaceRequest,
  CreateNetworkInterfaceResponse,
  DeleteNetworkInterfaceRequest,
  MigrateNetworkInterfaceRequest,
  NetworkInterface,
  PrivateIpAddress,
} from './api.ts';
import { type RefusalCodes, type Refuse, refusalOf } from './errors.ts';
import {
  allAddresses,
  drawFree,
  findEni,
  findInstance,
  findSubnet,
  hasTwice,
  requireAtMost,
  requireFree,
  requireRoomFor,
  requireShortList,
  type VpcSubnet,
} from './model.ts';
import { MOST_ADDRESSES } from './quotas.ts';
import { type CloudState, newAddress } from './state.ts';

export async function createNetworkInterface(
  cloud: CloudState,
  request: CreateNetworkInterfaceRequest,
): Promise<CreateNetworkInterfaceResponse> {
  const refuse = refusalOf('CreateNetworkInterface');
  const { VpcId, SubnetId, NetworkInterfaceName, NetworkInterfaceDescription = '' } = request;
  const subnet = findSubnet(cloud.model, SubnetId, refuse);
  if (subnet.VpcId !== VpcId) throw refuse('ResourceNotFound', `${VpcId} has no ${SubnetId}`);
  const PrivateIpAddressSet = addressesFor(cloud, subnet, request, refuse);
  const eni = cloud.create(subnet, {
    NetworkInterfaceName,
    NetworkInterfaceDescription,
    PrivateIpAddressSet,
  });
  const answered = cloud.begin([eni], async () => {
    cloud.setAddressState(eni, allAddresses(eni), 'AVAILABLE');
    cloud.update(eni, { State: 'AVAILABLE' });
  });
  return { NetworkInterface: eni, ...answered };
}

/** Those asked for, and those that the cloud draws; the primary one first. */
function addressesFor(
  { model }: CloudState,
  { CidrBlock }: VpcSubnet,
  request: CreateNetworkInterfaceRequest,
  refuse: Refuse<RefusalCodes['CreateNetworkInterface']>,
): readonly PrivateIpAddress[] {
  const { PrivateIpAddresses: given = [], SecondaryPrivateIpAddressCount = 0 } = request;
  requireShortList(given, refuse);
  const texts = given.map(({ PrivateIpAddress }) => PrivateIpAddress);
  const free = requireFree(model, CidrBlock, texts, refuse);
  const primaries = given.filter(({ Primary }) => Primary === true);
  if (hasTwice(free)) throw refuse('InvalidParameterValue', 'an address twice');
  if (primaries.length > 1) throw refuse('InvalidParameterValue', 'more than one primary address');
  const count = SecondaryPrivateIpAddressCount + 1 - primaries.length;
  requireAtMost(MOST_ADDRESSES, free.length + count, refuse);
  const drawn = drawFree(model, CidrBlock, count, free, refuse);
  const primary = primaries[0]?.PrivateIpAddress ?? drawn[0];
  return [...given, ...drawn.map((each) => ({ PrivateIpAddress: each }))]
    .map((each) => newAddress({ ...each, Primary: each.PrivateIpAddress === primary }))
    .toSorted((a, b) => Number(b.Primary) - Number(a.Primary));
}

export async function attachNetworkInterface(
  cloud: CloudState,
  request: AttachmentRequest,
): Promise<Answered> {
  const refuse = refusalOf('AttachNetworkInterface');
  const { NetworkInterfaceId: id, InstanceId } = request;
  const eni = findEni(cloud.model, id, refuse);
  const instance = findInstance(cloud.model, InstanceId, refuse);
  if (eni.State === 'AVAILABLE' && eni.Attachment !== null)
    throw refuse('UnsupportedOperation.AttachmentAlreadyExists', `${id} is on ${eni.Attachment.InstanceId}`);
  requireIdle(cloud, eni, refuse);
  const { VpcId, Zone } = cloud.subnetOf(instance);
  if (eni.VpcId !== VpcId)
    throw refuse('UnsupportedOperation.VpcMismatch', `${id} is not in ${VpcId}, ${InstanceId} is`);
  if (eni.Zone !== Zone)
    throw refuse('UnsupportedOperation.ZoneMismatch', `${id} is not in ${Zone}, ${InstanceId} is`);
  requireRoomFor(cloud.model, instance, eni, refuse);
  cloud.bind(eni, instance);
  return cloud.begin([eni], () => cloud.plug(eni));
}

export async function detachNetworkInterface(
  cloud: CloudState,
  request: AttachmentRequest,
): Promise<Answered> {
  const refuse = refusalOf('DetachNetworkInterface');
  const eni = findEni(cloud.model, request.NetworkInterfaceId, refuse);
  const { InstanceId } = findInstance(cloud.model, request.InstanceId, refuse);
  const id = eni.NetworkInterfaceId;
  if (eni.Primary) throw refuse('UnsupportedOperation', `the primary ENI ${id} cannot be detached`);
  if (eni.Attachment?.InstanceId !== InstanceId)
    throw refuse('UnsupportedOperation.InvalidState', `${id} is not on ${InstanceId}`);
  requireIdle(cloud, eni, refuse);
  cloud.update(eni, { State: 'DETACHING' });
  return cloud.begin([eni], () => cloud.unplug(eni));
}

export async function migrateNetworkInterface(
  cloud: CloudState,
  request: MigrateNetworkInterfaceRequest,
): Promise<Answered> {
  const refuse = refusalOf('MigrateNetworkInterface');
  const { NetworkInterfaceId: id } = request;
  const eni = findEni(cloud.model, id, refuse);
  const source = findInstance(cloud.model, request.SourceInstanceId, refuse);
  const target = findInstance(cloud.model, request.DestinationInstanceId, refuse);
  const { VpcId, Zone } = cloud.subnetOf(target);
  if (eni.Attachment?.InstanceId !== source.InstanceId)
    throw refuse('UnsupportedOperation.AttachmentNotFound', `${id} is not on ${source.InstanceId}`);
  if (eni.Primary) throw refuse('UnsupportedOperation', `the primary ENI ${id} cannot be migrated`);
  if (!cloud.isIdle(eni)) throw refuse('UnsupportedOperation', `${id} is ${eni.State} or has a task`);
  if (eni.VpcId !== VpcId)
    throw refuse('UnsupportedOperation.VpcMismatch', `${id} is not in ${VpcId}, ${target.InstanceId} is`);
  if (eni.Zone !== Zone)
    throw refuse('UnsupportedOperation', `${id} is not in ${Zone}, ${target.InstanceId} is`);
  if (source === target) throw refuse('UnsupportedOperation', `${id} is on ${target.InstanceId} already`);
  requireRoomFor(cloud.model, target, eni, refuse);
  cloud.update(eni, { State: 'DETACHING' });
  return cloud.begin([eni], async () => {
    await cloud.unplug(eni);
    cloud.bind(eni, target);
    await cloud.plug(eni);
  });
}

export async function deleteNetworkInterface(
  cloud: CloudState,
  request: DeleteNetworkInterfaceRequest,
): Promise<Answered> {
  const refuse = refusalOf('DeleteNetworkInterface');
  const eni = findEni(cloud.model, request.NetworkInterfaceId, refuse);
  if (eni.Attachment !== null)
    throw refuse('ResourceInUse', `${eni.NetworkInterfaceId} is on ${eni.Attachment.InstanceId}`);
  requireIdle(cloud, eni, refuse);
  cloud.update(eni, { State: 'DELETING' });
  return cloud.begin([eni], async () => cloud.remove(eni));
}

function requireIdle(
  cloud: CloudState,
  eni: NetworkInterface,
  refuse: Refuse<'UnsupportedOperation.InvalidState'>,
): void {
  if (!cloud.isIdle(eni))
    throw refuse(
      'UnsupportedOperation.InvalidState',
      `${eni.NetworkInterfaceId} is ${eni.State} or has a task`,
    );
}
