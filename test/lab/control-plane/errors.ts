/**
 * What the control plane answers when it refuses. `RefusalCodes` has, for each action, the codes of business that
 * `client.go` of TencentCloud/tencentcloud-sdk-go (tencentcloud/vpc/v20170312, August 2026) lists for it; a code that is not
 * documented for an action does not compile there. Codes for what the lab does not play are left out.
 *
 * The lists do not say which case has which code. Taken from what `errors.go` there says of each code: a quota is
 * LimitExceeded, an address of another ENI or machine ResourceInUse, one outside the subnet InvalidParameterValue.Range, a
 * list longer than 10 InvalidParameterValue.LimitExceeded, a state that does not allow the action
 * UnsupportedOperation.InvalidState. Where no listed code is about a case, it is the general UnsupportedOperation.
 */
import { randomUUID } from 'node:crypto';

export interface RefusalCodes {
  readonly CreateNetworkInterface:
    | 'InvalidParameterValue'
    | 'InvalidParameterValue.LimitExceeded'
    | 'InvalidParameterValue.Malformed'
    | 'InvalidParameterValue.Range'
    | 'InvalidParameterValue.Reserved'
    | 'LimitExceeded'
    | 'ResourceInUse'
    | 'ResourceInsufficient.Subnet'
    | 'ResourceNotFound';
  readonly AttachNetworkInterface:
    | 'InvalidParameterValue.Malformed'
    | 'LimitExceeded'
    | 'ResourceNotFound'
    | 'UnsupportedOperation.AttachmentAlreadyExists'
    | 'UnsupportedOperation.InvalidState'
    | 'UnsupportedOperation.VpcMismatch'
    | 'UnsupportedOperation.ZoneMismatch';
  readonly DetachNetworkInterface:
    | 'InvalidParameterValue.Malformed'
    | 'ResourceNotFound'
    | 'UnsupportedOperation'
    | 'UnsupportedOperation.InvalidState';
  readonly DeleteNetworkInterface:
    | 'InvalidParameterValue.Malformed'
    | 'ResourceInUse'
    | 'ResourceNotFound'
    | 'UnsupportedOperation.InvalidState';
  readonly MigrateNetworkInterface:
    | 'InvalidParameterValue.Malformed'
    | 'LimitExceeded'
    | 'ResourceNotFound'
    | 'UnsupportedOperation'
    | 'UnsupportedOperation.AttachmentNotFound'
    | 'UnsupportedOperation.VpcMismatch';
  readonly AssignPrivateIpAddresses:
    | 'InvalidParameterValue.DuplicatePara'
    | 'InvalidParameterValue.LimitExceeded'
    | 'InvalidParameterValue.Malformed'
    | 'InvalidParameterValue.Range'
    | 'InvalidParameterValue.Reserved'
    | 'LimitExceeded'
    | 'MissingParameter'
    | 'ResourceInUse'
    | 'ResourceInsufficient.Subnet'
    | 'ResourceNotFound'
    | 'UnsupportedOperation'
    | 'UnsupportedOperation.InvalidState'
    | 'UnsupportedOperation.MutexOperationTaskRunning';
  readonly UnassignPrivateIpAddresses:
    | 'InvalidParameterValue.DuplicatePara'
    | 'InvalidParameterValue.LimitExceeded'
    | 'InvalidParameterValue.Malformed'
    | 'ResourceNotFound'
    | 'UnsupportedOperation'
    | 'UnsupportedOperation.AttachmentNotFound'
    | 'UnsupportedOperation.InvalidState'
    | 'UnsupportedOperation.MutexOperationTaskRunning';
  readonly MigratePrivateIpAddress:
    | 'InvalidParameterValue.Malformed'
    | 'LimitExceeded'
    | 'ResourceNotFound'
    | 'UnauthorizedOperation.AttachmentNotFound'
    | 'UnauthorizedOperation.PrimaryIp'
    | 'UnsupportedOperation'
    | 'UnsupportedOperation.MutexOperationTaskRunning';
  readonly AssignIpv6Addresses:
    | 'InvalidParameterValue'
    | 'InvalidParameterValue.Malformed'
    | 'InvalidParameterValue.Range'
    | 'InvalidParameterValue.Reserved'
    | 'LimitExceeded'
    | 'ResourceInUse'
    | 'ResourceNotFound'
    | 'UnsupportedOperation.InvalidState'
    | 'UnsupportedOperation.MutexOperationTaskRunning';
  readonly DescribeNetworkInterfaces:
    | 'InvalidParameter.Coexist'
    | 'InvalidParameter.FilterInvalidKey'
    | 'InvalidParameterValue.Malformed'
    | 'InvalidParameterValue.Range'
    | 'ResourceNotFound';
  readonly DescribeVpcTaskResult: 'ResourceNotFound';
}

type Action = keyof RefusalCodes;

/** Makes the error of a refusal; the functions that check take one that knows the codes they need. */
export type Refuse<Code extends string> = (code: Code, reason: string) => ControlPlaneError;

/** `Code`, `message` and `RequestId` are what the API answers as `Response.Error.Code`, `.Message` and `Response.RequestId`. */
export class ControlPlaneError extends Error {
  override readonly name = 'ControlPlaneError';
  readonly Code: string;
  readonly RequestId = randomUUID();

  constructor(action: Action, code: string, reason: string) {
    super(`${action}: ${code}: ${reason}`);
    this.Code = code;
  }
}

export function refusalOf<Name extends Action>(action: Name): Refuse<RefusalCodes[Name]> {
  return (code, reason) => new ControlPlaneError(action, code, reason);
}
