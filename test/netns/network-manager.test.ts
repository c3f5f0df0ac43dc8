/** With Debian's NetworkManager: profiles that it reads, without a flap, and without what it does to a NIC that no profile claims. */
import { copyFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Diagnosis } from '../../src/doctor/judge.ts';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import type { Monitor } from '../lab/monitor.ts';
import { installNetworkManager, startNetworkManager } from '../lab/network-manager.ts';
import { openLab } from '../lab/open-lab.ts';
import { alarms, EVERY_SECOND, inSync, sized, waitForAddresses } from '../lab/settled.ts';
import { macFor } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const PROFILE = '/etc/NetworkManager/system-connections/eni-agent-eth1.nmconnection';
const ACTIVE = 'connected eni-agent-eth1';
const EXTERNAL = 'connected (externally) eth1';
const ADDRESSES = ['10.0.1.4', '10.0.1.5', '10.0.1.6'];
const VIP = '10.0.1.100';

async function openManagedLab(): Promise<Lab> {
  const lab = await openLab();
  await installNetworkManager(lab.vm);
  return lab;
}

/** When one of these addresses went. */
function lossesOf(monitor: Monitor, addresses: readonly string[]): readonly string[] {
  return monitor
    .lines()
    .map(({ text }) => text)
    .filter((text) =>
      addresses.some((address) => text.startsWith('[ADDR]Deleted') && text.includes(` ${address}/`)),
    );
}

/** Default routes by eth1 that main had at any time. */
function secondDefaults(monitor: Monitor): readonly string[] {
  return monitor
    .lines()
    .map(({ text }) => text)
    .filter((text) => /^\[ROUTE\](Deleted )?default .*eth1/.test(text) && !text.includes(' table '));
}

/** How often the link came up. */
function ups(monitor: Monitor, ifname: string): number {
  const states = monitor
    .lines()
    .filter(({ text }) => text.startsWith('[LINK]') && text.includes(` ${ifname}`))
    .map(({ text }) => /[<,]LOWER_UP[,>]/.test(text));
  return states.filter((isUp, index) => isUp && states[index - 1] !== true).length;
}

/** Addresses, rules and routes of the NIC, whoever set them, without what lives in the kernel alone (decision 4). */
async function networkOf(vm: Vm): Promise<string> {
  const read = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await vm.run('ip', ['-4', ...args])).stdout
      .split('\n')
      .map((line) => line.replaceAll(/ (proto|metric) \w+/g, '').trim());
  const addresses = (await read('-o', 'addr', 'show', 'dev', 'eth1')).map(
    (line) => / inet (\S+)/.exec(line)?.[1] ?? '',
  );
  const rules = (await read('rule')).filter((line) => line.startsWith('21001:'));
  const routes = (await read('route', 'show', 'table', '21001')).filter((line) =>
    /^(default|10\.0\.1\.0\/24) /.test(line),
  );
  return [addresses.toSorted(), [...new Set(rules)].toSorted(), [...new Set(routes)].toSorted()]
    .flat()
    .join('\n');
}

test('a NIC that is plugged in is brought up by its profile, and what others add there survives all that follows', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const manager = await startNetworkManager(vm);
  const daemon = await vm.startDaemon({ config: EVERY_SECOND });
  const monitor = await vm.monitor();
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  await daemon.waitForStatus(inSync(mac));
  await manager.waitForState('eth1', ACTIVE);
  expect(brokenCells(await lab.matrix(ADDRESSES))).toEqual([]);

  await vm.run('ip', ['addr', 'add', `${VIP}/32`, 'dev', 'eth1']);
  await lab.assignAddress(mac, '10.0.1.7');
  await waitForAddresses(vm, 'eth1', [...ADDRESSES, '10.0.1.7', VIP]);
  await until({
    what: 'the profile has it',
    read: () => vm.readFile(PROFILE),
    holds: (text) => text.includes('10.0.1.7/24'),
  });
  await lab.unassignAddress(mac, '10.0.1.5');
  const left = ['10.0.1.4', '10.0.1.6', '10.0.1.7'];
  await waitForAddresses(vm, 'eth1', [...left, VIP]);
  await until({
    what: 'NetworkManager has read it',
    read: async () =>
      (await manager.nmcli('-g', 'ipv4.addresses', 'connection', 'show', 'eni-agent-eth1')).stdout,
    holds: (text) => text === '10.0.1.4/24, 10.0.1.6/24, 10.0.1.7/24',
  });
  await manager.nmcli('connection', 'reload');
  await manager.restart('SIGTERM');
  await manager.waitForState('eth1', ACTIVE);
  const assigning = lab.assignAddress(mac, '10.0.1.8');
  await manager.restart('SIGKILL');
  await assigning;
  await waitForAddresses(vm, 'eth1', [...left, '10.0.1.8', VIP]);
  await manager.waitForState('eth1', ACTIVE);
  await daemon.waitForStatus(inSync(mac));

  expect(brokenCells(await lab.matrix([...left, '10.0.1.8']))).toEqual([]);
  expect(lossesOf(monitor, [...left, VIP])).toEqual([]);
  expect(secondDefaults(monitor)).toEqual([]);
  expect(ups(monitor, 'eth1')).toBe(1);

  await lab.detachEni(mac);
  await until({
    what: 'NetworkManager has forgotten it',
    read: async () => (await manager.nmcli('-g', 'NAME', 'connection')).stdout,
    holds: (text) => !text.includes('eni-agent-eth1'),
  });
  expect(alarms(daemon.log())).toEqual([]);
});

test('no NIC gets a second default route, whoever it belongs to and however fast DHCP answers', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const manager = await startNetworkManager(vm);
  const daemon = await vm.startDaemon({ config: EVERY_SECOND });
  await until({
    what: 'NetworkManager knows what to do with a NIC that it does not know',
    read: async () => (await manager.nmcli('-g', 'NAME', 'connection')).stdout,
    holds: (text) => text.split('\n').includes('eni-agent-unclaimed'),
  });
  const [address = ''] = ADDRESSES;
  await lab.serveDhcp([{ mac: macFor(address), address }]);
  const monitor = await vm.monitor();
  const { mac } = await lab.attachEni({ addresses: ADDRESSES, listed: false });
  await manager.waitForState('eth1', 'connected eni-agent-unclaimed');
  expect((await vm.run('ip', ['addr', 'show', 'eth1'])).stdout).toContain(`inet ${address}/24`);
  await lab.metadata.show(mac);
  await daemon.waitForStatus(inSync(mac));
  await manager.waitForState('eth1', ACTIVE);
  expect(brokenCells(await lab.matrix(ADDRESSES))).toEqual([]);

  for (let count = 0; count < sized(1, 20); count += 1) {
    await lab.detachEni(mac);
    await daemon.waitForStatus(({ interfaces }) => interfaces.length === 1);
    await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    await manager.waitForState('eth1', ACTIVE);
  }
  expect(brokenCells(await lab.matrix(ADDRESSES))).toEqual([]);
  expect(secondDefaults(monitor)).toEqual([]);
  expect(alarms(daemon.log())).toEqual([]);
});

test('after a reboot NetworkManager alone makes the same of the files', async () => {
  const lab = await openManagedLab();
  await startNetworkManager(lab.vm);
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  await daemon.waitForStatus(inSync(mac));

  const rebooted = await openManagedLab();
  await copyFile(lab.vm.path(PROFILE), rebooted.vm.path(PROFILE));
  const eni = await rebooted.attachEni({ addresses: ADDRESSES });
  expect(eni.mac).toBe(mac);
  const manager = await startNetworkManager(rebooted.vm);
  await manager.waitForState('eth1', ACTIVE);
  expect(await networkOf(rebooted.vm)).toBe(await networkOf(lab.vm));
});

test('one that starts after the agent takes the NIC as it is, and is told of a profile without activating it', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const daemon = await vm.startDaemon({ config: `${EVERY_SECOND}persistence:\n  backend: none\n` });
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  await daemon.waitForStatus(inSync(mac));
  await vm.run('ip', ['addr', 'add', `${VIP}/32`, 'dev', 'eth1']);
  const monitor = await vm.monitor();
  const manager = await startNetworkManager(vm);
  await manager.waitForState('eth1', EXTERNAL);
  await vm.writeConfig(EVERY_SECOND);
  await until({
    what: 'NetworkManager knows the profile',
    read: async () => (await manager.nmcli('-g', 'NAME', 'connection')).stdout,
    holds: (text) => text.split('\n').includes('eni-agent-eth1'),
  });
  await lab.assignAddress(mac, '10.0.1.7');
  await waitForAddresses(vm, 'eth1', [...ADDRESSES, '10.0.1.7', VIP]);
  await daemon.waitForStatus(inSync(mac));
  expect(await manager.stateOf('eth1')).toBe(EXTERNAL);
  expect(lossesOf(monitor, [...ADDRESSES, VIP])).toEqual([]);
  expect(secondDefaults(monitor)).toEqual([]);
  expect(alarms(daemon.log())).toEqual([]);
});

test('a NIC that moves to network-scripts keeps what its profile gave it', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const manager = await startNetworkManager(vm);
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  expect((await vm.agent(['reconfigure'])).exitCode).toBe(0);
  await manager.waitForState('eth1', ACTIVE);
  const monitor = await vm.monitor();
  const config = 'persistence:\n  backend: network-scripts\n';
  expect((await vm.agent(['reconfigure'], { config })).exitCode).toBe(0);
  expect(await vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth1')).toContain(mac);
  await expect(vm.readFile(PROFILE)).rejects.toThrow('ENOENT');
  expect(lossesOf(monitor, ADDRESSES)).toEqual([]);
  expect(await manager.stateOf('eth1')).toBe(ACTIVE);
});

test('a NIC of network-scripts is taken from it before the kernel has anything to lose', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const manager = await startNetworkManager(vm);
  await lab.attachEni({ addresses: ADDRESSES });
  const config = 'persistence:\n  backend: network-scripts\n';
  expect((await vm.agent(['reconfigure'], { config })).exitCode).toBe(0);
  // Debian's has no plugin that could read it. Ahead of the kernel steps is the only time that it is told of such a file.
  expect(manager.log()).toMatch(/op="connections-load" args="\S+\/ifcfg-eth1"/);
  expect(brokenCells(await lab.matrix(ADDRESSES))).toEqual([]);
});

test('doctor names a profile of somebody else that runs a NIC, and not what is as it should be', async () => {
  const lab = await openManagedLab();
  const { vm } = lab;
  const manager = await startNetworkManager(vm);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  const daemon = await vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(mac));
  await manager.waitForState('eth1', ACTIVE);
  const examine = async () => {
    const { findings, checked } = JSON.parse((await vm.agent(['doctor', '--json'])).stdout) as Diagnosis;
    return { checked, findings: findings.filter(({ severity }) => severity !== 'hint') };
  };
  const before = await examine();
  expect(before.findings).toEqual([]);
  expect(before.checked).toContain('network-manager');

  const any = ['type', 'ethernet', 'con-name', 'any one', 'ifname', '*'];
  const methods = ['ipv4.method', 'disabled', 'ipv6.method', 'disabled'];
  await manager.nmcli('connection', 'add', ...any, ...methods);
  await manager.nmcli('connection', 'up', 'any one', 'ifname', 'eth1');
  await manager.waitForState('eth1', 'connected any one');
  const { findings } = await examine();
  const finding = findings.find(({ id }) => id === 'network-manager');
  expect(finding?.evidence).toEqual([
    'active is /etc/NetworkManager/system-connections/any one.nmconnection',
    `the agent's is ${PROFILE}`,
  ]);
  expect(finding?.fix).toEqual([
    "nmcli connection modify 'any one' connection.autoconnect no",
    'nmcli connection up eni-agent-eth1',
  ]);
  await manager.nmcli('connection', 'modify', 'any one', 'connection.autoconnect', 'no');
  await manager.nmcli('connection', 'up', 'eni-agent-eth1');
  await manager.waitForState('eth1', ACTIVE);
  await daemon.waitForStatus(inSync(mac));
  expect(await examine()).toEqual(before);
});
