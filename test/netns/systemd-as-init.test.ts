/** The units below a real systemd, in their sandbox: the whole job, and what systemd is there for. As root alone. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Diagnosis } from '../../src/doctor/judge.ts';
import { dumpKernel } from '../lab/kernel-dump.ts';
import { type Lab, type Matrix } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { withCapabilities } from '../lab/programs.ts';
import { addDropIns, bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import { EVERY_SECOND, inSync, sized, waitForAddresses } from '../lab/settled.ts';
import { until } from '../lab/until.ts';

const DAEMON = 'eni-agent.service';
const BOOT = 'eni-agent-boot.service';
const CONNMARK = `routing: { forwarded: connmark }\n${EVERY_SECOND}`;
/** Both are there so that a test does not wait for them; a ping every 1.3 seconds is in time on a busy machine, too. */
const IMPATIENT = '[Service]\nRestartSec=100ms\nWatchdogSec=4s\n';
/** Bit 12 of a set of capabilities, linux/capability.h. */
const CAP_NET_ADMIN = '0000000000001000';
const SECRETS = ['/etc/shadow', '/etc/ssh/ssh_host_ed25519_key'];

async function boot(lab: Lab, config = ''): Promise<ServiceManager> {
  await lab.vm.writeConfig(config);
  const manager = await bootSystemd(lab.vm);
  onTestFinished(() => manager.end());
  return manager;
}

async function mainPid(manager: ServiceManager): Promise<string> {
  return (await manager.show(DAEMON, 'MainPID'))['MainPID'] ?? '';
}

async function waitForAnotherPid(
  manager: ServiceManager,
  former: string,
  deadlineMs?: number,
): Promise<void> {
  await until({
    what: 'the daemon has another process',
    read: () => mainPid(manager),
    holds: (pid) => !['0', former].includes(pid),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
}

function failures(matrix: Matrix): readonly string[] {
  return Object.entries(matrix).flatMap(([from, row]) =>
    Object.entries(row).flatMap(([to, outcome]) =>
      outcome === 'ok' ? [] : [`${from} to ${to}: ${outcome}`],
    ),
  );
}

test('in the sandbox the one shot and then the daemon do all that they do outside of it', async () => {
  const lab = await openLab();
  const first = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await lab.vm.run('mkdir', [lab.vm.path('/etc/ssh')]);
  for (const secret of SECRETS) await writeFile(lab.vm.path(secret), 'secret', { mode: 0o600 });
  const manager = await boot(lab, CONNMARK);
  const booted = await manager.show(BOOT, 'Result', 'ActiveState', 'ExecMainExitTimestampMonotonic');
  expect(booted).toMatchObject({ Result: 'success', ActiveState: 'active' });
  const daemon = await manager.show(DAEMON, 'ActiveState', 'StatusText', 'ExecMainStartTimestampMonotonic');
  expect(daemon).toMatchObject({
    ActiveState: 'active',
    StatusText: 'keeping the network as the cloud assigned it',
  });
  expect(Number(daemon['ExecMainStartTimestampMonotonic'])).toBeGreaterThan(
    Number(booted['ExecMainExitTimestampMonotonic']),
  );
  expect(await manager.journal(BOOT)).toContain('10.0.1.5/24 on eth1');

  const second = await lab.attachEni({ addresses: ['10.0.2.4'] });
  await manager.waitForStatus(inSync(first.mac, second.mac));
  expect(failures(await lab.matrix([...first.addresses, ...second.addresses]))).toEqual([]);
  expect(await lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth2')).toContain(
    '\nIPADDR0=10.0.2.4\n',
  );
  expect(await dumpKernel(lab.vm.namespace)).toContain('/proc/sys/net/ipv4/conf/eth2/rp_filter:2\n');
  expect((await lab.vm.run('nft', ['list', 'tables'])).stdout).toContain('eni_agent');
  await assertConfined(manager);
  await assertRespectsLock(lab, manager, first.mac);
  expect(await manager.journal(DAEMON)).not.toMatch(/"level":"(?:warn|error|fatal)"/);
});

/** As systemd gives it to the units: nothing else is in /usr/sbin. */
async function onlyPrograms(lab: Lab, programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = '/opt/sbin';
  await mkdir(lab.vm.path(folder), { recursive: true });
  for (const [name, file] of Object.entries(programs)) await copyFile(file, lab.vm.path(`${folder}/${name}`));
  return `[Service]\nBindReadOnlyPaths=${folder}:/usr/sbin\n`;
}

const NFT_MULTI = '/usr/sbin/xtables-nft-multi';
const LEGACY_MULTI = '/usr/sbin/xtables-legacy-multi';

test.each(
  sized<readonly (readonly [string, string, string])[]>(
    [],
    [
      ['iptables on nftables', NFT_MULTI, ''],
      // The line of 50-before-235.conf; the rest of that file is for a systemd that knows less than this one.
      ['old iptables', LEGACY_MULTI, 'CapabilityBoundingSet=CAP_NET_RAW\n'],
    ],
  ),
)('in the sandbox %s can set the marks of forwarded connections', async (_, multi, more) => {
  const lab = await openLab();
  const dropIn = await onlyPrograms(lab, { 'iptables-restore': multi, 'ip6tables-restore': multi });
  await addDropIns(lab.vm, { [DAEMON]: dropIn + more, [BOOT]: dropIn + more });
  const manager = await boot(lab, CONNMARK);
  const eni = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await manager.waitForStatus(inSync(eni.mac));
  const { stdout } = await lab.vm.run(multi, ['iptables-save', '-t', 'mangle']);
  expect(stdout).toContain('-i eth1');
});

/** What the unit says is what the kernel holds the process to. */
async function assertConfined(manager: ServiceManager): Promise<void> {
  const pid = await mainPid(manager);
  const { stdout: status } = await manager.run('cat', `/proc/${pid}/status`);
  expect(status).toMatch(new RegExp(`^CapBnd:\\t${CAP_NET_ADMIN}$`, 'm'));
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  const attempts = [
    'touch /usr/attempt',
    'touch /etc/attempt',
    'touch /etc/eni-agent/attempt',
    'echo 1 >/proc/sys/net/ipv4/ip_forward',
    ...SECRETS.map((file) => `cat ${file}`),
    'cp /bin/true /var/lib/eni-agent/ && /var/lib/eni-agent/true',
    'cp /bin/true /tmp/ && /tmp/true',
  ];
  const script = attempts.map((attempt) => `(${attempt}) 2>&1 && echo "DONE: ${attempt}"`).join('\n');
  const door = ['--target', pid, '--mount', ...withCapabilities('net_admin')];
  const { stdout } = await manager.run('nsenter', ...door, 'sh', '-c', `${script}\nexit 0`);
  expect(stdout).not.toContain('DONE');
  expect(stdout.match(/Read-only file system|Permission denied/g)).toHaveLength(attempts.length);
  await manager.run('rm', '/var/lib/eni-agent/true');
}

/** The holder has all capabilities of root: in a /proc that hid it, its lock would be that of the dead. */
async function assertRespectsLock(lab: Lab, manager: ServiceManager, mac: string): Promise<void> {
  const hold = `sleep 60 >/dev/null 2>&1 & start=$(cut -d ' ' -f 22 /proc/$!/stat) id=$(cat /proc/sys/kernel/random/boot_id)
printf '{"pid":%s,"startTime":"%s","bootId":"%s"}' $! $start $id >/run/eni-agent/lock; echo $!`;
  const { stdout: holder } = await manager.run('sh', '-c', hold);
  const lock = await lab.vm.readFile('/run/eni-agent/lock');
  await lab.assignAddress(mac, '10.0.1.6');
  const claims = async (): Promise<string> => (await manager.run('ls', '-A', '/run/eni-agent')).stdout;
  await until({
    what: 'the daemon waits for the lock',
    read: claims,
    holds: (names) => names.includes('.lock.'),
    deadlineMs: 15_000,
  });
  // Sixteen looks at who holds it, from the claim on.
  await new Promise((resolve) => setTimeout(resolve, 330));
  expect(await lab.vm.readFile('/run/eni-agent/lock')).toBe(lock);
  await manager.run('kill', holder);
  await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5', '10.0.1.6']);
}

test('it comes back when it is killed and when it hangs, reloads, leaves the network in place, and does not try bad configuration again', async () => {
  const lab = await openLab();
  const eni = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await addDropIns(lab.vm, { [DAEMON]: IMPATIENT });
  const manager = await boot(lab);

  const killed = await mainPid(manager);
  await manager.run('kill', '-KILL', killed);
  await lab.vm.run('ip', ['rule', 'del', 'from', '10.0.1.5', 'lookup', '21001']);
  await waitForAnotherPid(manager, killed);
  await manager.waitForStatus(inSync(eni.mac));
  expect(failures(await lab.matrix(eni.addresses))).toEqual([]);

  const hung = await mainPid(manager);
  await manager.run('kill', '-STOP', hung);
  await waitForAnotherPid(manager, hung, 20_000);
  await manager.waitForStatus(inSync(eni.mac));
  expect(await manager.journal(DAEMON)).toContain('Watchdog timeout');

  const reloaded = await mainPid(manager);
  await lab.vm.writeConfig('interfaces:\n  - match: { name: eth1 }\n    manage: false\n');
  await manager.run('systemctl', 'reload', DAEMON);
  await manager.waitForStatus(({ interfaces }) => interfaces.some(({ state }) => state === 'unmanaged'));
  expect(await mainPid(manager)).toBe(reloaded);
  await lab.vm.writeConfig('');
  await manager.run('systemctl', 'reload', DAEMON);
  await manager.waitForStatus(inSync(eni.mac));

  const before = await dumpKernel(lab.vm.namespace);
  await manager.run('systemctl', 'stop', DAEMON);
  expect(await manager.show(DAEMON, 'ActiveState', 'Result', 'ExecMainStatus', 'TasksCurrent')).toEqual({
    ActiveState: 'inactive',
    Result: 'success',
    ExecMainStatus: '0',
    TasksCurrent: '[not set]',
  });
  expect(await dumpKernel(lab.vm.namespace)).toBe(before);
  expect(failures(await lab.matrix(eni.addresses))).toEqual([]);

  await lab.vm.writeConfig('daemon: { resyncInterval: soon }\n');
  await expect(manager.run('systemctl', 'start', DAEMON)).rejects.toThrow('exited with error code');
  expect(await manager.show(DAEMON, 'ActiveState', 'ExecMainStatus', 'NRestarts')).toEqual({
    ActiveState: 'failed',
    ExecMainStatus: '2',
    NRestarts: '0',
  });
});

test('who rolls back what nobody confirms has a scope of its own, which a restart of the service leaves alone', async () => {
  const lab = await openLab();
  const eni = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const manager = await boot(lab);
  await manager.waitForStatus(inSync(eni.mac));
  const before = await dumpKernel(lab.vm.namespace);
  const standing = await lab.vm.readFile('/etc/eni-agent/config.yaml');
  const tried = `interfaces: [{ match: { name: eth1 }, mtu: 1400, excludeAddresses: [10.0.1.5] }]\n${standing}`;
  await writeFile(lab.vm.path('/etc/eni-agent/new.yaml'), tried, { mode: 0o644 });
  const confirm = ['reconfigure', '--confirm', '1h'];
  await manager.run('eni-agent', '--config', '/etc/eni-agent/new.yaml', ...confirm);
  const changed = await dumpKernel(lab.vm.namespace);
  expect(changed).not.toBe(before);
  const scopes = ['list-units', '--type=scope', '--state=running', '--no-legend', 'eni-agent-confirm-*'];
  const { stdout: scope } = await manager.run('systemctl', ...scopes);
  expect(scope).toMatch(/eni-agent-confirm-\S+\.scope/);
  await manager.run('systemctl', 'kill', '--signal=KILL', DAEMON);
  await manager.run('systemctl', 'restart', DAEMON);
  expect(await dumpKernel(lab.vm.namespace)).toBe(changed);
  expect((await manager.run('systemctl', ...scopes)).stdout).toBe(scope);
  // As every scope is when the machine goes down.
  const [unit = ''] = scope.trim().split(/\s+/);
  await manager.run('systemctl', 'stop', unit);
  await until({
    what: 'it is rolled back',
    read: () => dumpKernel(lab.vm.namespace),
    holds: (kernel) => kernel === before,
  });
  await manager.waitForStatus(inSync(eni.mac));
  expect((await manager.run('systemctl', ...scopes)).stdout).toBe('');
});

test('doctor says that the daemon has failed, and what it says to type starts it again', async () => {
  const lab = await openLab();
  const eni = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await addDropIns(lab.vm, { [DAEMON]: '[Service]\nRestart=no\n' });
  const manager = await boot(lab);
  await manager.waitForStatus(inSync(eni.mac));
  const examine = async (): Promise<Diagnosis> =>
    JSON.parse((await manager.run('sh', '-c', 'eni-agent doctor --json || true')).stdout) as Diagnosis;
  const before = await examine();
  expect(before.findings.filter(({ severity }) => severity !== 'hint')).toEqual([]);
  expect(before.unknown).toEqual([]);
  await manager.run('systemctl', 'kill', '--signal=KILL', DAEMON);
  await until({
    what: 'the unit has failed',
    read: async () => (await manager.show(DAEMON, 'ActiveState'))['ActiveState'],
    holds: (state) => state === 'failed',
  });
  const { findings } = await examine();
  const [finding] = findings;
  expect(finding).toMatchObject({ id: 'daemon', severity: 'error' });
  expect(finding?.evidence).toContain('eni-agent.service is failed, result signal');
  for (const command of finding?.fix ?? []) await manager.run('sh', '-c', command);
  await manager.waitForStatus(inSync(eni.mac));
  expect(await examine()).toEqual(before);

  await manager.run('sh', '-c', 'eni-agent doctor --bundle /root/support.tar.gz');
  const member = 'eni-agent-doctor/journal.txt';
  const { stdout } = await manager.run('tar', '-xzOf', '/root/support.tar.gz', member);
  expect(stdout).toContain('Main process exited, code=killed, status=9/KILL');
});
