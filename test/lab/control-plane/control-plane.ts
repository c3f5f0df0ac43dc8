/**
 * The cloud's control plane: the actions of `api.ts` over a model of subnets, VMs and ENIs. An action refuses at once
 * (`ControlPlaneError`, `errors.ts`), or takes what it needs and answers at once; the work is done after the answer, and
 * `State` and DescribeVpcTaskResult say when. While an ENI has a task, other actions on it are refused; different ENIs do not
 * wait for each other. What happens in the network is behind `DataPlane`.
 */
import { randomUUID } from 'node:crypto';
import {
  assignIpv6Addresses,
  assignPrivateIpAddresses,
  migratePrivateIpAddress,
  unassignPrivateIpAddresses,
} from './address-actions.ts';
import type * as api from './api.ts';
import {
  attachNetworkInterface,
  createNetworkInterface,
  deleteNetworkInterface,
  detachNetworkInterface,
  migrateNetworkInterface,
} from './eni-actions.ts';
import { refusalOf } from './errors.ts';
import { filterEnis } from './filters.ts';
import { findEni } from './model.ts';
import { type CloudParts, CloudState } from './state.ts';

const DEFAULT_LIMIT = 20;
const MOST_LISTED = 100;

export interface ControlPlane {
  createNetworkInterface(
    request: api.CreateNetworkInterfaceRequest,
  ): Promise<api.CreateNetworkInterfaceResponse>;
  attachNetworkInterface(request: api.AttachmentRequest): Promise<api.Answered>;
  detachNetworkInterface(request: api.AttachmentRequest): Promise<api.Answered>;
  migrateNetworkInterface(request: api.MigrateNetworkInterfaceRequest): Promise<api.Answered>;
  deleteNetworkInterface(request: api.DeleteNetworkInterfaceRequest): Promise<api.Answered>;
  assignPrivateIpAddresses(
    request: api.AssignPrivateIpAddressesRequest,
  ): Promise<api.AssignPrivateIpAddressesResponse>;
  unassignPrivateIpAddresses(request: api.UnassignPrivateIpAddressesRequest): Promise<api.Answered>;
  migratePrivateIpAddress(request: api.MigratePrivateIpAddressRequest): Promise<api.Answered>;
  assignIpv6Addresses(request: api.AssignIpv6AddressesRequest): Promise<api.AssignIpv6AddressesResponse>;
  describeNetworkInterfaces(
    request?: api.DescribeNetworkInterfacesRequest,
  ): Promise<api.DescribeNetworkInterfacesResponse>;
  describeVpcTaskResult(
    request: api.DescribeVpcTaskResultRequest,
  ): Promise<api.DescribeVpcTaskResultResponse>;
  /** Not in the API: resolves when the task of that answer is over, rejects with what made it fail. */
  settled(answer: api.Answered): Promise<void>;
}

export function createControlPlane(parts: CloudParts): ControlPlane {
  const cloud = new CloudState(parts);
  return {
    createNetworkInterface: (request) => createNetworkInterface(cloud, request),
    attachNetworkInterface: (request) => attachNetworkInterface(cloud, request),
    detachNetworkInterface: (request) => detachNetworkInterface(cloud, request),
    migrateNetworkInterface: (request) => migrateNetworkInterface(cloud, request),
    deleteNetworkInterface: (request) => deleteNetworkInterface(cloud, request),
    assignPrivateIpAddresses: (request) => assignPrivateIpAddresses(cloud, request),
    unassignPrivateIpAddresses: (request) => unassignPrivateIpAddresses(cloud, request),
    migratePrivateIpAddress: (request) => migratePrivateIpAddress(cloud, request),
    assignIpv6Addresses: (request) => assignIpv6Addresses(cloud, request),
    describeNetworkInterfaces: async (request = {}) => describeNetworkInterfaces(cloud, request),
    describeVpcTaskResult: async ({ TaskId }) => {
      const { Status, error } = taskOf(cloud, TaskId);
      return { Status, Output: error?.message ?? '', RequestId: randomUUID() };
    },
    settled: async ({ RequestId }) => {
      const task = taskOf(cloud, RequestId);
      await task.over;
      if (task.error !== undefined) throw task.error;
    },
  };
}

function describeNetworkInterfaces(
  { model }: CloudState,
  request: api.DescribeNetworkInterfacesRequest,
): api.DescribeNetworkInterfacesResponse {
  const refuse = refusalOf('DescribeNetworkInterfaces');
  const { NetworkInterfaceIds: ids, Filters, Offset = 0, Limit = DEFAULT_LIMIT } = request;
  if (ids !== undefined && Filters !== undefined)
    throw refuse('InvalidParameter.Coexist', 'ids and filters at once');
  if (Limit > MOST_LISTED)
    throw refuse('InvalidParameterValue.Range', `Limit ${Limit} is above ${MOST_LISTED}`);
  const enis = ids?.map((id) => findEni(model, id, refuse)) ?? [...model.enis.values()];
  const matching = filterEnis(enis, Filters ?? [], refuse);
  return {
    NetworkInterfaceSet: matching.slice(Offset, Offset + Limit),
    TotalCount: matching.length,
    RequestId: randomUUID(),
  };
}

function taskOf({ tasks }: CloudState, id: string) {
  const task = tasks.get(id);
  if (task === undefined)
    throw refusalOf('DescribeVpcTaskResult')('ResourceNotFound', `there is no task ${id}`);
  return task;
}
