import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { beforeEach, expect, test } from 'vitest';
import { seal } from '../../../src/reconcile/seal.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { deadlineIn, writeTrial } from '../../../src/system/trial-file.ts';
import { AT } from '../builders.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const MARKER = '# Managed by eni-agent.\n';

let paths: Paths;

beforeEach(async () => {
  const folder = await makeFolder();
  paths = createPaths(folder);
  for (const each of [paths.networkScripts, paths.stateDirectory]) await mkdir(each, { recursive: true });
  return () => removeFolder(folder);
});

test('takes what is ours, without any state too, puts back what was there before, and leaves the rest', async () => {
  const files: Readonly<Record<string, string>> = {
    'ifcfg-eth0': 'DEVICE=eth0\n',
    'ifcfg-eth1': MARKER,
    'route-eth1': MARKER,
    'route-eth1.orig': 'before',
    'rule-eth1.orig': 'before, too',
    'rule-eth7.orig': 'of nobody that we know',
    '.ifcfg-eth2.eni-agent-tmp': MARKER,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(`${paths.networkScripts}/${name}`, text);
  await writeFile(`${paths.stateDirectory}/state.json.corrupt.2`, 'torn');
  const scripts = '/etc/sysconfig/network-scripts';
  expect(await seal(paths)).toEqual({
    removed: [
      `${scripts}/ifcfg-eth1`,
      `${scripts}/.ifcfg-eth2.eni-agent-tmp`,
      '/var/lib/eni-agent/state.json.corrupt.2',
    ],
    restored: [`${scripts}/route-eth1`, `${scripts}/rule-eth1`],
    problems: [],
  });
  expect((await readdir(paths.networkScripts)).toSorted()).toEqual([
    'ifcfg-eth0',
    'route-eth1',
    'rule-eth1',
    'rule-eth7.orig',
  ]);
  expect(await readFile(`${paths.networkScripts}/rule-eth1`, 'utf8')).toBe('before, too');
  expect(await readdir(paths.runDirectory)).toEqual([]);
});

test('is refused while a change waits for its confirmation: it is rolled back by what is on the disk', async () => {
  const before = { configuration: null, standing: '', links: [], files: [], state: '', steps: [] };
  await writeTrial(paths, {
    id: 'one',
    deadline: deadlineIn(60_000),
    confirmBy: AT,
    isConfirmed: false,
    ...before,
  });
  await expect(seal(paths)).rejects.toMatchObject({ code: 'change-unconfirmed' });
  expect(await readdir(paths.stateDirectory)).toEqual(['trial.json']);
});
