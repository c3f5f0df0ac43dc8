/** An address that others put on a NIC: the agent gives it its rule and nothing else. Keepalived itself: keepalived.test.ts. */
import { expect, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync } from '../lab/settled.ts';
import { until } from '../lab/until.ts';
import { ruleLags } from '../lab/vip-history.ts';

const HAVIP = '10.0.1.100';
const RULE_MS = 1_000;

test('its rule comes and goes within a second, also while the metadata service keeps the daemon waiting', async () => {
  const lab = await openLab();
  const monitor = await lab.vm.monitor();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await daemon.waitForStatus(inSync(mac));
  await lab.metadata.fault({ mode: 'hang' });
  const requests = async (): Promise<number> => (await lab.metadata.requests()).length;
  for (const action of ['add', 'del']) {
    const before = await requests();
    await until({ what: 'a request that hangs', read: requests, holds: (count) => count > before });
    await lab.vm.run('ip', ['address', action, `${HAVIP}/32`, 'dev', 'eth1']);
    const lags = await until({
      what: 'the rule has followed',
      read: () => ruleLags(monitor, HAVIP),
      holds: (all) => all.length === (action === 'add' ? 1 : 2) && all.every(Number.isFinite),
    });
    expect(lags.at(-1), action).toBeLessThan(RULE_MS);
  }
});
