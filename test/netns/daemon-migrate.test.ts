/** High availability: ENIs and private IPs that move between two VMs, each with its daemon. */
import { describe, expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { coverageOf } from '../lab/presence.ts';
import { EVERY_SECOND, INTERVAL_MS, inSync, sized } from '../lab/settled.ts';
import { addressRange } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';

const ADDRESSES = addressRange('10.0.1.4', 4);
const MOVING = '10.0.1.50';
const ON_BOTH_MS = bound(2 * INTERVAL_MS + 1_000);
const ON_NONE_MS = bound(INTERVAL_MS + 1_000);
const HOSTS = ['vm', 'vm2'];

async function waitForAnswers(lab: Lab, addresses: readonly string[], vm: number): Promise<void> {
  const answering = async (to: string) => (await lab.connect({ from: 'outside', to })).answer?.host;
  await until({
    what: `VM ${vm} answers on every address`,
    read: () => Promise.all(addresses.map(answering)),
    holds: (hosts) => hosts.every((host) => host === HOSTS[vm]),
  });
}

async function waitForNoRule(lab: Lab, vm: number, text: string): Promise<void> {
  await until({
    what: `VM ${vm} has no rule with ${text}`,
    read: async () => (await lab.vms[vm]?.run('ip', ['rule']))?.stdout ?? '',
    holds: (rules) => !rules.includes(text),
  });
}

describe('an ENI', () => {
  test('that migrates there and back is configured where it is, and never on both', async () => {
    const lab = await openLab({ vms: 2 });
    const monitors = await Promise.all(lab.vms.map((vm) => vm.monitor()));
    await Promise.all(lab.vms.map((vm) => vm.startDaemon({ config: EVERY_SECOND })));
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await waitForAnswers(lab, ADDRESSES, 0);
    for (let count = 0; count < sized(2, 40); count += 1) {
      const from = count % 2;
      await lab.migrateEni(mac, 1 - from);
      await waitForAnswers(lab, ADDRESSES, 1 - from);
      await waitForNoRule(lab, from, '10.0.1.');
    }
    for (const address of ADDRESSES) expect(coverageOf(monitors, address).onBothMs).toBe(0);
  });
});

describe('a private IP', () => {
  test('that migrates is on both or on none for a moment at most', async () => {
    const lab = await openLab({ vms: 2 });
    const monitors = await Promise.all(lab.vms.map((vm) => vm.monitor()));
    const daemons = await Promise.all(lab.vms.map((vm) => vm.startDaemon({ config: EVERY_SECOND })));
    const [one, other] = [
      await lab.attachEni({ addresses: ['10.0.1.4', MOVING] }),
      await lab.attachEni({ addresses: ['10.0.1.5'], vm: 1 }),
    ];
    await daemons[0]?.waitForStatus(inSync(one.mac));
    await daemons[1]?.waitForStatus(inSync(other.mac));
    for (let count = 0; count < sized(2, 40); count += 1) {
      const from = count % 2;
      const [source, target] = from === 0 ? [one.mac, other.mac] : [other.mac, one.mac];
      await lab.migrateAddress(MOVING, source, target);
      await waitForAnswers(lab, [MOVING], 1 - from);
      await waitForNoRule(lab, from, MOVING);
    }
    const { onBothMs, onNoneMs } = coverageOf(monitors, MOVING);
    expect(onBothMs).toBeGreaterThan(0);
    expect(onBothMs).toBeLessThan(ON_BOTH_MS);
    expect(onNoneMs).toBeLessThan(ON_NONE_MS);
  });
});
