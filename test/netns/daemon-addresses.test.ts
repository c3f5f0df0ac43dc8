/** Private IPs that are assigned and unassigned while the daemon runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, INTERVAL_MS, inSync, waitForAddresses } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';

const STAYING = addressRange('10.0.1.4', 3);
const COMING = addressRange('10.0.1.20', 5);
const APPEAR_MS = INTERVAL_MS + 1_000;
/** Files that were written later are read each time. */
const FILES_SETTLE_MS = 1_100;
/** Two equal answers are asked for. */
const VANISH_MS = 2 * INTERVAL_MS + 1_000;

describe('five addresses', () => {
  test.each([
    { nic: 'a secondary NIC', staying: STAYING, coming: COMING, link: 'eth1' },
    { nic: 'the primary NIC', staying: [VM_ADDRESS], coming: addressRange('10.0.0.20', 5), link: 'eth0' },
  ])('come to and go from $nic, and the others are not touched', async ({ staying, coming, link }) => {
    const lab = await openLab();
    const eni = await lab.attachEni({ addresses: STAYING });
    const mac = link === 'eth0' ? lab.primary.mac : eni.mac;
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    await daemon.waitForStatus(inSync(eni.mac));
    const session = await lab.openSession({ from: 'outside', to: staying[0] ?? '' });
    const stop = session.keepExchanging();
    const monitor = await lab.vm.monitor();

    for (const address of coming) await lab.assignAddress(mac, address);
    await waitForAddresses(lab.vm, link, [...staying, ...coming], APPEAR_MS);
    expect(brokenCells(await lab.matrix([...staying, ...coming]))).toEqual([]);

    for (const address of coming) await lab.unassignAddress(mac, address);
    await waitForAddresses(lab.vm, link, staying, VANISH_MS);
    expect(brokenCells(await lab.matrix(staying))).toEqual([]);

    expect(await stop()).toBeGreaterThan(1);
    expect(await session.retransmissions()).toBe(0);
    const touched = monitor
      .lines()
      .filter(({ text }) => text.startsWith('[ADDR]') && text.includes(' inet '));
    expect(touched.filter(({ text }) => !coming.some((address) => text.includes(` ${address}/`)))).toEqual(
      [],
    );
    // Each came once and went once.
    expect(touched).toHaveLength(2 * coming.length);
  });
});

test('one is there with the first run that knows of it, though nothing else has changed', async () => {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: STAYING });
  // No run but those that are rung for here.
  const daemon = await lab.vm.startDaemon({ config: 'daemon: { resyncInterval: 1h }\n' });
  await daemon.waitForStatus(inSync(mac));
  /** A run that the kernel rings for asks nobody. */
  const asking = () => daemon.log().filter(({ msg, trigger }) => msg === 'run' && trigger !== 'kernel');
  const touch = () => lab.vm.run('touch', [lab.vm.path('/run/eni-agent/wake')]);
  const ring = async () => {
    const before = asking().length;
    await touch();
    await daemon.waitForLog(() => asking().length > before);
    return asking()[before];
  };
  // That it appears is one event and its time another, with a run for each; from then on a touch is one.
  await touch();
  await sleep(FILES_SETTLE_MS);
  expect(await ring()).toMatchObject({ outcome: 'in-sync' });
  await lab.assignAddress(mac, '10.0.1.60');
  expect(await ring()).toMatchObject({ outcome: 'applied' });
  await waitForAddresses(lab.vm, 'eth1', [...STAYING, '10.0.1.60']);
});
