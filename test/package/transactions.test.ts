/** What the scriptlets do, under rpm itself: the first installation, upgrade, swap of the two packages, erasure. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pkg from '../../package.json' with { type: 'json' };
import { openRpmRoot, type RpmRoot } from '../lab/rpm-root.ts';
import { OWN_ARCHITECTURE, packageFile, ROOT } from './packages.ts';

const CONFIG = '/etc/eni-agent/config.yaml';
const STATE = '/var/lib/eni-agent/state.json';
const RELOAD = 'daemon-reload';
const RESTART = 'try-restart eni-agent.service';
const PRESET = 'preset eni-agent-boot.service eni-agent.service';
const END = [
  '--no-reload disable eni-agent.service eni-agent-boot.service',
  'stop eni-agent.service eni-agent-boot.service',
];
const EDITED = 'log: { level: debug }\n';

let folder = '';
let later = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-release-'));
  const options = ['--only', 'eni-agent', '--arch', OWN_ARCHITECTURE, '--release', '2', '--out', folder];
  await execa('npm', ['run', 'package', '--', ...options], { cwd: ROOT, env: { TMPDIR: folder } });
  later = path.join(folder, `eni-agent-${pkg.version}-2.${OWN_ARCHITECTURE}.rpm`);
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

async function install(systemd = 252): Promise<RpmRoot> {
  const root = await openRpmRoot({ systemd });
  await root.rpm('-i', '--nodeps', packageFile('eni-agent'));
  return root;
}

/** As an operator and a daemon leave them. */
async function use(root: RpmRoot): Promise<void> {
  await writeFile(root.path(CONFIG), EDITED);
  await writeFile(root.path(STATE), '{}');
  await root.calls();
}

async function dropIns(root: RpmRoot): Promise<readonly string[]> {
  const units = '/usr/lib/systemd/system';
  const files = await readdir(root.path(units), { recursive: true });
  return files.filter((file) => file.endsWith('.conf')).toSorted();
}

test('the first installation enables both units and starts none; rpm finds every file as it should be', async () => {
  const root = await install();
  const calls = await root.calls();
  expect(new Set(calls)).toEqual(new Set([PRESET, RELOAD, RESTART]));
  expect(calls.at(-1)).toBe(RESTART);
  expect(await root.rpm('--verify', '--nodeps', 'eni-agent')).toBe('');
});

describe('drop-ins for an old systemd', () => {
  test.each([
    [
      219,
      [
        'eni-agent-boot.service.d/50-before-235.conf',
        'eni-agent.service.d/50-before-235.conf',
        'eni-agent.service.d/50-before-246.conf',
      ],
    ],
    [239, ['eni-agent.service.d/50-before-246.conf']],
    [252, []],
  ])('systemd %i has what it needs', async (version, expected) => {
    expect(await dropIns(await install(version))).toEqual(expected);
  });

  test('they go when systemd becomes a newer one, and with the package', async () => {
    const root = await install(219);
    await root.becomeSystemd(239);
    expect(await dropIns(root)).toEqual(['eni-agent.service.d/50-before-246.conf']);
    await root.rpm('--erase', 'eni-agent');
    expect(existsSync(root.path('/usr/lib/systemd/system/eni-agent.service.d'))).toBe(false);
  });
});

test('an upgrade restarts the daemon where it runs, and nothing else; configuration and state stay', async () => {
  const root = await install();
  await use(root);
  await root.rpm('-U', '--nodeps', later);
  const calls = await root.calls();
  expect(calls.filter((call) => call !== RELOAD)).toEqual([RESTART]);
  expect(calls.at(-1)).toBe(RESTART);
  expect(await readFile(root.path(CONFIG), 'utf8')).toBe(EDITED);
  expect(await readFile(root.path(STATE), 'utf8')).toBe('{}');
  expect(await readdir(root.path('/etc/eni-agent'))).toEqual(['config.yaml', 'hooks.d', 'templates']);
});

test('and so does a downgrade', async () => {
  const root = await install();
  await use(root);
  await root.rpm('-U', '--nodeps', later);
  await root.calls();
  await root.rpm('-U', '--nodeps', '--oldpackage', packageFile('eni-agent'));
  expect((await root.calls()).filter((call) => call !== RELOAD)).toEqual([RESTART]);
  expect(await readFile(root.path(CONFIG), 'utf8')).toBe(EDITED);
  expect(await readFile(root.path(STATE), 'utf8')).toBe('{}');
});

test('neither package takes the place of the other unasked', async () => {
  const root = await install();
  const other = packageFile('eni-agent-standalone');
  await expect(root.rpm('-U', '--test', other)).rejects.toThrow(/eni-agent.* conflicts with eni-agent/);
});

test('a swap ends nothing, and leaves the units as the operator has them', async () => {
  const root = await install();
  await use(root);
  await root.swap({ install: packageFile('eni-agent-standalone'), erase: 'eni-agent' });
  const restarted = (calls: readonly string[]) => calls.filter((call) => call !== RELOAD);
  expect(restarted(await root.calls())).toEqual([RESTART]);
  expect(await root.rpm('-qa', 'eni-agent*')).toMatch(/^eni-agent-standalone-\S+$/);
  expect(await root.rpm('--verify', '--nodeps', '--noconfig', 'eni-agent-standalone')).toBe('');
  expect(await readFile(root.path(CONFIG), 'utf8')).toBe(EDITED);
  await root.swap({ install: packageFile('eni-agent'), erase: 'eni-agent-standalone' });
  expect(restarted(await root.calls())).toEqual([RESTART]);
  expect(await readFile(root.path(CONFIG), 'utf8')).toBe(EDITED);
  expect(await readFile(root.path(STATE), 'utf8')).toBe('{}');
});

test('erasure ends the daemon; configuration that was edited and the state stay', async () => {
  const root = await install();
  await use(root);
  await root.rpm('--erase', 'eni-agent');
  expect(await root.calls()).toEqual([...END, RELOAD]);
  expect(await readFile(root.path(`${CONFIG}.rpmsave`), 'utf8')).toBe(EDITED);
  expect(await readFile(root.path(STATE), 'utf8')).toBe('{}');
  const left = await execa('find', [root.path('/'), '-name', '*eni-agent*', '-not', '-type', 'd']);
  expect(left.stdout).toBe('');
});
