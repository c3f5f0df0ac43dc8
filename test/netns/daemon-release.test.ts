/** Giving back while the daemon runs. */
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { inSync, networkOf, waitForNetwork } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';

const ADDRESSES = addressRange('10.0.1.4', 4);

test('release --all gives the network back, across a restart; reconfigure --all takes it up again', async () => {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  await lab.assignAddress(lab.primary.mac, '10.0.0.7');
  // A link that the agent has set up stays up.
  await lab.vm.run('ip', ['link', 'set', 'eth1', 'up']);
  const before = await networkOf(lab.vm);
  const first = await lab.vm.startDaemon();
  await first.waitForStatus(inSync(mac));
  const managed = await networkOf(lab.vm);

  expect((await lab.vm.agent(['release', '--all'])).exitCode).toBe(0);
  await waitForNetwork(lab.vm, before, 0);
  const runs = first.runs();
  first.reload();
  await first.waitForLog(() => first.runs() > runs);
  await waitForNetwork(lab.vm, before, 0);

  expect((await first.stop()).exitCode).toBe(0);
  const second = await lab.vm.startDaemon();
  await second.waitForLog(() => second.runs() > 0);
  await waitForNetwork(lab.vm, before, 0);
  const { interfaces } = await second.status();
  expect(interfaces.find((nic) => nic.mac === mac)?.state).toBe('released');

  expect((await lab.vm.agent(['reconfigure', '--all'])).exitCode).toBe(0);
  await waitForNetwork(lab.vm, managed, 0);
  await second.waitForStatus(inSync(mac));
  expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.0.7', ...ADDRESSES]))).toEqual([]);
});
