/** The udev rule, and the wait for udev, with the real systemd-udevd below a real systemd. As root alone. */
import { readdir } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Status } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import { inSync, sized } from '../lab/settled.ts';
import { macFor } from '../lab/topology.ts';
import { installUdev, settleUdev, slowName, takeForVirtual, type UdevOptions } from '../lab/udev.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const ADDRESSES = ['10.0.1.4', '10.0.1.5'];
const MAC = macFor('10.0.1.4');

async function bootWithUdev(options: UdevOptions = {}): Promise<{ lab: Lab; manager: ServiceManager }> {
  const lab = await openLab();
  await installUdev(lab.vm, options);
  const manager = await bootSystemd(lab.vm);
  onTestFinished(() => manager.end());
  expect(await manager.show('systemd-udevd.service', 'ActiveState')).toEqual({ ActiveState: 'active' });
  return { lab, manager };
}

/** When it was rung last; '' when it never was. */
async function doorbell(vm: Vm): Promise<string> {
  return (await vm.tryRun('stat', ['--format=%y', vm.path('/run/eni-agent/wake')])).stdout;
}

test('the rule rings for a NIC, which is configured when udev is done with it, and not for what is virtual', async () => {
  const { lab, manager } = await bootWithUdev();
  const { vm } = lab;
  const quiet = await doorbell(vm);
  const first = await lab.attachEni({ addresses: ADDRESSES });
  await manager.waitForStatus(inSync(first.mac));
  const { stdout: index } = await manager.run('cat', '/sys/class/net/eth1/ifindex');
  expect((await manager.run('ls', '/run/udev/data')).stdout).toBe(`n${index}`);
  await vm.run('ip', ['link', 'add', 'docker0', 'type', 'bridge']);
  await settleUdev(manager);
  expect(await doorbell(vm)).toBe(quiet);
  await vm.run('ip', ['link', 'del', 'docker0']);

  await takeForVirtual(vm, manager, 'veth*');
  const second = await lab.attachEni({ addresses: ['10.0.2.4'] });
  await manager.waitForStatus(inSync(first.mac, second.mac));
  await until({ what: 'the rule has rung', read: () => doorbell(vm), holds: (now) => now !== quiet });
  await settleUdev(manager);
  const rung = await doorbell(vm);
  await vm.run('ip', ['link', 'add', 'veth1a2b', 'type', 'veth', 'peer', 'name', 'veth3c4d']);
  await vm.run('ip', ['link', 'del', 'veth1a2b']);
  await settleUdev(manager);
  expect(await doorbell(vm)).toBe(rung);
  await lab.detachEni(second.mac);
  await until({
    what: 'it has rung for what is gone',
    read: () => doorbell(vm),
    holds: (now) => now !== rung,
  });
});

async function vmFiles({ vm }: Lab): Promise<readonly string[]> {
  return readdir(vm.path('/etc/sysconfig/network-scripts'));
}

/** Wherever a name is remembered: files, rules, state, status. */
async function assertNamed(lab: Lab, manager: ServiceManager, name: string): Promise<void> {
  const { vm } = lab;
  expect((await vmFiles(lab)).toSorted()).toEqual(
    [`ifcfg-${name}`, 'ifcfg-eth0', `route-${name}`, `rule-${name}`].toSorted(),
  );
  expect(await vm.readFile(`/etc/sysconfig/network-scripts/ifcfg-${name}`)).toContain(`\nDEVICE=${name}\n`);
  const { stdout: rules } = await vm.run('ip', ['rule']);
  expect([...rules.matchAll(/ oif (\S+)/g)].map(([, link]) => link)).toEqual([name]);
  const known = `${await vm.readFile('/var/lib/eni-agent/state.json')}${JSON.stringify(await manager.waitForStatus(inSync(MAC)))}`;
  expect(known).toContain(`"${name}"`);
  expect(known).not.toContain('"eth1"');
}

const isWaiting =
  (name: string) =>
  (status: Status): boolean =>
    status.interfaces.some((nic) => nic.name === name && /udev/.test(nic.reason ?? ''));

/** `sendto` is how udev asks the kernel to rename; it has written its database before. */
const SLOW_TO_RENAME = '/usr/bin/strace -f -qq -o /dev/null -e trace=sendto -e inject=sendto:delay_enter=1s';

const RENAMES: readonly (readonly [string, UdevOptions])[] = [
  [
    'when it has written its database and not yet asked the kernel',
    { rules: { '10-name.rules': slowName(MAC, 'ens5', 0) }, through: SLOW_TO_RENAME },
  ],
  ['while its rules are tried', { rules: { '10-name.rules': slowName(MAC, 'ens5', 1) } }],
];

test.each(sized(RENAMES.slice(0, 1), RENAMES))(
  'a NIC that udev renames is left alone %s, and has its new name everywhere',
  async (_, options) => {
    const { lab, manager } = await bootWithUdev(options);
    await lab.attachEni({ addresses: ADDRESSES });
    await manager.waitForStatus(inSync(MAC));
    await assertNamed(lab, manager, 'ens5');
    // In one run: nothing was done under the old name and then done again.
    expect((await manager.journal('eni-agent.service')).match(/configuration changed/g)).toHaveLength(1);
  },
);

const isSetUpAs =
  (wanted: string) =>
  (status: Status): boolean =>
    inSync(MAC)(status) && status.interfaces.some(({ name }) => name === wanted);

test.each(sized<readonly string[]>([], ['STOP']))(
  'while udevd hangs (%s) nothing is lost but 5 s; when it renames the NIC after that, the new name is everywhere',
  async (signal) => {
    const { lab, manager } = await bootWithUdev({ rules: { '10-name.rules': slowName(MAC, 'ens5', 0) } });
    const signalUdev = (name: string): Promise<unknown> =>
      manager.run('systemctl', 'kill', `--signal=${name}`, 'systemd-udevd.service');
    await signalUdev(signal);
    const began = performance.now();
    await Promise.all([lab.attachEni({ addresses: ADDRESSES }), manager.waitForStatus(isWaiting('eth1'))]);
    await manager.waitForStatus(inSync(MAC));
    expect(performance.now() - began).toBeGreaterThan(5_000);
    expect(await vmFiles(lab)).toContain('ifcfg-eth1');
    await signalUdev('CONT');
    await manager.waitForStatus(isSetUpAs('ens5'));
    await assertNamed(lab, manager, 'ens5');
  },
);

test.each(sized<readonly string[]>([], ['down', 'up']))(
  'a NIC that is set up is renamed by hand while it is %s',
  async (state) => {
    const { lab, manager } = await bootWithUdev();
    await lab.attachEni({ addresses: ADDRESSES });
    await manager.waitForStatus(inSync(MAC));
    const renaming = state === 'down' ? 'ip link set eth1 down name ens5' : 'ip link set eth1 name ens5';
    await manager.run('sh', '-c', renaming);
    await manager.waitForStatus(isSetUpAs('ens5'));
    await assertNamed(lab, manager, 'ens5');
  },
);
