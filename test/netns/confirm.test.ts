/** `reconfigure --confirm`: what cuts people off is rolled back, whatever was killed meanwhile, and is not done again by itself. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Daemon } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, sized, waitForAddresses, waitForNetwork } from '../lab/settled.ts';
import { VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { AgentOptions, AgentResult, Vm } from '../lab/vm.ts';

/** Nobody has this address: what answers the client outside goes nowhere. */
const CUT = 'interfaces: [{ match: { role: primary }, routes: [{ to: 203.0.113.0/24, via: 10.0.0.99 }] }]\n';
const ROUTE = 'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.0.1.1 }] }]\n';
/** Every kind of step that a configuration can bring about: an address goes, another comes, and so do routes, files and the MTU. */
const ALL_KINDS = `interfaces:
  - match: { name: eth1 }
    mtu: 1400
    addresses: [10.0.1.9/24]
    routes: [{ to: 172.20.0.0/16, via: 10.0.1.1 }]
sysctl: { rpFilter: leave, arp: leave }
`;
const TRIAL = '/var/lib/eni-agent/trial.json';
/** Dies at the rename with that number: 1 is the trial's, 2 and 3 the intent's, 4 the journal's, 5 and 6 those of what is remembered. */
const diesAtRename = (number: number): AgentOptions => ({
  through: ['strace', '-qq', '-o', '/dev/null', '-e', `inject=rename:signal=KILL:when=${number}`],
});

async function isReached(lab: Lab): Promise<boolean> {
  const probe = { from: 'outside', to: VM_ADDRESS, protocol: 'tcp', timeoutMs: 200 } as const;
  return (await lab.probe(probe)).outcome === 'ok';
}

/** Within a second of the time that it was promised for: with `--confirm 3s`, 4 s after it was applied. */
async function waitUntilReached(lab: Lab, { confirmBy }: { confirmBy: string }): Promise<void> {
  await until({
    what: 'the client outside is back',
    read: () => isReached(lab),
    holds: (yes) => yes,
    deadlineMs: Date.parse(confirmBy) + 1_000 - Date.now(),
  });
}

async function guardians({ namespace }: Vm): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)('ip', ['netns', 'pids', namespace]);
  const pids = stdout.split('\n').filter((line) => line !== '');
  const commands = await Promise.all(
    pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')] as const),
  );
  return commands.filter(([, line]) => line.split('\0').includes('guard')).map(([pid]) => Number(pid));
}

async function waitForNoGuardian(vm: Vm): Promise<void> {
  await until({
    what: 'no guardian is left',
    read: () => guardians(vm),
    holds: (pids) => pids.length === 0,
  });
}

/** A second configuration, beside the standing one. */
async function candidate(vm: Vm, text: string): Promise<string> {
  const standing = await vm.readFile('/etc/eni-agent/config.yaml');
  const endpoint = standing.slice(standing.indexOf('metadata:'));
  await writeFile(vm.path('/etc/eni-agent/new.yaml'), `${text}${endpoint}`, { mode: 0o644 });
  return '/etc/eni-agent/new.yaml';
}

/** What the state file says of each NIC. */
async function readOwned(vm: Vm): Promise<unknown> {
  return JSON.parse(await vm.readFile('/var/lib/eni-agent/state.json')).nics;
}

async function labWithEni(): Promise<{ lab: Lab; mac: string; before: string }> {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  return { lab, mac, before: await networkOf(lab.vm) };
}

test('a client that is cut off is back in time, and no run cuts it off again until the operator says so', async () => {
  const { lab, before } = await labWithEni();
  const { vm } = lab;
  const owned = await readOwned(vm);
  const applied = await vm.agent(['reconfigure', '--confirm', '3s', '--json'], { config: CUT });
  expect(applied).toMatchObject({ exitCode: 0, stderr: '' });
  const document = JSON.parse(applied.stdout);
  expect(document.steps.length).toBeGreaterThan(0);
  expect(await isReached(lab)).toBe(false);
  await waitUntilReached(lab, document);
  await waitForNoGuardian(vm);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(document.confirmBy));
  expect(await networkOf(vm)).toBe(before);
  expect(await readOwned(vm)).toEqual(owned);

  const late = await vm.agent(['reconfigure', '--commit']);
  expect(late.stderr).toMatch(/no change waits for one, the last was rolled back at /);
  expect(late.exitCode).toBe(1);
  const boot = await vm.agent(['boot']);
  expect(boot.stdout).toMatch(/! \d+ steps? not done: rolled back before, since nobody confirmed/);
  expect(boot.exitCode).toBe(3);
  const status = await vm.agent(['status']);
  expect(status.stdout).toMatch(/rolled back since nobody confirmed it: \+ route 203\.0\.113\.0\/24/);
  expect(status.exitCode).toBe(3);
  expect(await networkOf(vm)).toBe(before);

  expect((await vm.agent(['reconfigure'])).exitCode).toBe(0);
  expect(await isReached(lab)).toBe(false);
  expect((await vm.agent(['boot'], { config: '' })).exitCode).toBe(0);
  expect(await networkOf(vm)).toBe(before);

  for (const number of sized([5], [1, 2, 3, 4, 5, 6])) {
    const dying = { config: CUT, ...diesAtRename(number) };
    const { exitCode } = await vm.agent(['reconfigure', '--confirm', '3s'], dying);
    expect(exitCode, `killed at rename ${number}`).toBe(null);
    expect(await isReached(lab), `killed at rename ${number}`).toBe(number < 5);
    await waitForNoGuardian(vm);
    expect(await networkOf(vm), `killed at rename ${number}`).toBe(before);
    expect(await isReached(lab)).toBe(true);
  }
});

test('while a change waits nobody else changes anything; only the end of the machine ends the guardian', async () => {
  const { lab, before } = await labWithEni();
  const { vm } = lab;
  const applied = await vm.agent(['reconfigure', '--confirm', '1h'], { config: CUT });
  const [, confirmBy = ''] = /is rolled back at (\S+), unless/.exec(applied.stdout) ?? [];
  expect(Date.parse(confirmBy) - Date.now()).toBeGreaterThan(3_500_000);
  const commands = [['reconfigure'], ['release', 'eth1'], ['boot'], ['reconfigure', '--confirm', '3s']];
  for (const command of commands.slice(0, sized(1, commands.length))) {
    const { exitCode, stderr } = await vm.agent(command);
    expect(stderr).toContain(`a change waits for its confirmation until ${confirmBy}`);
    expect(exitCode).toBe(4);
  }
  expect((await vm.agent(['status'])).stdout).toContain(`is rolled back at ${confirmBy}, unless`);

  const [pid = 0] = await guardians(vm);
  const [, , group, session] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  expect([group, session]).toEqual([String(pid), String(pid)]);
  process.kill(pid, 'SIGHUP');
  process.kill(pid, 'SIGINT');
  expect(await isReached(lab)).toBe(false);
  expect(await guardians(vm)).toEqual([pid]);
  process.kill(pid, 'SIGTERM');
  await waitForNoGuardian(vm);
  expect(await networkOf(vm)).toBe(before);

  const otherIndexes = (key: string, value: unknown): unknown =>
    key === 'linkIndex' || key === 'index' ? Number(value) + 100 : value;
  expect((await rebootIn(vm, otherIndexes)).exitCode).toBe(3);
  expect(await networkOf(vm)).toBe(before);
  const otherMacs = (key: string, value: unknown): unknown => (key === 'mac' ? '02:00:00:00:99:99' : value);
  const copied = await rebootIn(vm, otherMacs);
  expect(copied.stderr).toContain('a change of another machine waited for its confirmation, it is forgotten');
  expect(existsSync(vm.path(TRIAL))).toBe(false);
  expect((await vm.agent(['reconfigure'], { config: '' })).exitCode).toBe(0);
  expect(await networkOf(vm)).toBe(before);

  expect((await vm.agent(['release', 'eth1'])).exitCode).toBe(0);
  const released = await networkOf(vm);
  expect((await vm.agent(['reconfigure', 'eth1', '--confirm', '1s'])).exitCode).toBe(0);
  expect(await networkOf(vm)).not.toBe(released);
  await waitForNoGuardian(vm);
  expect(await networkOf(vm)).toBe(released);
  expect((await vm.agent(['boot'])).exitCode).toBe(0);
  expect(await networkOf(vm)).toBe(released);
});

/** A change waits when the machine goes down; the first run of the next boot is `boot`. */
async function rebootIn(vm: Vm, change: (key: string, value: unknown) => unknown): Promise<AgentResult> {
  await vm.agent(['reconfigure', '--confirm', '1h'], { config: ALL_KINDS });
  for (const pid of await guardians(vm)) process.kill(pid, 'SIGKILL');
  await waitForNoGuardian(vm);
  // The kernel of a lab cannot be booted: what the file says of it is from another boot.
  const text = JSON.stringify(JSON.parse(await vm.readFile(TRIAL)), (key, value: unknown) =>
    key === 'bootId' ? 'another' : change(key, value),
  );
  await writeFile(vm.path(TRIAL), text);
  return vm.agent(['boot']);
}

describe('while the daemon runs', () => {
  test('a configuration is tried; the daemon, killed and started again, goes on with its own, or with that which was confirmed', async () => {
    const { lab, before } = await labWithEni();
    const { vm } = lab;
    const first = await vm.startDaemon({ config: EVERY_SECOND });
    const tried = ['--config', await candidate(vm, CUT), 'reconfigure', '--confirm', '1h'];
    expect(await vm.agent(tried)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await isReached(lab)).toBe(false);
    await first.kill();
    const daemon = await vm.startDaemon();
    await daemon.waitForLog((log) => log.some(({ msg }) => msg.startsWith('a change waits')));
    await waitForRuns(daemon, 2);
    expect(await isReached(lab)).toBe(false);
    for (const pid of await guardians(vm)) process.kill(pid, 'SIGTERM');
    await waitForNoGuardian(vm);
    await waitForNetwork(vm, before);
    await waitForRuns(daemon, 3);
    expect(await networkOf(vm)).toBe(before);
    expect(await daemon.status()).toMatchObject({ state: 'in-sync', confirmBy: null });

    const standing = await vm.readFile('/etc/eni-agent/config.yaml');
    const file = await candidate(vm, `${EVERY_SECOND}${ROUTE}`);
    expect((await vm.agent(['--config', file, 'reconfigure', '--confirm', '1h'])).exitCode).toBe(0);
    expect(await daemon.status()).toMatchObject({ confirmBy: expect.any(String) });
    const changed = await networkOf(vm);
    await waitForRuns(daemon, 2);
    expect(await networkOf(vm)).toBe(changed);
    const committed = await vm.agent(['reconfigure', '--commit', '--json']);
    expect(committed).toMatchObject({ exitCode: 0, stderr: '' });
    const configuration = vm.path('/etc/eni-agent/config.yaml');
    expect(JSON.parse(committed.stdout)).toEqual({ committed: true, configuration });
    expect(await vm.readFile('/etc/eni-agent/config.yaml')).toBe(await vm.readFile(file));
    expect(await vm.readFile('/etc/eni-agent/config.yaml.orig')).toBe(standing);
    await waitForNoGuardian(vm);
    await daemon.waitForLog((log) => log.some(({ msg }) => msg === 'configuration loaded'));
    await waitForRuns(daemon, 2);
    expect(await networkOf(vm)).toBe(changed);
    expect(await daemon.status()).toMatchObject({ state: 'in-sync', confirmBy: null });
    // Neither while the change waited nor when it was confirmed.
    expect(daemon.log().filter(({ msg }) => msg === 'network configuration changed')).toEqual([]);
    const again = await vm.agent(['reconfigure', '--confirm', '1s']);
    expect(again.stdout).toContain('The daemon applies the configuration as soon as it is saved.');
  });

  test.each(sized([], [ALL_KINDS]))(
    'it rolls back where the guardian was killed, and leaves undone what was',
    async (config) => {
      const { lab, mac, before } = await labWithEni();
      const { vm } = lab;
      await vm.agent(['reconfigure', '--confirm', '20s'], { config: `${EVERY_SECOND}${config}` });
      const daemon = await vm.startDaemon();
      for (const pid of await guardians(vm)) process.kill(pid, 'SIGKILL');
      expect(await networkOf(vm)).not.toBe(before);
      await waitForNetwork(vm, before, 30_000);
      const { interfaces, state } = await daemon.waitForStatus((status) => status.confirmBy === null);
      expect(state).toBe('degraded');
      const reason = interfaces.find((nic) => nic.mac === mac)?.reason;
      expect(reason).toMatch(/^rolled back since nobody confirmed it: /);
      await lab.assignAddress(lab.primary.mac, '10.0.0.5');
      await waitForAddresses(vm, 'eth0', ['10.0.0.4', '10.0.0.5']);
      await lab.unassignAddress(lab.primary.mac, '10.0.0.5');
      await waitForNetwork(vm, before);
      expect(daemon.log().filter(({ msg }) => msg.startsWith('rolled back since'))).toHaveLength(1);

      expect((await vm.agent(['reconfigure'])).exitCode).toBe(0);
      await daemon.waitForStatus(inSync(mac));
      await vm.writeConfig(EVERY_SECOND);
      await waitForNetwork(vm, before);
    },
  );
});

async function waitForRuns(daemon: Daemon, count: number): Promise<void> {
  const runs = daemon.runs();
  await daemon.waitForLog(() => daemon.runs() >= runs + count);
}
