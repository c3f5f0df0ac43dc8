/** What SECURITY.md says of somebody who answers in the place of the metadata service: what he gets, what he does not, and that it passes. */
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, waitForAddresses, waitForNetwork } from '../lab/settled.ts';

/** The client outside, whose address the VM is told to be its own. */
const CLIENT = '203.0.113.250';

test('whoever answers for the metadata service moves traffic, and touches nothing else', async () => {
  const lab = await openLab();
  const eni = await lab.attachEni({ addresses: ['10.0.1.4'] });
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(eni.mac));
  const right = await networkOf(lab.vm);
  const session = await lab.openSession({ from: 'client-10.0.0', to: lab.vm.address });

  const nic = `network/interfaces/macs/${eni.mac.toUpperCase()}/`;
  await lab.metadata.fault({
    mode: 'answers',
    answers: {
      [`${nic}local-ipv4s/`]: `203.0.113.4/\n${CLIENT}/`,
      [`${nic}primary-local-ipv4`]: '203.0.113.4',
      [`${nic}local-ipv4s/203.0.113.4/subnet-mask`]: '128.0.0.0',
      [`${nic}local-ipv4s/203.0.113.4/gateway`]: '203.0.113.1',
    },
  });
  await waitForAddresses(lab.vm, 'eth1', ['203.0.113.4', CLIENT]);
  expect((await lab.connect({ from: 'outside', to: lab.vm.address })).outcome).not.toBe('ok');
  await session.exchange();
  await lab.assertUntouched();
  const { stdout } = await lab.vm.run('find', [
    lab.vm.root,
    '-newer',
    lab.vm.path('/etc/eni-agent/config.yaml'),
    '-type',
    'f',
  ]);
  const written = stdout.split('\n').map((file) => file.replace(lab.vm.root, ''));
  expect(written.filter((file) => !/^\/(?:run|var\/lib)\/eni-agent\/|-eth1$/.test(file))).toEqual([]);

  await lab.metadata.fault(null);
  await waitForNetwork(lab.vm, right);
  expect(brokenCells(await lab.matrix([lab.vm.address, '10.0.1.4']))).toEqual([]);
});
