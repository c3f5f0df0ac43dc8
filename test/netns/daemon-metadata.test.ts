/** Metadata that knows of an ENI later or earlier than the kernel. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { LogLine } from '../lab/daemon.ts';
import { openLab } from '../lab/open-lab.ts';
import {
  alarms,
  EVERY_SECOND,
  INTERVAL_MS,
  inSync,
  networkOf,
  sized,
  waitForAddresses,
} from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const ADDRESSES = addressRange('10.0.1.4', 4);
const LAG_MS = sized(2_000, 5_000);

describe('metadata', () => {
  test('that comes after the link is waited for, as pending, without an alarm', async () => {
    const lab = await openLab();
    // The default interval: a new link is asked for every second nevertheless.
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(lab.primary.mac));
    const { mac } = await lab.attachEni({ addresses: ADDRESSES, listed: false });
    const status = await daemon.waitForStatus(({ state }) => state === 'pending');
    expect(status.interfaces.find((nic) => nic.mac === mac)).toMatchObject({
      state: 'pending',
      name: 'eth1',
    });
    expect(status.interfaces.find((nic) => nic.mac === mac)?.reason).toContain('metadata');
    await sleep(LAG_MS);
    expect((await daemon.status()).state).toBe('pending');
    await lab.metadata.show(mac);
    await daemon.waitForStatus(inSync(mac), { deadlineMs: 3_000 });
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ADDRESSES]))).toEqual([]);
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('that comes before the link is waited for, as pending, without an alarm', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    await daemon.waitForStatus(inSync(lab.primary.mac));
    const { mac } = await lab.announceEni({ addresses: ADDRESSES });
    const status = await daemon.waitForStatus(({ state }) => state === 'pending');
    expect(status.interfaces.find((nic) => nic.mac === mac)).toMatchObject({ state: 'pending', name: null });
    expect(status.interfaces.find((nic) => nic.mac === mac)?.reason).toContain('link');
    await sleep(LAG_MS);
    expect((await daemon.status()).state).toBe('pending');
    await lab.plugIn(mac);
    await daemon.waitForStatus(inSync(mac));
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ADDRESSES]))).toEqual([]);
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('that goes away takes nothing along: said once, repaired by the last answer, in sync when it is back', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    await lab.metadata.down();
    await daemon.waitForStatus(({ state }) => state === 'degraded');
    const { exitCode, stdout } = await lab.vm.agent(['status']);
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^degraded .*\nby the last good answer: .*ECONNREFUSED 169.254.0.23:80;/);
    const runs = daemon.runs();
    await lab.vm.run('ip', ['addr', 'del', '10.0.1.5/24', 'dev', 'eth1']);
    await waitForAddresses(lab.vm, 'eth1', ADDRESSES, 1_000);
    await daemon.waitForLog(() => daemon.runs() > runs + 2);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ADDRESSES]))).toEqual([]);
    expect(alarms(daemon.log()).map(({ msg }) => msg)).toEqual([
      'metadata unavailable, nothing is taken away',
    ]);
    await lab.metadata.up();
    await daemon.waitForStatus(inSync(mac));
    expect((await lab.vm.agent(['status'])).stdout).not.toContain('by the last good answer');
  });

  test('that fails from the first start on, without an earlier answer, is said so once, and asked again until it is there', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await lab.metadata.fault({ mode: 'status', status: 503 });
    const before = await networkOf(lab.vm);
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    const failures = (log: readonly LogLine[]): number =>
      log.filter(({ msg }) => msg === 'run failed').length;
    await daemon.waitForLog((log) => failures(log) > 3);
    expect(await networkOf(lab.vm)).toBe(before);
    await lab.metadata.fault(null);
    await daemon.waitForStatus(inSync(mac), { deadlineMs: 2 * INTERVAL_MS });
    expect(alarms(daemon.log()).map(({ msg }) => msg)).toEqual([
      'metadata unavailable, nothing is taken away',
      'run failed',
    ]);
    expect(alarms(daemon.log())[1]?.['problem']).toContain('HTTP 503');
    expect(alarms(daemon.log())[1]?.['problem']).toContain('there is no earlier answer to go by');
  });

  test('that hangs keeps nobody waiting who asks for the status', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    await daemon.waitForStatus(inSync(lab.primary.mac));
    await lab.metadata.fault({ mode: 'hang' });
    const before = (await lab.metadata.requests()).length;
    const read = async () => (await lab.metadata.requests()).length;
    await until({ what: 'a request that hangs', read, holds: (count) => count > before });
    expect((await daemon.status()).interfaces).toHaveLength(1);
    // It still waits for the answer.
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('that keeps the daemon waiting is asked again for who rang meanwhile', async () => {
    const lab = await openLab();
    // The default interval.
    const daemon = await lab.vm.startDaemon();
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    const before = (await lab.metadata.requests()).length;
    const read = async () => (await lab.metadata.requests()).length;
    await lab.metadata.fault({ mode: 'hang', times: 1 });
    await lab.vm.run('touch', [lab.vm.path('/run/eni-agent/wake')]);
    await until({ what: 'a request that hangs', read, holds: (count) => count > before });
    await lab.assignAddress(mac, '10.0.1.50');
    await lab.vm.run('touch', [lab.vm.path('/run/eni-agent/wake')]);
    await waitForAddresses(lab.vm, 'eth1', [...ADDRESSES, '10.0.1.50'], 4_000);
  });

  test('that forgets an ENI in one answer takes nothing away from it', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({
      config: 'daemon: { resyncInterval: 1s, removalConfirmations: 3 }\n',
    });
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    const before = await networkOf(lab.vm);
    const monitor = await lab.vm.monitor();
    await lab.metadata.hide(mac);
    await daemon.waitForStatus(({ state }) => state !== 'in-sync');
    await lab.metadata.show(mac);
    await daemon.waitForStatus(inSync(mac));
    expect(monitor.lines()).toEqual([]);
    expect(await networkOf(lab.vm)).toBe(before);
  });

  test('that no longer lists an address is asked for the second answer in a second, whatever rings meanwhile', async () => {
    const lab = await openLab();
    // The default interval: the clock alone would take up to ten seconds.
    const daemon = await lab.vm.startDaemon();
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    await lab.unassignAddress(mac, '10.0.1.5');
    await lab.vm.run('touch', [lab.vm.path('/run/eni-agent/wake')]);
    const rules = ['add', 'del'].map((action) => ['rule', action, 'from', '100.64.0.0/24', 'lookup', '100']);
    await until({
      what: 'the address is gone',
      read: async () => {
        for (const rule of rules) await lab.vm.run('ip', rule);
        return (await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout;
      },
      holds: (addresses) => !addresses.includes('10.0.1.5/'),
      deadlineMs: 4_000,
    });
  });

  test('that still lists a link that is gone is asked every second, so that nothing of it stays', async () => {
    const lab = await openLab();
    // The default interval.
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(lab.primary.mac));
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    await daemon.waitForStatus(inSync(mac));
    await lab.vm.run('ip', ['link', 'del', 'eth1']);
    // The primary has nothing left to confirm either.
    await daemon.waitForStatus(({ interfaces }) => {
      const states = Object.fromEntries(interfaces.map((nic) => [nic.mac, nic.state]));
      return states[mac] === 'pending' && states[lab.primary.mac] === 'in-sync';
    });
    await lab.metadata.hide(mac);
    await until({
      what: 'its rules are gone',
      read: async () => (await lab.vm.run('ip', ['rule'])).stdout,
      holds: (rules) => !rules.includes('21001'),
      deadlineMs: 4_000,
    });
    expect(alarms(daemon.log())).toEqual([]);
  });
});
