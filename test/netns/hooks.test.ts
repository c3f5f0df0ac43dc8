/** The operator's hooks as units of a real systemd: what they are told, and what they cannot do to the network. As root alone. */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { MOST_WAITING } from '../../src/hooks/queue.ts';
import { commandsOf } from '../lab/doc-commands.ts';
import { filesOfDoc } from '../lab/doc-files.ts';
import type { Lab } from '../lab/lab.ts';
import { readPage } from '../lab/markdown.ts';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import { EVERY_SECOND, inSync, waitForAddresses } from '../lab/settled.ts';
import { addressRange } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const DAEMON = 'eni-agent.service';
const FOLDER = '/etc/eni-agent/hooks.d';
const UNITS = 'eni-agent-hook-*';
const EVENTS = ['address-added', 'address-removed', 'interface-attached', 'interface-detached'];

/** As the packages bring them. */
async function makeFolders(vm: Vm): Promise<void> {
  for (const event of EVENTS) await mkdir(vm.path(`${FOLDER}/${event}`), { recursive: true, mode: 0o755 });
}

async function addHook(vm: Vm, name: string, script: string, mode = 0o755): Promise<void> {
  const file = vm.path(`${FOLDER}/${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, mode);
}

async function boot(lab: Lab, config: string): Promise<ServiceManager> {
  await lab.vm.writeConfig(config);
  const manager = await bootSystemd(lab.vm);
  onTestFinished(() => manager.end());
  return manager;
}

function commandsIn(section: string): readonly string[] {
  const commands = commandsOf(readPage('docs/hooks.md')).filter(({ anchor }) => anchor === section);
  return commands.map(({ command }) => command);
}

async function waitForFile(vm: Vm, file: string, expected: string): Promise<void> {
  await until({
    what: `${file} is as expected`,
    read: () => vm.readFile(file).catch(() => ''),
    holds: (text) => text === expected,
    deadlineMs: 20_000,
  });
}

async function unitsIn(manager: ServiceManager): Promise<string> {
  return (await manager.run('systemctl', 'list-units', '--all', '--no-legend', UNITS)).stdout;
}

test('the example of docs/hooks.md hears of what came while the VM was off, of what comes, and of what goes', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await makeFolders(vm);
  for (const [file, text] of Object.entries(filesOfDoc('hooks.md', 'An example')))
    await writeFile(vm.path(file), text, { mode: 0o644 });
  const commands = commandsIn('an-example');
  expect(commands).toHaveLength(2);
  for (const command of commands)
    await vm.run('sh', ['-c', command.replaceAll(` ${FOLDER}`, ` ${vm.path(FOLDER)}`)]);
  const says = 'echo "$ENI_EVENT $ENI_INTERFACE $ENI_MAC ${ENI_ADDRESS-none}" >>/run/said';
  await addHook(vm, 'interface-attached/10-says', says);
  await addHook(vm, 'interface-detached/10-says', says);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  const manager = await boot(lab, EVERY_SECOND);
  await waitForFile(vm, '/var/lib/eni-addresses', '10.0.1.4 eth1\n');
  const attached = `interface-attached eth1 ${mac} none\n`;
  await waitForFile(vm, '/run/said', attached);
  await lab.assignAddress(mac, '10.0.1.5');
  await waitForFile(vm, '/var/lib/eni-addresses', '10.0.1.4 eth1\n10.0.1.5 eth1\n');
  await lab.detachEni(mac);
  await waitForFile(vm, '/var/lib/eni-addresses', '');
  await waitForFile(vm, '/run/said', `${attached}interface-detached eth1 ${mac} none\n`);
  await until({ what: 'no unit is left', read: () => unitsIn(manager), holds: (units) => units === '' });
  expect(await manager.journal(DAEMON)).not.toMatch(/"level":"(?:warn|error|fatal)"/);
});

/** Lines. journald multiplies LogRateLimitBurst= by what room its disk has (journald.conf(5)): by 6 where that is a terabyte. */
const MOST_OF_A_FLOOD = 200 * 6;
const TELLS = `{ echo "$ENI_EVENT $ENI_ADDRESS/$ENI_PREFIX_LENGTH $ENI_INTERFACE"; grep ^NoNewPrivs /proc/self/status
bounding=$(sed -n 's/^CapBnd:\t//p' /proc/self/status); echo "CAP_NET_ADMIN: $((0x$bounding >> 12 & 1))"
ip address add 192.0.2.1/32 dev "$ENI_INTERFACE" || true; } >>/run/told 2>&1`;

test('one that hangs, one that fails, one that floods and those that are refused change nothing for the network and the others', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await makeFolders(vm);
  await addHook(vm, 'address-added/00-open', 'echo open >>/run/told', 0o757);
  await addHook(vm, 'address-added/10-fails', 'exit 3');
  await addHook(vm, 'address-added/20-hangs', '[ $ENI_ADDRESS != 10.0.1.4 ] || { sleep 1000 & sleep 1000; }');
  await addHook(vm, 'address-added/30-floods', '[ $ENI_ADDRESS != 10.0.1.5 ] || exec yes "a line of many"');
  await addHook(vm, 'address-added/40-tells', TELLS);
  await mkdir(vm.path('/root'));
  await symlink('/root/program', vm.path(`${FOLDER}/address-added/50-at-home`));
  await chmod(vm.path(`${FOLDER}/interface-attached`), 0o700);
  await vm.run('chown', ['1', vm.path(`${FOLDER}/interface-attached`)]);
  const manager = await boot(lab, `${EVERY_SECOND}hooks: { timeout: 4s }\n`);
  await manager.waitForStatus(inSync(lab.primary.mac));
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await manager.waitForStatus(inSync(mac));
  await lab.assignAddress(mac, '10.0.1.6');
  await waitForAddresses(vm, 'eth1', ['10.0.1.4', '10.0.1.5', '10.0.1.6']);
  expect(await unitsIn(manager)).toMatch(
    / activating start +start 20-hangs: address-added 10\.0\.1\.4\/24 on eth1/,
  );
  // Those after it wait for it.
  await expect(vm.readFile('/run/told')).rejects.toThrow('ENOENT');
  await until({
    what: 'all hooks have ended',
    read: () => unitsIn(manager),
    holds: (units) => units === '',
    deadlineMs: 30_000,
  });
  const told = ['10.0.1.4', '10.0.1.5', '10.0.1.6'].map((address) => toldOf(address));
  expect(await vm.readFile('/run/told')).toBe(told.join(''));
  const [journalctl = '', listUnits = ''] = commandsIn('what-it-may-do');
  expect((await manager.run('sh', '-c', listUnits)).stdout).toContain('0 loaded units listed');
  const { stdout: journal } = await manager.run('sh', '-c', journalctl);
  expect(journal.match(/ Failed with result 'exit-code'/g)).toHaveLength(3);
  expect(journal.match(/ Failed with result 'timeout'/g)).toHaveLength(2);
  const lines = journal.match(/: a line of many$/gm) ?? [];
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(MOST_OF_A_FLOOD);
  const log = await manager.journal(DAEMON);
  expect(log.match(/"msg":"hook refused"/g)).toHaveLength(3);
  expect(log).toContain(`run: chmod go-w ${FOLDER}/address-added/00-open"`);
  expect(log).toMatch(/50-at-home'; the service does not see \/root and \/home: put the program itself here/);
  expect(log).toContain(`run: chown root ${FOLDER}/interface-attached"`);
  expect(log.match(/"level":"(?:warn|error|fatal)"/g)).toHaveLength(3);
}, 60_000);

function toldOf(address: string): string {
  return `address-added ${address}/24 eth1\nNoNewPrivs:\t1\nCAP_NET_ADMIN: 0\nRTNETLINK answers: Operation not permitted\n`;
}

test('what is too much is dropped, and said once', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await makeFolders(vm);
  await addHook(vm, 'address-added/10-tells', 'echo "$ENI_ADDRESS" >>/run/told');
  const manager = await boot(lab, `${EVERY_SECOND}log: { level: debug }\n`);
  await manager.waitForStatus(inSync(lab.primary.mac));
  const inFolder = (command: string): Promise<unknown> =>
    manager.run('sh', '-c', `mkdir -p /run/systemd/transient && cd /run/systemd/transient && ${command}`);
  const dropped = async (): Promise<readonly unknown[]> => {
    const lines = (await manager.journal(DAEMON)).split('\n').filter((line) => line.includes('too slow'));
    return lines.map((line) => JSON.parse(line) as unknown);
  };
  // systemd has such a file of each unit; there is room for one more.
  const others = Array.from({ length: MOST_WAITING - 1 }, (_, n) => `eni-agent-hook-${n}.service`);
  await inFolder(`touch ${others.join(' ')}`);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await waitForFile(vm, '/run/told', '10.0.1.4\n');
  await inFolder('touch eni-agent-hook-one-more.service');
  await lab.assignAddress(mac, '10.0.1.6');
  await until({ what: 'it is dropped', read: dropped, holds: (lines) => lines.length === 2 });
  const first = { most: MOST_WAITING, dropped: 1, first: '10-tells: address-added 10.0.1.5/24 on eth1' };
  expect(await dropped()).toMatchObject([{ level: 'warn', ...first }, { level: 'debug' }]);
  await inFolder('rm eni-agent-hook-*');
  await lab.assignAddress(mac, '10.0.1.7');
  await waitForFile(vm, '/run/told', '10.0.1.4\n10.0.1.7\n');
});

test('a daemon that is told to stop hands over first what has changed', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await makeFolders(vm);
  const names = Array.from({ length: 8 }, (_, n) => `${n}-tells`);
  for (const name of names)
    await addHook(vm, `address-added/${name}`, `echo "${name} $ENI_ADDRESS" >>/run/told`);
  const manager = await boot(lab, EVERY_SECOND);
  await manager.waitForStatus(inSync(lab.primary.mac));
  const addresses = addressRange('10.0.1.4', 10);
  await lab.attachEni({ addresses });
  await waitForAddresses(vm, 'eth1', addresses);
  await manager.run('systemctl', 'stop', DAEMON);
  expect(await manager.show(DAEMON, 'Result')).toEqual({ Result: 'success' });
  const all = addresses.flatMap((address) => names.map((name) => `${name} ${address}\n`));
  await waitForFile(vm, '/run/told', all.join(''));
});

test('a boot that has done its work does not fail because nobody takes its hooks', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await makeFolders(vm);
  await addHook(vm, 'address-added/10-tells', 'true');
  const manager = await boot(lab, '');
  await manager.run('systemctl', 'stop', DAEMON);
  const deaf =
    "require('net').createServer(() => {}).listen('/run/systemd/private', () => console.log('deaf'))";
  await manager.run(
    'sh',
    '-c',
    `mv /run/systemd/private /run/private; node -e "${deaf}" >/run/said 2>/dev/null &`,
  );
  await waitForFile(vm, '/run/said', 'deaf\n');
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  const result = await manager.run('env', '-i', 'eni-agent', 'boot', '--timeout', '3s');
  expect(result).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('The network is as it should be.'),
    stderr:
      'eni-agent: booting: systemd has not taken all hooks within 3 s; those are not run, all else is done',
  });
  await waitForAddresses(vm, 'eth1', ['10.0.1.4']);
});
