/** The filters of DescribeNetworkInterfaces that the lab knows; their names are the API's. */
import type { Filter, NetworkInterface } from './api.ts';
import type { Refuse } from './errors.ts';

const FILTERS: Readonly<Record<string, (eni: NetworkInterface) => string | undefined>> = {
  'network-interface-id': ({ NetworkInterfaceId }) => NetworkInterfaceId,
  'network-interface-name': ({ NetworkInterfaceName }) => NetworkInterfaceName,
  'vpc-id': ({ VpcId }) => VpcId,
  'subnet-id': ({ SubnetId }) => SubnetId,
  'attachment.instance-id': ({ Attachment }) => Attachment?.InstanceId,
  'is-primary': ({ Primary }) => String(Primary),
};

export function filterEnis(
  enis: readonly NetworkInterface[],
  filters: readonly Filter[],
  refuse: Refuse<'InvalidParameter.FilterInvalidKey'>,
): readonly NetworkInterface[] {
  const tests = filters.map(({ Name, Values }) => {
    const valueOf = FILTERS[Name];
    if (valueOf === undefined)
      throw refuse('InvalidParameter.FilterInvalidKey', `there is no filter ${Name}`);
    return (eni: NetworkInterface): boolean => Values.includes(valueOf(eni) ?? '');
  });
  return enis.filter((eni) => tests.every((test) => test(eni)));
}
