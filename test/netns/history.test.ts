/** `history`: what changed, what rang, and what came of it, whoever did it. */
import { rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { HistoryRun } from '../../src/model/history.ts';
import { openLab } from '../lab/open-lab.ts';
import { inSync } from '../lab/settled.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const HISTORY = '/var/lib/eni-agent/history.jsonl';

async function historyOf(vm: Vm): Promise<readonly HistoryRun[]> {
  const { exitCode, stdout, stderr } = await vm.agent(['history', '--json']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout).runs;
}

function summaryOf(runs: readonly HistoryRun[]): readonly string[] {
  return runs.map(({ trigger, outcome }) => `${trigger} ${outcome}`);
}

test('command, boot, daemon and release each leave a line, a run that changes nothing leaves none', async () => {
  const lab = await openLab();
  const { vm } = lab;
  expect((await vm.agent(['history'])).stdout).toBe('No run has changed anything yet.');
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const { stdout } = await vm.agent(['reconfigure', '--json']);
  const [first, ...none] = await historyOf(vm);
  expect(none).toEqual([]);
  expect(first).toMatchObject({
    trigger: 'command',
    outcome: 'applied',
    undone: [],
    omitted: 0,
    problems: [],
  });
  expect(first?.steps).toEqual(JSON.parse(stdout).steps);
  expect((await vm.agent(['reconfigure'])).stdout).toContain('In sync');

  await lab.assignAddress(mac, '10.0.1.6');
  expect((await vm.agent(['boot'])).exitCode).toBe(0);
  const daemon = await vm.startDaemon();
  await daemon.waitForStatus(inSync(mac));
  // Its first run is by the clock, and what is gone by then is that one's.
  await daemon.waitForLog((log) => log.some(({ msg }) => msg === 'run'));
  await vm.run('ip', ['address', 'del', '10.0.1.6/24', 'dev', 'eth1']);
  await until({ what: 'it is put back', read: () => historyOf(vm), holds: (runs) => runs.length === 3 });
  await daemon.waitForStatus(inSync(mac));
  const changed = daemon.log().find(({ msg }) => msg === 'network configuration changed');
  expect(changed).toMatchObject({ trigger: 'kernel', outcome: 'applied', interfaces: ['eth1'], macs: [mac] });
  expect((await vm.agent(['release', 'eth1'])).exitCode).toBe(0);
  await daemon.stop();
  expect(summaryOf(await historyOf(vm))).toEqual([
    'command applied',
    'boot applied',
    'kernel applied',
    'command applied',
  ]);
  const text = (await vm.agent(['history'])).stdout;
  expect(text).toMatch(/^\S+Z {2}boot {2}applied {2}\d+ steps in [\d.]+ ms$/m);
  expect(text).toMatch(/^ {2}\+ address 10\.0\.1\.6\/24 on eth1 \(assigned in metadata\)$/m);
  expect(text).toMatch(/^ {2}- address 10\.0\.1\.4\/24 on eth1 \(released\)$/m);
});

test('what was rolled back is there with what was tried and why, and so is what nobody confirmed', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  expect((await vm.agent(['reconfigure'])).exitCode).toBe(0);
  const config = 'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.9.9.9 }] }]\n';
  for (const command of ['reconfigure', 'boot'])
    expect((await vm.agent([command], { config })).exitCode).toBe(3);
  const runs = await historyOf(vm);
  expect(summaryOf(runs)).toEqual(['command applied', 'command rolled-back']);
  expect(runs[1]?.steps).toEqual([]);
  expect(runs[1]?.undone.map(({ target }) => target)).toContainEqual(
    expect.stringContaining('172.20.0.0/16'),
  );
  expect(runs[1]?.problems).toEqual([
    expect.objectContaining({ message: expect.stringContaining('172.20.0.0/16') }),
  ]);
  const { stdout } = await vm.agent(['history']);
  expect(stdout).toMatch(/^\S+Z {2}command {2}rolled-back {2}nothing was changed in [\d.]+ ms$/m);
  expect(stdout).toMatch(/^ {2}undone: \+ route 172\.20\.0\.0\/16/m);
  expect(stdout).toMatch(/^ {2}! adding route 172\.20\.0\.0\/16/m);

  const trial = 'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.0.1.1 }] }]\n';
  const tried = await vm.agent(['reconfigure', '--confirm', '1s'], { config: trial });
  expect(tried.exitCode).toBe(0);
  const all = await until({
    what: 'it is rolled back',
    read: () => historyOf(vm),
    holds: (now) => now.length === 4,
  });
  expect(summaryOf(all.slice(2))).toEqual(['command applied', 'command rolled-back']);
  expect(all[3]?.undone).toEqual(all[2]?.steps);
});

test('a torn line is told of and left out, and a folder in its place holds up no run', async () => {
  const lab = await openLab();
  const { vm } = lab;
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await vm.agent(['reconfigure']);
  const whole = await vm.readFile(HISTORY);
  await writeFile(vm.path(HISTORY), whole.slice(0, -20));
  expect(await vm.agent(['history'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(
      /^No run has changed anything yet\.\n! 1 line of the history cannot be read \(a power cut\?\), and is left out$/,
    ),
  });
  await lab.assignAddress(mac, '10.0.1.5');
  expect(await vm.agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await historyOf(vm)).toHaveLength(1);

  await rm(vm.path(HISTORY));
  await vm.run('mkdir', [vm.path(HISTORY)]);
  await lab.assignAddress(mac, '10.0.1.6');
  const { exitCode, stderr } = await vm.agent(['reconfigure']);
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/"problem":"writing \S+history\.jsonl: EISDIR.*"the run is not in the history"/);
});
