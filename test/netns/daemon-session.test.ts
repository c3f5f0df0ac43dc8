/** Invariant 11 while the daemon runs: a connection that works before and after is answered by the right NIC in between. */
import { expect, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, sized, waitForNetwork } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';

test("a client in the new ENI's subnet keeps its session with the primary through attach and detach", async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const bare = await networkOf(lab.vm);
  const session = await lab.openSession({ from: 'client-10.0.1', to: VM_ADDRESS });
  const stop = session.keepExchanging();
  for (let count = 0; count < sized(1, 20); count += 1) {
    const { mac } = await lab.attachEni({ addresses: addressRange('10.0.1.4', 10) });
    await daemon.waitForStatus(inSync(mac));
    await lab.detachEni(mac);
    await waitForNetwork(lab.vm, bare);
  }
  expect(await stop()).toBeGreaterThan(1);
  expect(await session.retransmissions()).toBe(0);
  await session.close();
});
