/** Addresses that others put on a NIC: the agent gives them their rules and nothing else. Keepalived itself: keepalived.test.ts. */
import { expect, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync } from '../lab/settled.ts';
import { bound, until } from '../lab/until.ts';
import { ruleLags } from '../lab/vip-history.ts';

const HAVIPS = [
  ['10.0.0.100', 'eth0'],
  ['10.0.1.100', 'eth1'],
] as const;
const RULE_MS = bound(1_000);

test('its rule comes and goes within a second, on any NIC, also while the metadata service keeps the daemon waiting', async () => {
  const lab = await openLab();
  const monitor = await lab.vm.monitor();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await daemon.waitForStatus(inSync(mac));
  await lab.metadata.fault({ mode: 'hang' });
  const requests = async (): Promise<number> => (await lab.metadata.requests()).length;
  const lags = () => HAVIPS.map(([address]) => ruleLags(monitor, address));
  for (const [index, action] of ['add', 'del'].entries()) {
    const before = await requests();
    await until({ what: 'a request that hangs', read: requests, holds: (count) => count > before });
    for (const [address, ifname] of HAVIPS)
      await lab.vm.run('ip', ['address', action, `${address}/32`, 'dev', ifname]);
    const seen = await until({
      what: `the rules have followed ${action}`,
      read: lags,
      holds: (all) => all.every((each) => each.length > index && each.every(Number.isFinite)),
    });
    expect(Math.max(...seen.flat()), action).toBeLessThan(RULE_MS);
  }
});
