/** The order of the boot below a real systemd: who waits for the network finds every address, beside whoever else sets it up. As root alone. */
import { expect, onTestFinished, test } from 'vitest';
import {
  addUnits,
  CLOUD_INIT,
  EARLY_CLOUD_INIT,
  forgetNetwork,
  NETWORK_MANAGER,
  NETWORK_SERVICE,
  NETWORKD,
  OLD_CLOUD_INIT,
  type Units,
  whatWaiterSaw,
} from '../lab/boot-units.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { addDropIns, bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import { inSync, sized } from '../lab/settled.ts';
import { bound } from '../lab/until.ts';

const BOOT = 'eni-agent-boot.service';
const ALL: Units = { ...NETWORK_SERVICE, ...NETWORK_MANAGER, ...NETWORKD, ...OLD_CLOUD_INIT };
/** Of the command; half of it passes before the last good answer is taken. */
const TIMEOUT_S = 2;
const QUICK = `[Service]\nExecStart=\nExecStart=/usr/bin/eni-agent boot --timeout ${TIMEOUT_S}s\n`;

/** A VM that was set up before it went down: the files and the last good answer are there. */
async function configuredVm(): Promise<{ lab: Lab; mac: string }> {
  const lab = await openLab();
  await lab.assignAddress(lab.primary.mac, '10.0.0.5');
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  await forgetNetwork(lab.vm);
  return { lab, mac };
}

async function boot(lab: Lab): Promise<ServiceManager> {
  await addDropIns(lab.vm, { [BOOT]: QUICK });
  const manager = await bootSystemd(lab.vm);
  onTestFinished(() => manager.end());
  return manager;
}

/** Systemd breaks a cycle by leaving out a unit, which then nobody has started. */
async function leftOut(manager: ServiceManager, units: Units): Promise<readonly string[]> {
  const names = [BOOT, 'network-online.target', 'waiter.service', ...Object.keys(units)];
  const states = await Promise.all(names.map((name) => manager.show(name, 'Id', 'ActiveState')));
  return states.filter((state) => state['ActiveState'] !== 'active').map((state) => state['Id'] ?? '');
}

/** Whoever sets up networks and had not ended when the one shot began: beside them it would work against them. */
async function metUnderWay(manager: ServiceManager, units: Units): Promise<readonly string[]> {
  const [start, exit] = ['ExecMainStartTimestampMonotonic', 'ExecMainExitTimestampMonotonic'];
  const begun = Number((await manager.show(BOOT, start))[start]);
  const before = Object.keys(units).filter((name) =>
    /^(?:network|NetworkManager|systemd-networkd|cloud-init-local)/.test(name),
  );
  const ends = await Promise.all(before.map(async (name) => Number((await manager.show(name, exit))[exit])));
  return before.filter((_, index) => (ends[index] ?? 0) > begun);
}

function expectEverythingIn(seen: string): void {
  for (const address of ['10.0.0.4', '10.0.0.5', '10.0.1.4', '10.0.1.5']) {
    expect(seen).toContain(` inet ${address}/24 `);
    expect(seen).toContain(`from ${address} lookup 2100`);
  }
  expect(seen).toContain('oif eth1 lookup 21001');
}

test('with the metadata down, beside all that sets up networks at once: whoever waits for the network finds what the cloud had assigned', async () => {
  const { lab, mac } = await configuredVm();
  await lab.metadata.down();
  await addUnits(lab.vm, ALL);
  const manager = await boot(lab);
  expectEverythingIn(await whatWaiterSaw(lab.vm));
  expect(await leftOut(manager, ALL)).toEqual([]);
  expect(await metUnderWay(manager, ALL)).toEqual([]);
  expect(await manager.show(BOOT, 'Result', 'ExecMainStatus')).toEqual({
    Result: 'success',
    ExecMainStatus: '3',
  });
  await lab.metadata.up();
  await manager.waitForStatus(inSync(mac));
});

test('the first boot with the metadata down waits no longer than it may, and goes on when somebody answers', async () => {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await lab.metadata.down();
  await addUnits(lab.vm, NETWORK_SERVICE);
  const manager = await boot(lab);
  const ran = await manager.show(BOOT, 'ExecMainStatus', 'ExecMainStartTimestampMonotonic');
  const waiter = await manager.show('waiter.service', 'Result', 'ExecMainStartTimestampMonotonic');
  expect(ran).toMatchObject({ ExecMainStatus: '1' });
  expect(waiter).toMatchObject({ Result: 'success' });
  const key = 'ExecMainStartTimestampMonotonic';
  expect((Number(waiter[key]) - Number(ran[key])) / 1e6).toBeLessThan(bound(TIMEOUT_S + 2.5));
  await lab.metadata.up();
  await manager.waitForStatus(inSync(mac));
});

test.each(
  sized<readonly (readonly [string, Units])[]>(
    [],
    [
      ['nobody', {}],
      ['network.service', NETWORK_SERVICE],
      ['network.service and an old cloud-init', { ...NETWORK_SERVICE, ...OLD_CLOUD_INIT }],
      ['network.service and cloud-init', { ...NETWORK_SERVICE, ...CLOUD_INIT }],
      ['NetworkManager', NETWORK_MANAGER],
      ['NetworkManager and cloud-init', { ...NETWORK_MANAGER, ...CLOUD_INIT }],
      [
        'NetworkManager, network.service and cloud-init',
        { ...NETWORK_MANAGER, ...NETWORK_SERVICE, ...CLOUD_INIT },
      ],
      ['systemd-networkd', NETWORKD],
      ['systemd-networkd and an early cloud-init', { ...NETWORKD, ...EARLY_CLOUD_INIT }],
    ],
  ),
)('beside %s the order has no cycle, and every address is there for whoever waits', async (_, units) => {
  const { lab, mac } = await configuredVm();
  await addUnits(lab.vm, units);
  const manager = await boot(lab);
  expectEverythingIn(await whatWaiterSaw(lab.vm));
  expect(await leftOut(manager, units)).toEqual([]);
  expect(await metUnderWay(manager, units)).toEqual([]);
  expect(await manager.show(BOOT, 'Result', 'ExecMainStatus')).toEqual({
    Result: 'success',
    ExecMainStatus: '0',
  });
  await manager.waitForStatus(inSync(mac));
});

test.each(sized<readonly string[]>([], ['cloud-init.service']))(
  'after %s it would be a cycle, which is seen',
  async (unit) => {
    const { lab } = await configuredVm();
    await addUnits(lab.vm, ALL);
    await addDropIns(lab.vm, { [BOOT]: `[Unit]\nAfter=${unit}\n` });
    const manager = await bootSystemd(lab.vm);
    onTestFinished(() => manager.end());
    expect(await leftOut(manager, ALL)).toHaveLength(1);
  },
);
