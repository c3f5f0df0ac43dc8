/** When NetworkManager is given a profile for NICs that no other one claims, and which NICs keep what they have. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildDesired } from '../../../src/desired/build.ts';
import { createLog } from '../../../src/log.ts';
import { UNCLAIMED_PROFILE } from '../../../src/model/files.ts';
import type { Distribution } from '../../../src/model/host.ts';
import { createUnclaimedNics } from '../../../src/reconcile/unclaimed.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { type ConfigText, configOf, DISTRIBUTIONS, eni, hostOf, instance, link, macOf } from '../builders.ts';
import { NO_TEMPLATES } from '../simulator.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const LOG = createLog({ level: 'silent', stream: process.stderr });
const CONF = '/etc/NetworkManager/conf.d/50-operator.conf';

let paths: Paths;
beforeEach(async () => {
  paths = createPaths(await makeFolder());
  await put('/run/NetworkManager/manual-unmanaged', '');
});
afterEach(() => removeFolder(paths.root));

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(paths.below(file)), { recursive: true });
  await writeFile(paths.below(file), text);
}

/** NIC 1 is the primary, 2 a secondary; 3 is here, and nobody's. */
async function cover({
  distribution = DISTRIBUTIONS['networkmanager-keyfile'],
  present = [1, 2, 3],
  config = {},
}: {
  readonly distribution?: Distribution;
  readonly present?: readonly number[];
  readonly config?: ConfigText;
} = {}): Promise<void> {
  const metadata = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]);
  const host = hostOf({ links: present.map((n) => link(n, `eth${n - 1}`)), distribution });
  const desired = buildDesired({ metadata, host, config: configOf(config), templates: NO_TEMPLATES });
  const view = { host, desired, reading: { metadata, failure: null } };
  await createUnclaimedNics().cover(view, { paths, log: LOG });
}

const profile = (): Promise<string> => readFile(paths.below(UNCLAIMED_PROFILE), 'utf8');

test('it denies every NIC that is here, but for our secondaries, and only root may read it', async () => {
  await cover();
  expect(await profile()).toContain(`\nmac-address-blacklist=${macOf(1)};${macOf(3)};\n`);
  expect((await stat(paths.below(UNCLAIMED_PROFILE))).mode & 0o777).toBe(0o600);
  expect(await readdir(path.dirname(paths.below(UNCLAIMED_PROFILE)))).toHaveLength(1);
});

test('one of the daemon before stays: a NIC that came since is up by it', async () => {
  await cover({ present: [1, 2] });
  const before = await profile();
  await cover();
  expect(await profile()).toBe(before);
});

test('one for another primary does not', async () => {
  await put(UNCLAIMED_PROFILE, `# Managed by eni-agent.\n[ethernet]\nmac-address-blacklist=${macOf(9)};\n`);
  await cover();
  expect(await profile()).toContain(`=${macOf(1)};`);
});

test.each<readonly [string, Parameters<typeof cover>[0]]>([
  ['there is no NetworkManager', { distribution: DISTRIBUTIONS['network-scripts'] }],
  ['files are not ours to write', { config: { persistence: { backend: 'none' } } }],
  ['the primary is not here', { present: [2, 3] }],
])('there is none where %s', async (_what, options) => {
  await cover(options);
  await expect(profile()).rejects.toThrow('ENOENT');
});

test.each([
  ['of the operator', CONF, 'no-auto-default=*\n', false],
  ['that adds', CONF, '[main]\n no-auto-default += mac:02:00:00:00:00:09\n', false],
  ['of the distribution', '/usr/lib/NetworkManager/conf.d/00-server.conf', 'no-auto-default=*\n', false],
  ['in a comment', CONF, '#no-auto-default=*\n', true],
  ['without a value', CONF, 'no-auto-default=\n', true],
  ['in a file of another name', `${CONF}.rpmsave`, 'no-auto-default=*\n', true],
])('where no-auto-default is set that counts: one %s', async (_what, file, text, isThere) => {
  await put(file, text);
  await cover();
  expect(await profile().catch(() => null)).toEqual(isThere ? expect.any(String) : null);
});

test('a file hides one of the same name', async () => {
  await put('/usr/lib/NetworkManager/conf.d/00-server.conf', 'no-auto-default=*\n');
  await put('/etc/NetworkManager/conf.d/00-server.conf', '');
  await cover();
  expect(await profile()).toContain('eni-agent-unclaimed');
});

test('nothing is written before NetworkManager has been started', async () => {
  await removeFolder(paths.below('/run/NetworkManager'));
  await cover();
  await expect(profile()).rejects.toThrow('ENOENT');
});
