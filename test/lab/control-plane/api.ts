/**
 * The part of the Tencent Cloud VPC API, version 2017-03-12, that the lab plays: its actions' requests and answers, with the
 * fields' names and the states' values as `models.go` of TencentCloud/tencentcloud-sdk-go has them
 * (tencentcloud/vpc/v20170312, August 2026). Everything is plain JSON. What the lab has no use for is left out: security
 * groups, tags, public addresses, quality of service, ClientToken, extended and trunking ENIs.
 */

/** AVAILABLE says nothing about whether it is attached: `Attachment` does. */
export type NetworkInterfaceState = 'PENDING' | 'AVAILABLE' | 'ATTACHING' | 'DETACHING' | 'DELETING';
export type AddressState = 'PENDING' | 'AVAILABLE' | 'MIGRATING' | 'DELETING';

export interface PrivateIpAddressSpecification {
  readonly PrivateIpAddress: string;
  readonly Primary?: boolean;
  readonly Description?: string;
}

export interface PrivateIpAddress {
  readonly PrivateIpAddress: string;
  readonly Primary: boolean;
  readonly Description: string;
  readonly State: AddressState;
}

export interface Ipv6Address {
  readonly Address: string;
  readonly Primary: boolean;
  readonly State: AddressState;
}

export interface NetworkInterfaceAttachment {
  readonly InstanceId: string;
  /** 0 is the primary ENI. */
  readonly DeviceIndex: number;
  /** `2026-11-22 10:00:00` */
  readonly AttachTime: string;
}

export interface NetworkInterface {
  /** `eni-00000001` */
  readonly NetworkInterfaceId: string;
  readonly NetworkInterfaceName: string;
  readonly NetworkInterfaceDescription: string;
  readonly VpcId: string;
  readonly SubnetId: string;
  readonly Zone: string;
  readonly Primary: boolean;
  readonly MacAddress: string;
  readonly State: NetworkInterfaceState;
  /** The primary one first. */
  readonly PrivateIpAddressSet: readonly PrivateIpAddress[];
  readonly Ipv6AddressSet: readonly Ipv6Address[];
  readonly Attachment: NetworkInterfaceAttachment | null;
  readonly CreatedTime: string;
}

/** Every answer has it; of an asynchronous action it is the `TaskId` that DescribeVpcTaskResult asks for. */
export interface Answered {
  readonly RequestId: string;
}

/** Asynchronous. Without a primary address among them the cloud draws one. At most 10 addresses. */
export interface CreateNetworkInterfaceRequest {
  readonly VpcId: string;
  readonly SubnetId: string;
  readonly NetworkInterfaceName: string;
  readonly NetworkInterfaceDescription?: string;
  readonly PrivateIpAddresses?: readonly PrivateIpAddressSpecification[];
  /** So many more, which the cloud draws. */
  readonly SecondaryPrivateIpAddressCount?: number;
}

export interface CreateNetworkInterfaceResponse extends Answered {
  readonly NetworkInterface: NetworkInterface;
}

/** Attach and detach are asynchronous. */
export interface AttachmentRequest {
  readonly NetworkInterfaceId: string;
  readonly InstanceId: string;
}

export interface DeleteNetworkInterfaceRequest {
  readonly NetworkInterfaceId: string;
}

export interface MigrateNetworkInterfaceRequest {
  readonly NetworkInterfaceId: string;
  readonly SourceInstanceId: string;
  readonly DestinationInstanceId: string;
}

/** Asynchronous. One of the two lists, or both; at most 10 addresses. */
export interface AssignPrivateIpAddressesRequest {
  readonly NetworkInterfaceId: string;
  readonly PrivateIpAddresses?: readonly PrivateIpAddressSpecification[];
  readonly SecondaryPrivateIpAddressCount?: number;
}

export interface AssignPrivateIpAddressesResponse extends Answered {
  readonly PrivateIpAddressSet: readonly PrivateIpAddress[];
}

/** Asynchronous; at most 10 addresses. */
export interface UnassignPrivateIpAddressesRequest {
  readonly NetworkInterfaceId: string;
  readonly PrivateIpAddresses: readonly PrivateIpAddressSpecification[];
}

export interface MigratePrivateIpAddressRequest {
  readonly SourceNetworkInterfaceId: string;
  readonly DestinationNetworkInterfaceId: string;
  readonly PrivateIpAddress: string;
}

export interface AssignIpv6AddressesRequest {
  readonly NetworkInterfaceId: string;
  readonly Ipv6Addresses: readonly { readonly Address: string }[];
}

export interface AssignIpv6AddressesResponse extends Answered {
  readonly Ipv6AddressSet: readonly Ipv6Address[];
}

export interface Filter {
  /** Filters are joined by and, the values of one by or. */
  readonly Name: string;
  readonly Values: readonly string[];
}

/** Ids or filters, not both. Offset is 0 and Limit 20 by default; Limit is at most 100. */
export interface DescribeNetworkInterfacesRequest {
  readonly NetworkInterfaceIds?: readonly string[];
  readonly Filters?: readonly Filter[];
  readonly Offset?: number;
  readonly Limit?: number;
}

export interface DescribeNetworkInterfacesResponse extends Answered {
  readonly NetworkInterfaceSet: readonly NetworkInterface[];
  /** Before Offset and Limit. */
  readonly TotalCount: number;
}

export interface DescribeVpcTaskResultRequest {
  readonly TaskId: string;
}

export interface DescribeVpcTaskResultResponse extends Answered {
  readonly Status: 'RUNNING' | 'SUCCESS' | 'FAILED';
  /** Of a task that failed: why. */
  readonly Output: string;
}
