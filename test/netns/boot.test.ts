/** `boot`: in time, with the right exit code and the right reason, whatever is there and whatever is late. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { VM_ADDRESS } from '../lab/topology.ts';
import { bound } from '../lab/until.ts';

const ETH1 = ['10.0.1.4', '10.0.1.5'];

async function labWithEni(): Promise<{ lab: Lab; mac: string }> {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ETH1 });
  return { lab, mac };
}

const POLL_MS = 20;
/** For the start of a process on a machine that has other things to do. */
const LEEWAY_MS = bound(2_500);

/** The deadline is that of the test. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(POLL_MS);
}

/** TCP connections of the VM that were refused so far: AttemptFails of /proc/net/snmp. */
async function failedConnections(lab: Lab): Promise<number> {
  const { stdout } = await lab.vm.run('cat', ['/proc/net/snmp']);
  const [names, values] = stdout.split('\n').filter((line) => line.startsWith('Tcp:'));
  const column = names?.split(' ').indexOf('AttemptFails') ?? -1;
  return Number(values?.split(' ')[column]);
}

/** As the lock knows its holder. */
async function describeSelf(): Promise<object> {
  const stat = await readFile(`/proc/${process.pid}/stat`, 'utf8');
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { pid: process.pid, startTime, bootId };
}

test('with everything there: configured and verified', async () => {
  const { lab } = await labWithEni();
  const { exitCode, stdout, stderr } = await lab.vm.agent(['boot']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('+ address 10.0.1.5/24 on eth1 (assigned in metadata)');
  expect(stdout).toMatch(/The network is as it should be\.$/);
  expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ETH1]))).toEqual([]);
  const { lastRun } = JSON.parse((await lab.vm.agent(['status', '--json'])).stdout);
  expect(lastRun).toMatchObject({ trigger: 'boot', outcome: 'applied' });
  const before = await lab.vm.snapshot({ identity: true });
  expect((await lab.vm.agent(['boot'])).exitCode).toBe(0);
  expect(await lab.vm.snapshot({ identity: true })).toBe(before);
});

test('with the metadata late: waits for it', async () => {
  const { lab } = await labWithEni();
  await lab.metadata.fault({ mode: 'status', status: 503 });
  const booting = lab.vm.agent(['boot', '--timeout', '20s']);
  await until(async () => (await lab.metadata.requests()).length > 5);
  await lab.metadata.fault(null);
  expect(await booting).toMatchObject({ exitCode: 0, stderr: '' });
  expect(brokenCells(await lab.matrix(ETH1))).toEqual([]);
});

test('with nobody there to ask, and then somebody', async () => {
  const { lab } = await labWithEni();
  await lab.metadata.down();
  const booting = lab.vm.agent(['boot', '--timeout', '20s']);
  await until(async () => (await failedConnections(lab)) > 0);
  await lab.metadata.up();
  expect(await booting).toMatchObject({ exitCode: 0, stderr: '' });
  expect(brokenCells(await lab.matrix(ETH1))).toEqual([]);
});

describe('without metadata', () => {
  test('goes by the last good answer after half of the timeout, puts back what the reboot took, and exits 3', async () => {
    const { lab } = await labWithEni();
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    await lab.vm.agent(['reconfigure']);
    await lab.vm.run('ip', ['address', 'del', '10.0.0.5/24', 'dev', 'eth0']);
    await lab.vm.run('ip', ['rule', 'del', 'priority', '21000']);
    await lab.metadata.down();
    const { exitCode, stdout, durationMs } = await lab.vm.agent(['boot', '--timeout', '4s']);
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^! by the last good answer: .*ECONNREFUSED/m);
    expect(durationMs).toBeGreaterThan(1_700);
    expect(durationMs).toBeLessThan(4_000 + LEEWAY_MS);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.0.5', ...ETH1]))).toEqual([]);
  });

  test('and without an earlier answer exits 1 at the end, says so, and touches nothing', async () => {
    const { lab } = await labWithEni();
    await lab.metadata.down();
    const before = await lab.vm.snapshot({ identity: true });
    const { exitCode, stderr, durationMs } = await lab.vm.agent(['boot', '--timeout', '2s']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /ECONNREFUSED.*no earlier answer.*the network is as the distribution's files made it$/,
    );
    expect(durationMs).toBeGreaterThan(1_500);
    expect(durationMs).toBeLessThan(2_000 + LEEWAY_MS);
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  });

  test('an earlier answer of another machine is none', async () => {
    const { lab } = await labWithEni();
    await lab.vm.agent(['reconfigure']);
    const state = await lab.vm.readFile('/var/lib/eni-agent/state.json');
    await writeFile(
      lab.vm.path('/var/lib/eni-agent/state.json'),
      // Version 1 has no checksum.
      state
        .replace('"version": 2', '"version": 1')
        .replace(`"primaryMac": "${lab.primary.mac}"`, '"primaryMac": "02:99:99:99:99:99"'),
    );
    await lab.metadata.down();
    const { exitCode, stderr } = await lab.vm.agent(['boot', '--timeout', '1s']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('of another machine');
  });

  test('a service that takes the question and never answers holds it up no longer', async () => {
    const { lab } = await labWithEni();
    await lab.metadata.fault({ mode: 'hang' });
    const { exitCode, durationMs } = await lab.vm.agent(['boot', '--timeout', '1s']);
    expect(exitCode).toBe(1);
    expect(durationMs).toBeLessThan(1_000 + LEEWAY_MS);
  });
});

describe('a link that the metadata lists and that is late', () => {
  test('is set up when it comes, after what is there', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.run('ip', ['link', 'set', 'eth1', 'address', '02:99:99:99:99:99']);
    const booting = lab.vm.agent(['boot']);
    await until(async () => (await lab.vm.run('ls', [lab.vm.path('/var/lib')])).stdout.includes('eni-agent'));
    await lab.vm.run('ip', ['link', 'set', 'eth1', 'address', mac]);
    const { exitCode, stdout, durationMs } = await booting;
    expect(exitCode).toBe(0);
    expect(stdout).toContain('+ address 10.0.1.4/24 on eth1');
    expect(stdout).not.toContain('no-link');
    expect(durationMs).toBeLessThan(bound(9_000));
    expect(brokenCells(await lab.matrix(ETH1))).toEqual([]);
  });

  test('and never comes is waited for within the timeout: exit 0, with the reason', async () => {
    const { lab } = await labWithEni();
    await lab.vm.run('ip', ['link', 'set', 'eth1', 'address', '02:99:99:99:99:99']);
    const { exitCode, stdout, durationMs } = await lab.vm.agent(['boot', '--timeout', '2s']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/is left as it is: no-link: the metadata lists .* but no link has this MAC yet/);
    expect(durationMs).toBeGreaterThan(1_500);
    expect(durationMs).toBeLessThan(2_000 + LEEWAY_MS);
  });
});

test('a released NIC stays released', async () => {
  const { lab } = await labWithEni();
  await lab.vm.agent(['release', 'eth1']);
  const { exitCode, stdout } = await lab.vm.agent(['boot']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('eth1 is left as it is: released');
  expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout).toBe('');
});

test('a lock that nobody lets go of holds it up no longer than the timeout', async () => {
  const { lab } = await labWithEni();
  await mkdir(lab.vm.path('/run/eni-agent'));
  await writeFile(lab.vm.path('/run/eni-agent/lock'), JSON.stringify(await describeSelf()));
  const { exitCode, stderr, durationMs } = await lab.vm.agent(['boot', '--timeout', '1500ms']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('not done within 1.5 s');
  expect(durationMs).toBeLessThan(1_500 + LEEWAY_MS);
});

test('a bad timeout is wrong usage: exit 2', async () => {
  const { lab } = await labWithEni();
  for (const timeout of ['soon', '0s', '60', '25h']) {
    const { exitCode, stderr } = await lab.vm.agent(['boot', '--timeout', timeout]);
    expect(exitCode, timeout).toBe(2);
    expect(stderr).toContain('Allowed: a duration');
  }
});

test('SIGTERM ends it at once while it waits', async () => {
  const { lab } = await labWithEni();
  await lab.metadata.fault({ mode: 'status', status: 503 });
  const stop = new AbortController();
  const booting = lab.vm.agent(['boot'], { terminate: stop.signal });
  await until(async () => (await lab.metadata.requests()).length > 1);
  const stoppedAt = performance.now();
  stop.abort();
  const { exitCode, stderr } = await booting;
  expect(exitCode).toBe(1);
  expect(stderr).toContain("the network is as the distribution's files made it");
  expect(performance.now() - stoppedAt).toBeLessThan(LEEWAY_MS);
});
