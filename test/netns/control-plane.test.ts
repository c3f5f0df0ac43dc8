/** The control plane over a real network: what its answers promise is so on the wire, from the first ENI to the last address. */
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { NetworkInterface } from '../lab/control-plane/api.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { subnetOf, VPC_ID } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const PRIMARY = '10.0.1.4';
const SECOND = '10.0.1.5';
const LIST = [{ PrivateIpAddress: SECOND }];

async function read({ controlPlane }: Lab, id: string): Promise<NetworkInterface | undefined> {
  const { NetworkInterfaceSet } = await controlPlane.describeNetworkInterfaces({ NetworkInterfaceIds: [id] });
  return NetworkInterfaceSet[0];
}

/** As a client of the API waits. */
async function waitForTask(lab: Lab, answered: Promise<{ RequestId: string }>): Promise<void> {
  const { RequestId } = await answered;
  await until({
    what: `the task ${RequestId} is over`,
    read: () => lab.controlPlane.describeVpcTaskResult({ TaskId: RequestId }),
    holds: ({ Status }) => Status === 'SUCCESS',
  });
}

async function create(lab: Lab, address: string): Promise<string> {
  const creating = lab.controlPlane.createNetworkInterface({
    VpcId: VPC_ID,
    SubnetId: subnetOf(address).id,
    NetworkInterfaceName: 'web',
    PrivateIpAddresses: [{ PrivateIpAddress: address, Primary: true }],
  });
  await waitForTask(lab, creating);
  return (await creating).NetworkInterface.NetworkInterfaceId;
}

test('an ENI of a small VM lives from its creation to its deletion, with traffic, within the quota', async () => {
  const lab = await openLab({ vms: 2, instance: { cores: 1, memoryGb: 1 } });
  const { controlPlane: plane, vms } = lab;
  const [first = '', second = ''] = vms.map(({ instanceId }) => instanceId);
  const host = async (to: string) => (await lab.connect({ from: 'outside', to })).answer?.host;
  const links = async () => (await lab.vm.run('ip', ['-o', 'link'])).stdout;

  const id = await create(lab, PRIMARY);
  const eni = await read(lab, id);
  expect(eni).toMatchObject({ State: 'AVAILABLE', Attachment: null });
  expect(await links()).not.toContain(eni?.MacAddress);

  const attaching = plane.attachNetworkInterface({ NetworkInterfaceId: id, InstanceId: first });
  await attaching;
  expect(await read(lab, id)).toMatchObject({ State: 'ATTACHING', Attachment: { InstanceId: first } });
  await waitForTask(lab, attaching);
  expect(await read(lab, id)).toMatchObject({ State: 'AVAILABLE', Attachment: { DeviceIndex: 1 } });
  expect(await links()).toContain(eni?.MacAddress);
  await waitForTask(
    lab,
    plane.assignPrivateIpAddresses({ NetworkInterfaceId: id, PrivateIpAddresses: LIST }),
  );
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  expect(brokenCells(await lab.matrix([PRIMARY, SECOND]))).toEqual([]);

  const third = await create(lab, '10.0.2.4');
  await expect(
    plane.attachNetworkInterface({ NetworkInterfaceId: third, InstanceId: first }),
  ).rejects.toMatchObject({ Code: 'LimitExceeded' });
  await expect(
    plane.assignPrivateIpAddresses({ NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: 1 }),
  ).rejects.toMatchObject({ Code: 'LimitExceeded' });
  await expect(lab.attachEni({ addresses: [SECOND], vm: 1 })).rejects.toMatchObject({
    Code: 'ResourceInUse',
  });

  await waitForTask(
    lab,
    plane.migrateNetworkInterface({
      NetworkInterfaceId: id,
      SourceInstanceId: first,
      DestinationInstanceId: second,
    }),
  );
  expect(await host(PRIMARY)).toBeUndefined();
  expect((await vms[1]?.agent(['reconfigure']))?.exitCode).toBe(0);
  expect([await host(PRIMARY), await host(SECOND)]).toEqual(['vm2', 'vm2']);

  await waitForTask(
    lab,
    plane.unassignPrivateIpAddresses({ NetworkInterfaceId: id, PrivateIpAddresses: LIST }),
  );
  expect([await host(PRIMARY), await host(SECOND)]).toEqual(['vm2', undefined]);
  await waitForTask(lab, plane.detachNetworkInterface({ NetworkInterfaceId: id, InstanceId: second }));
  expect(await host(PRIMARY)).toBeUndefined();
  await waitForTask(lab, plane.deleteNetworkInterface({ NetworkInterfaceId: id }));
  await expect(read(lab, id)).rejects.toMatchObject({ Code: 'ResourceNotFound' });

  const announced = await lab.announceEni({ addresses: [PRIMARY] });
  expect((await read(lab, announced.id))?.State).toBe('ATTACHING');
  await expect(lab.detachEni(announced.mac)).rejects.toMatchObject({
    Code: 'UnsupportedOperation.InvalidState',
  });
  await lab.plugIn(announced.mac);
  expect((await read(lab, announced.id))?.State).toBe('AVAILABLE');
  await lab.detachEni(announced.mac);
});
