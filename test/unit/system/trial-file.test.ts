/** The file of a change that waits: read as written, nothing for what is not of our writing, and over after another boot. */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Trial } from '../../../src/model/trial.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import {
  deadlineIn,
  identifyTrial,
  readTrial,
  removeTrial,
  timeLeft,
  writeTrial,
} from '../../../src/system/trial-file.ts';
import { AT, configOf, eni, hostOf, instance, link, macOf } from '../builders.ts';
import { lookAt } from '../simulator.ts';

const TRIAL: Trial = {
  id: 'one',
  deadline: deadlineIn(60_000),
  confirmBy: AT,
  isConfirmed: false,
  configuration: 'interfaces: []\n',
  standing: 'a digest',
  links: [{ index: 2, mac: macOf(1) }],
  steps: lookAt({
    metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24 2001:db8::4/64', '10.0.1.1')]),
    host: hostOf({ links: [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', { up: false })] }),
    config: configOf(),
  }).plan.steps,
  files: [
    { path: '/etc/sysconfig/network-scripts/ifcfg-eth1', content: 'AA==', mode: 0o600 },
    { path: '/etc/sysconfig/network-scripts/rule6-eth1.orig', content: null, mode: 0 },
  ],
  state: '{}',
};

let paths: Paths;

beforeEach(async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-trial-'));
  onTestFinished(() => rm(root, { recursive: true }));
  paths = createPaths(root);
});

test('is read as it was written, by root alone, until it is removed', async () => {
  expect(readTrial(paths)).toBeNull();
  expect(identifyTrial(paths)).toBe('');
  await writeTrial(paths, TRIAL);
  expect(readTrial(paths)).toEqual(TRIAL);
  expect((await stat(paths.trial)).mode & 0o777).toBe(0o600);
  const identity = identifyTrial(paths);
  await writeTrial(paths, { ...TRIAL, id: 'another' });
  expect(identifyTrial(paths)).not.toBe(identity);
  await removeTrial(paths);
  expect(readTrial(paths)).toBeNull();
});

test.each(['', '{', '[]', '{"version":2}', 'null', '\0'])('%j is no change that waits', async (text) => {
  await mkdir(paths.stateDirectory, { recursive: true });
  await writeFile(paths.trial, text);
  expect(readTrial(paths)).toBeNull();
});

test.each([
  '/etc/passwd',
  '/etc/sysconfig/network-scripts/ifup',
  '/etc/sysconfig/network-scripts/ifcfg-../../passwd',
  'ifcfg-eth1',
])('%s is no file to put back', async (file) => {
  await writeTrial(paths, { ...TRIAL, files: [{ path: file, content: '', mode: 0o644 }] });
  expect(readTrial(paths)).toBeNull();
});

test('its time is that of this boot', () => {
  expect(timeLeft(TRIAL)).toBeGreaterThan(50_000);
  expect(timeLeft(TRIAL)).toBeLessThanOrEqual(60_000);
  expect(timeLeft({ ...TRIAL, deadline: deadlineIn(-1) })).toBe(0);
  expect(timeLeft({ ...TRIAL, deadline: { ...TRIAL.deadline, bootId: 'another' } })).toBe(0);
});
