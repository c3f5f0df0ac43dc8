/** The life of an installed package below a real systemd and udevd, from the RPMs: `npm run package` has built them. As root alone. */
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import pkg from '../../package.json' with { type: 'json' };
import { dumpKernel } from '../lab/kernel-dump.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import { inSync, waitForAddresses } from '../lab/settled.ts';
import { macFor } from '../lab/topology.ts';
import { installUdev, slowName } from '../lab/udev.ts';
import { OWN_ARCHITECTURE, packageFile, ROOT } from './packages.ts';

/** The other one differs in its Node alone, which takes a minute to pack. */
const PACKAGE = 'eni-agent';
const DAEMON = 'eni-agent.service';
const BOOT = 'eni-agent-boot.service';
const CONFIG = '/etc/eni-agent/config.yaml';
const STATE = '/var/lib/eni-agent/state.json';
const FILES = '/etc/sysconfig/network-scripts';
/** What was written to /usr (systemd-as-init.sh). */
const PROGRAM = '/usr-changes/new/bin/eni-agent';
const CHUNKS = '/usr-changes/new/lib/eni-agent/dist/chunks';
const ADDRESSES = ['10.0.1.4', '10.0.1.5'];
const MAC = macFor('10.0.1.4');
/** Where the VM finds the packages. */
const [RELEASE_1, RELEASE_2] = ['/var/1.rpm', '/var/2.rpm'];
/** Debian's own is in the home folder. */
const DATABASE = ['--dbpath', '/var/lib/rpm'];
const EDITED = 'interfaces: [{ match: { role: secondary }, mtu: 1400 }]\n';

/** The next release. */
async function buildNext(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-next-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const options = ['--only', PACKAGE, '--arch', OWN_ARCHITECTURE, '--release', '2', '--out', folder];
  await execa('npm', ['run', 'package', '--', ...options], { cwd: ROOT, env: { TMPDIR: folder } });
  return path.join(folder, `${PACKAGE}-${pkg.version}-2.${OWN_ARCHITECTURE}.rpm`);
}

async function boot(lab: Lab): Promise<ServiceManager> {
  const manager = await bootSystemd(lab.vm, { packaged: true });
  onTestFinished(() => manager.end());
  return manager;
}

/** Without what it requires: there is nothing in the database but ours. */
async function rpm(manager: ServiceManager, ...args: readonly string[]): Promise<void> {
  await manager.run('rpm', ...DATABASE, '--nodeps', ...args);
}

async function activeStates(manager: ServiceManager): Promise<readonly (string | undefined)[]> {
  const states = await Promise.all([DAEMON, BOOT].map((unit) => manager.show(unit, 'ActiveState')));
  return states.map((state) => state['ActiveState']);
}

/** Bytes, inode and time of every file of the distribution that has to do with NICs, and the kernel. */
async function network({ vm }: Lab): Promise<string> {
  const snapshot = await vm.snapshot({ identity: true });
  const files = snapshot.split('\n').filter((line) => line.includes(` ${FILES}/`));
  expect(files.length).toBeGreaterThan(3);
  return [await dumpKernel(vm.namespace), ...files].join('\n');
}

/** The daemon is at work, with its own configuration: what a boot does, and an operator after an installation. */
async function expectAtWork(manager: ServiceManager, release: string): Promise<void> {
  expect(await activeStates(manager)).toEqual(['active', 'active']);
  expect((await manager.run('rpm', ...DATABASE, '-q', '--qf', '%{RELEASE}\n', '-a')).stdout).toBe(release);
}

/** What the package makes for the Node that is there. */
async function expectCodeCache({ vm }: Lab): Promise<void> {
  const names = await readdir(vm.path(CHUNKS));
  const chunks = names.filter((name) => name.endsWith('.js'));
  expect(chunks.length).toBeGreaterThan(10);
  expect(names.toSorted()).toEqual(chunks.flatMap((name) => [name, `${name}.cache`]).toSorted());
}

async function mainPid(manager: ServiceManager): Promise<string> {
  return (await manager.show(DAEMON, 'MainPID'))['MainPID'] ?? '';
}

/** Nothing is running yet: a package that is installed enables, and the boot starts. */
async function installAndReboot(lab: Lab): Promise<ServiceManager> {
  const installer = await boot(lab);
  await rpm(installer, '-i', RELEASE_1);
  expect(await activeStates(installer)).toEqual(['inactive', 'inactive']);
  const { stdout } = await installer.run('systemctl', 'is-enabled', DAEMON, BOOT);
  expect(stdout).toBe('enabled\nenabled');
  await installer.end();
  return boot(lab);
}

test('installed, booted, upgraded, erased and installed again: with a NIC that udev renames, and a connection that lives through it all', {
  timeout: 300_000,
}, async () => {
  const lab = await openLab();
  const { vm } = lab;
  await installUdev(vm, { rules: { '10-name.rules': slowName(MAC, 'ens5', 1) }, packaged: true });
  await copyFile(packageFile(PACKAGE), vm.path(RELEASE_1));
  await copyFile(await buildNext(), vm.path(RELEASE_2));
  await vm.writeConfig(EDITED);
  const manager = await installAndReboot(lab);
  await expectAtWork(manager, '1');
  await expectCodeCache(lab);

  await lab.attachEni({ addresses: ADDRESSES });
  await manager.waitForStatus(inSync(MAC));
  expect((await readdir(vm.path(FILES))).toSorted()).toEqual([
    'ifcfg-ens5',
    'ifcfg-eth0',
    'route-ens5',
    'rule-ens5',
  ]);
  expect((await vm.run('ip', ['link', 'show', 'ens5'])).stdout).toContain('mtu 1400');
  expect(existsSync(vm.path(PROGRAM))).toBe(true);
  const session = await lab.openSession({ from: 'outside', to: '10.0.1.5' });
  const stop = session.keepExchanging();
  const before = await network(lab);
  const [state, config] = [await vm.readFile(STATE), await vm.readFile(CONFIG)];
  const monitor = await vm.monitor();

  const former = await mainPid(manager);
  await writeFile(path.join(vm.path(CHUNKS), 'of-the-one-before.js.cache'), '');
  await rpm(manager, '-U', RELEASE_2);
  await manager.waitForStatus(inSync(MAC));
  await expectAtWork(manager, '2');
  await expectCodeCache(lab);
  expect(await mainPid(manager)).not.toBe(former);
  expect(await network(lab)).toBe(before);
  expect([await vm.readFile(STATE), await vm.readFile(CONFIG)]).toEqual([state, config]);

  await rpm(manager, '-e', PACKAGE);
  expect(await activeStates(manager)).toEqual(['inactive', 'inactive']);
  expect([PROGRAM, CHUNKS].map((file) => existsSync(vm.path(file)))).toEqual([false, false]);
  expect(await network(lab)).toBe(before);
  expect(await vm.readFile(STATE)).toBe(state);

  await lab.assignAddress(MAC, '10.0.1.6');
  await rename(vm.path(`${CONFIG}.rpmsave`), vm.path(CONFIG));
  await rpm(manager, '-i', RELEASE_2);
  await manager.run('systemctl', 'start', BOOT, DAEMON);
  await manager.waitForStatus(inSync(MAC));
  await waitForAddresses(vm, 'ens5', [...ADDRESSES, '10.0.1.6']);
  await expectAtWork(manager, '2');
  expect(await stop()).toBeGreaterThan(100);
  expect(await session.retransmissions()).toBe(0);
  const announced = monitor.lines().filter(({ text }) => !text.startsWith('[NEIGH]'));
  expect(announced.filter(({ text }) => text.includes('Deleted')).map(({ text }) => text)).toEqual([]);
});
