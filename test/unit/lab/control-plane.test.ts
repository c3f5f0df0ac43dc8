/** The lab's control plane refuses what the cloud refuses, and does its work after its answer. Without a network. */
import { describe, expect, test } from 'vitest';
import type { NetworkInterface } from '../../lab/control-plane/api.ts';
import { type ControlPlane, createControlPlane } from '../../lab/control-plane/control-plane.ts';
import { eniQuota } from '../../lab/control-plane/quotas.ts';
import type { DataPlane } from '../../lab/control-plane/state.ts';
import { addressRange, macFor } from '../../lab/topology.ts';

const VPC = 'vpc-00000001';
const OTHER_VPC = 'vpc-00000002';
const A = 'subnet-0000000a';
const SMALL = 'subnet-0000000b';
const OTHER_ZONE = 'subnet-0000000c';
const FOREIGN = 'subnet-0000000d';
const BIG_VM = 'ins-00000001';
const SMALL_VM = 'ins-00000002';
const CLIENT = '10.0.1.250';

const NETWORK: DataPlane = {
  plug: async () => {},
  unplug: async () => {},
  assign: async () => {},
  unassign: async () => {},
  publish: async () => {},
};

function subnet(SubnetId: string, CidrBlock: string, VpcId = VPC, Zone = 'ap-guangzhou-3') {
  return { SubnetId, CidrBlock, VpcId, Zone, Ipv6CidrBlock: '2001:db8:1::/64' };
}

function cloud(network: Partial<DataPlane> = {}): ControlPlane {
  return createControlPlane({
    network: { ...NETWORK, ...network },
    macOf: macFor,
    occupied: [CLIENT],
    subnets: [
      subnet(A, '10.0.1.0/24'),
      subnet(SMALL, '10.0.2.0/29'),
      subnet(OTHER_ZONE, '10.0.3.0/24', VPC, 'ap-guangzhou-4'),
      subnet(FOREIGN, '10.0.4.0/24', OTHER_VPC),
    ],
    instances: [
      { InstanceId: BIG_VM, SubnetId: A, PrivateIpAddress: '10.0.1.4', cores: 16, memoryGb: 32 },
      { InstanceId: SMALL_VM, SubnetId: A, PrivateIpAddress: '10.0.1.5', cores: 1, memoryGb: 1 },
    ],
  });
}

/** Created, and its task over. The first address is the primary one. */
async function created(
  plane: ControlPlane,
  addresses: readonly string[],
  SubnetId = A,
  VpcId = VPC,
): Promise<string> {
  const answer = await plane.createNetworkInterface({
    VpcId,
    SubnetId,
    NetworkInterfaceName: 'test',
    PrivateIpAddresses: addresses.map((PrivateIpAddress, index) => ({
      PrivateIpAddress,
      Primary: index === 0,
    })),
  });
  await plane.settled(answer);
  return answer.NetworkInterface.NetworkInterfaceId;
}

async function attached(
  plane: ControlPlane,
  addresses: readonly string[],
  InstanceId = BIG_VM,
): Promise<string> {
  const NetworkInterfaceId = await created(plane, addresses);
  await plane.settled(await plane.attachNetworkInterface({ NetworkInterfaceId, InstanceId }));
  return NetworkInterfaceId;
}

async function read(plane: ControlPlane, id: string): Promise<NetworkInterface> {
  const [eni] = (await plane.describeNetworkInterfaces({ NetworkInterfaceIds: [id] })).NetworkInterfaceSet;
  if (eni === undefined) throw new Error(`reading ${id}: nothing came back`);
  return eni;
}

async function primaryOf(plane: ControlPlane, instanceId: string): Promise<string> {
  const { NetworkInterfaceSet } = await plane.describeNetworkInterfaces({
    Filters: [
      { Name: 'attachment.instance-id', Values: [instanceId] },
      { Name: 'is-primary', Values: ['true'] },
    ],
  });
  return NetworkInterfaceSet[0]?.NetworkInterfaceId ?? '';
}

const specs = (...addresses: readonly string[]) =>
  addresses.map((PrivateIpAddress) => ({ PrivateIpAddress }));

type Call = (plane: ControlPlane) => Promise<unknown>;

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'accepted',
    (error: unknown) => (error as { Code?: string }).Code ?? String(error),
  );
}

function create(SubnetId: string, addresses: readonly string[], more: object = {}): Call {
  return (plane) =>
    plane.createNetworkInterface({
      VpcId: VPC,
      SubnetId,
      NetworkInterfaceName: 'test',
      PrivateIpAddresses: specs(...addresses),
      ...more,
    });
}

/** Asks for addresses on an ENI that is attached to the big VM with 10.0.1.10 and 10.0.1.11. */
function assign(addresses: readonly string[], more: object = {}): Call {
  return async (plane) => {
    const NetworkInterfaceId = await attached(plane, ['10.0.1.10', '10.0.1.11']);
    return plane.assignPrivateIpAddresses({
      NetworkInterfaceId,
      ...(addresses.length === 0 ? {} : { PrivateIpAddresses: specs(...addresses) }),
      ...more,
    });
  };
}

function unassign(...addresses: readonly string[]): Call {
  return async (plane) => {
    const NetworkInterfaceId = await attached(plane, ['10.0.1.10', '10.0.1.11']);
    return plane.unassignPrivateIpAddresses({ NetworkInterfaceId, PrivateIpAddresses: specs(...addresses) });
  };
}

function attach(addresses: readonly string[], InstanceId: string, subnetId = A, vpcId = VPC): Call {
  return async (plane) => {
    const NetworkInterfaceId = await created(plane, addresses, subnetId, vpcId);
    return plane.attachNetworkInterface({ NetworkInterfaceId, InstanceId });
  };
}

describe('the control plane refuses', () => {
  const cases: readonly (readonly [string, Call, string])[] = [
    ['an ENI in a subnet that does not exist', create('subnet-zzzzzzzz', []), 'ResourceNotFound'],
    ['a subnet of another VPC', create(FOREIGN, []), 'ResourceNotFound'],
    ['an id that is none', create('A', []), 'InvalidParameterValue.Malformed'],
    ['an address that is none', create(A, ['10.0.1.256']), 'InvalidParameterValue.Malformed'],
    ['an address of another subnet', create(A, ['10.0.2.4']), 'InvalidParameterValue.Range'],
    ['the address of the gateway', create(A, ['10.0.1.1']), 'InvalidParameterValue.Reserved'],
    ['the last address of a subnet', create(A, ['10.0.1.255']), 'InvalidParameterValue.Reserved'],
    ["a VM's address", create(A, ['10.0.1.4']), 'ResourceInUse'],
    ["another machine's address", create(A, [CLIENT]), 'ResourceInUse'],
    [
      'more than 10 addresses at once',
      create(A, addressRange('10.0.1.20', 11)),
      'InvalidParameterValue.LimitExceeded',
    ],
    ['an address twice', create(A, ['10.0.1.20', '10.0.1.20']), 'InvalidParameterValue'],
    [
      'two primary addresses',
      create(A, [], {
        PrivateIpAddresses: specs('10.0.1.20', '10.0.1.21').map((each) => ({ ...each, Primary: true })),
      }),
      'InvalidParameterValue',
    ],
    [
      'an ENI with more addresses than any VM may have',
      create(A, [], { SecondaryPrivateIpAddressCount: 30 }),
      'LimitExceeded',
    ],
    [
      'more addresses than the subnet has',
      create(SMALL, [], { SecondaryPrivateIpAddressCount: 5 }),
      'ResourceInsufficient.Subnet',
    ],

    ['attaching to a VM that does not exist', attach(['10.0.1.20'], 'ins-zzzzzzzz'), 'ResourceNotFound'],
    [
      'attaching an ENI with more addresses than the VM lets one have',
      attach(addressRange('10.0.1.20', 3), SMALL_VM),
      'LimitExceeded',
    ],
    ['attaching across zones', attach(['10.0.3.4'], BIG_VM, OTHER_ZONE), 'UnsupportedOperation.ZoneMismatch'],
    [
      'attaching across VPCs',
      attach(['10.0.4.4'], BIG_VM, FOREIGN, OTHER_VPC),
      'UnsupportedOperation.VpcMismatch',
    ],

    ['assigning nothing', assign([]), 'MissingParameter'],
    ['assigning an address of another subnet', assign(['10.0.2.4']), 'InvalidParameterValue.Range'],
    ['assigning an address in use', assign(['10.0.1.5']), 'ResourceInUse'],
    ['assigning an address that it has', assign(['10.0.1.11']), 'ResourceInUse'],
    ['assigning the network', assign(['10.0.1.0']), 'InvalidParameterValue.Reserved'],
    ['assigning an address twice', assign(['10.0.1.20', '10.0.1.20']), 'InvalidParameterValue.DuplicatePara'],
    [
      'assigning more than 10 at once',
      assign(addressRange('10.0.1.20', 11)),
      'InvalidParameterValue.LimitExceeded',
    ],
    ['assigning more than the quota', assign([], { SecondaryPrivateIpAddressCount: 29 }), 'LimitExceeded'],
    [
      'assigning a primary address',
      assign([], { PrivateIpAddresses: [{ PrivateIpAddress: '10.0.1.20', Primary: true }] }),
      'UnsupportedOperation',
    ],

    ['unassigning the primary address', unassign('10.0.1.10'), 'UnsupportedOperation'],
    [
      'unassigning an address that is not there',
      unassign('10.0.1.12'),
      'UnsupportedOperation.AttachmentNotFound',
    ],
    [
      'unassigning an address twice',
      unassign('10.0.1.11', '10.0.1.11'),
      'InvalidParameterValue.DuplicatePara',
    ],
    [
      'a list of ids together with filters',
      (plane) => plane.describeNetworkInterfaces({ NetworkInterfaceIds: [], Filters: [] }),
      'InvalidParameter.Coexist',
    ],
    [
      'a filter that does not exist',
      (plane) => plane.describeNetworkInterfaces({ Filters: [{ Name: 'colour', Values: [] }] }),
      'InvalidParameter.FilterInvalidKey',
    ],
    [
      'an ENI that does not exist',
      (plane) => plane.describeNetworkInterfaces({ NetworkInterfaceIds: ['eni-zzzzzzzz'] }),
      'ResourceNotFound',
    ],
    [
      'the result of a task that does not exist',
      (plane) => plane.describeVpcTaskResult({ TaskId: 'none' }),
      'ResourceNotFound',
    ],
  ];

  test.each(cases)('%s', async (_, call, code) => {
    expect(await codeOf(call(cloud()))).toBe(code);
  });

  test('an ENI more than the VM may have', async () => {
    const plane = cloud();
    await attached(plane, ['10.0.1.10'], SMALL_VM);
    expect(await codeOf(attach(['10.0.1.11'], SMALL_VM)(plane))).toBe('LimitExceeded');
    for (const address of addressRange('10.0.1.20', 7)) await attached(plane, [address]);
    expect(await codeOf(attach(['10.0.1.30'], BIG_VM)(plane))).toBe('LimitExceeded');
  });

  test('an ENI in use', async () => {
    const plane = cloud();
    const NetworkInterfaceId = await attached(plane, ['10.0.1.10']);
    const on = (InstanceId: string) => ({ NetworkInterfaceId, InstanceId });
    const code = 'UnsupportedOperation.AttachmentAlreadyExists';
    expect(await codeOf(plane.attachNetworkInterface(on(SMALL_VM)))).toBe(code);
    expect(await codeOf(plane.attachNetworkInterface(on(BIG_VM)))).toBe(code);
    expect(await codeOf(plane.deleteNetworkInterface({ NetworkInterfaceId }))).toBe('ResourceInUse');
    expect(await codeOf(plane.detachNetworkInterface(on(SMALL_VM)))).toBe(
      'UnsupportedOperation.InvalidState',
    );
  });

  test('to take the primary ENI from its VM', async () => {
    const plane = cloud();
    const NetworkInterfaceId = await primaryOf(plane, BIG_VM);
    expect(await codeOf(plane.detachNetworkInterface({ NetworkInterfaceId, InstanceId: BIG_VM }))).toBe(
      'UnsupportedOperation',
    );
    expect(
      await codeOf(
        plane.migrateNetworkInterface({
          NetworkInterfaceId,
          SourceInstanceId: BIG_VM,
          DestinationInstanceId: SMALL_VM,
        }),
      ),
    ).toBe('UnsupportedOperation');
    expect(await codeOf(plane.deleteNetworkInterface({ NetworkInterfaceId }))).toBe('ResourceInUse');
  });

  test('to migrate an ENI that is not there, or to a VM that is full', async () => {
    const plane = cloud();
    const NetworkInterfaceId = await attached(plane, ['10.0.1.10']);
    await attached(plane, ['10.0.1.11'], SMALL_VM);
    const migrate = (SourceInstanceId: string, DestinationInstanceId: string) =>
      codeOf(plane.migrateNetworkInterface({ NetworkInterfaceId, SourceInstanceId, DestinationInstanceId }));
    expect(await migrate(SMALL_VM, BIG_VM)).toBe('UnsupportedOperation.AttachmentNotFound');
    expect(await migrate(BIG_VM, SMALL_VM)).toBe('LimitExceeded');
    expect(await migrate(BIG_VM, BIG_VM)).toBe('UnsupportedOperation');
  });

  test('to migrate an address that is primary, elsewhere, of another subnet or too many', async () => {
    const plane = cloud();
    const source = await attached(plane, ['10.0.1.10', '10.0.1.11']);
    const full = await attached(plane, ['10.0.1.20', '10.0.1.21'], SMALL_VM);
    const elsewhere = await created(plane, ['10.0.2.4'], SMALL);
    const migrate = (PrivateIpAddress: string, DestinationNetworkInterfaceId: string) =>
      codeOf(
        plane.migratePrivateIpAddress({
          SourceNetworkInterfaceId: source,
          DestinationNetworkInterfaceId,
          PrivateIpAddress,
        }),
      );
    expect(await migrate('10.0.1.10', full)).toBe('UnauthorizedOperation.PrimaryIp');
    expect(await migrate('10.0.1.12', full)).toBe('UnauthorizedOperation.AttachmentNotFound');
    expect(await migrate('10.0.1.11', elsewhere)).toBe('UnsupportedOperation');
    expect(await migrate('10.0.1.11', full)).toBe('LimitExceeded');
    expect(await migrate('10.0.1.11', 'eni-zzzzzzzz')).toBe('ResourceNotFound');
  });

  test('to do two things to one ENI at once', async () => {
    const plane = cloud();
    const NetworkInterfaceId = await created(plane, ['10.0.1.10']);
    const on = { NetworkInterfaceId, InstanceId: BIG_VM };
    const attaching = await plane.attachNetworkInterface(on);
    const more = { NetworkInterfaceId, SecondaryPrivateIpAddressCount: 1 };
    expect(await codeOf(plane.attachNetworkInterface(on))).toBe('UnsupportedOperation.InvalidState');
    expect(await codeOf(plane.detachNetworkInterface(on))).toBe('UnsupportedOperation.InvalidState');
    expect(await codeOf(plane.assignPrivateIpAddresses(more))).toBe('UnsupportedOperation.InvalidState');
    await plane.settled(attaching);
    const assigning = await plane.assignPrivateIpAddresses(more);
    expect(await codeOf(plane.assignPrivateIpAddresses(more))).toBe(
      'UnsupportedOperation.MutexOperationTaskRunning',
    );
    expect(await codeOf(plane.detachNetworkInterface(on))).toBe('UnsupportedOperation.InvalidState');
    await plane.settled(assigning);
    await plane.settled(await plane.detachNetworkInterface(on));
  });

  test('two VMs the same address at the same moment: one gets it', async () => {
    const plane = cloud();
    const one = await attached(plane, ['10.0.1.10']);
    const other = await attached(plane, ['10.0.1.11'], SMALL_VM);
    const ask = (NetworkInterfaceId: string) =>
      codeOf(plane.assignPrivateIpAddresses({ NetworkInterfaceId, PrivateIpAddresses: specs('10.0.1.50') }));
    expect(await Promise.all([ask(one), ask(other)])).toEqual(['accepted', 'ResourceInUse']);
  });
});

describe('the control plane answers first and works after it', () => {
  test('through the states of an ENI', async () => {
    const gates: (() => void)[] = [];
    const gate = () => new Promise<void>((resolve) => gates.push(resolve));
    const plane = cloud({ plug: gate, unplug: gate });
    const { NetworkInterface: eni, ...creating } = await plane.createNetworkInterface({
      VpcId: VPC,
      SubnetId: A,
      NetworkInterfaceName: 'test',
      SecondaryPrivateIpAddressCount: 2,
    });
    const { NetworkInterfaceId } = eni;
    expect(eni).toMatchObject({ State: 'PENDING', Attachment: null, MacAddress: '02:e0:0a:00:01:02' });
    await plane.settled(creating);
    const shown = await read(plane, NetworkInterfaceId);
    expect(shown.State).toBe('AVAILABLE');
    expect(shown.PrivateIpAddressSet).toMatchObject([
      { PrivateIpAddress: '10.0.1.2', Primary: true, State: 'AVAILABLE' },
      { PrivateIpAddress: '10.0.1.3', Primary: false },
      { PrivateIpAddress: '10.0.1.6', Primary: false },
    ]);

    const attaching = await plane.attachNetworkInterface({ NetworkInterfaceId, InstanceId: BIG_VM });
    expect(await read(plane, NetworkInterfaceId)).toMatchObject({
      State: 'ATTACHING',
      Attachment: { InstanceId: BIG_VM, DeviceIndex: 1 },
    });
    const result = () => plane.describeVpcTaskResult({ TaskId: attaching.RequestId });
    expect((await result()).Status).toBe('RUNNING');
    await openGate(gates);
    await plane.settled(attaching);
    expect((await result()).Status).toBe('SUCCESS');
    expect((await read(plane, NetworkInterfaceId)).State).toBe('AVAILABLE');

    const detaching = await plane.detachNetworkInterface({ NetworkInterfaceId, InstanceId: BIG_VM });
    expect((await read(plane, NetworkInterfaceId)).State).toBe('DETACHING');
    await openGate(gates);
    await plane.settled(detaching);
    expect(await read(plane, NetworkInterfaceId)).toMatchObject({ State: 'AVAILABLE', Attachment: null });

    const deleting = await plane.deleteNetworkInterface({ NetworkInterfaceId });
    expect((await read(plane, NetworkInterfaceId)).State).toBe('DELETING');
    await plane.settled(deleting);
    expect((await plane.describeNetworkInterfaces()).TotalCount).toBe(2);
  });

  test('through the states of an address, which is never on two ENIs', async () => {
    const plane = cloud();
    const one = await attached(plane, ['10.0.1.10', '10.0.1.12']);
    const other = await attached(plane, ['10.0.1.11', '10.0.1.13']);
    const mutex = 'UnsupportedOperation.MutexOperationTaskRunning';
    const migrate = (
      SourceNetworkInterfaceId: string,
      DestinationNetworkInterfaceId: string,
      PrivateIpAddress: string,
    ) =>
      plane.migratePrivateIpAddress({
        SourceNetworkInterfaceId,
        DestinationNetworkInterfaceId,
        PrivateIpAddress,
      });
    const stateOn = async (id: string) =>
      (await read(plane, id)).PrivateIpAddressSet.find(
        ({ PrivateIpAddress }) => PrivateIpAddress === '10.0.1.50',
      )?.State;
    const list = specs('10.0.1.50');
    const assigning = await plane.assignPrivateIpAddresses({
      NetworkInterfaceId: one,
      PrivateIpAddresses: list,
    });
    expect(await stateOn(one)).toBe('PENDING');
    await plane.settled(assigning);
    expect(await stateOn(one)).toBe('AVAILABLE');
    const migrating = await migrate(one, other, '10.0.1.50');
    expect([await stateOn(one), await stateOn(other)]).toEqual(['MIGRATING', undefined]);
    expect(await codeOf(migrate(one, other, '10.0.1.12'))).toBe(mutex);
    expect(await codeOf(migrate(other, one, '10.0.1.13'))).toBe(mutex);
    await plane.settled(migrating);
    expect([await stateOn(one), await stateOn(other)]).toEqual([undefined, 'AVAILABLE']);
    const going = await plane.unassignPrivateIpAddresses({
      NetworkInterfaceId: other,
      PrivateIpAddresses: list,
    });
    expect(await stateOn(other)).toBe('DELETING');
    await plane.settled(going);
    expect(await stateOn(other)).toBeUndefined();
  });

  test('and says that a task failed, and why', async () => {
    const plane = cloud({ plug: () => Promise.reject(new Error('no such namespace')) });
    const NetworkInterfaceId = await created(plane, ['10.0.1.10']);
    const answer = await plane.attachNetworkInterface({ NetworkInterfaceId, InstanceId: BIG_VM });
    await expect(plane.settled(answer)).rejects.toThrow('no such namespace');
    expect(await plane.describeVpcTaskResult({ TaskId: answer.RequestId })).toMatchObject({
      Status: 'FAILED',
      Output: 'no such namespace',
    });
    expect((await read(plane, NetworkInterfaceId)).State).toBe('ATTACHING');
    const again = plane.attachNetworkInterface({ NetworkInterfaceId, InstanceId: BIG_VM });
    expect(await codeOf(again)).toBe('UnsupportedOperation.InvalidState');
  });
});

async function openGate(gates: (() => void)[]): Promise<void> {
  await expect.poll(() => gates.length).toBe(1);
  gates.pop()?.();
}

test('the quota is that of the product, ENIs and addresses of each', () => {
  const sizes = [
    [1, 1],
    [1, 2],
    [2, 4],
    [4, 8],
    [4, 16],
    [4, 32],
    [8, 16],
    [12, 24],
    [16, 32],
  ] as const;
  const rows = sizes.map(([cores, memoryGb]) => Object.values(eniQuota({ cores, memoryGb })));
  expect(rows).toEqual([
    [2, 2],
    [2, 6],
    [2, 10],
    [4, 10],
    [4, 10],
    [4, 20],
    [6, 20],
    [6, 20],
    [8, 30],
  ]);
});
