/** Which files of hooks.d are hooks, in which order, and which of them are refused. */
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findHooks } from '../../../src/hooks/executables.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';

const isRoot = process.getuid?.() === 0;

async function hooksWith(files: Readonly<Record<string, number>>): Promise<Paths> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-hooks-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const paths = createPaths(root);
  const folder = path.join(paths.hooks, 'address-added');
  await mkdir(folder, { recursive: true });
  await chmod(root, 0o755);
  for (const [name, mode] of Object.entries(files)) {
    await writeFile(path.join(folder, name), '#!/bin/sh\n');
    await chmod(path.join(folder, name), mode);
  }
  return paths;
}

/** Names of those that are run, and of those that are refused. To anybody but root all are somebody else's. */
async function find(paths: Paths): Promise<readonly [readonly string[], readonly string[]]> {
  const { executables, refused } = await findHooks(paths, 'address-added');
  const names = (files: Iterable<string>): readonly string[] => [...files].map((file) => path.basename(file));
  if (isRoot) return [names(executables), names(refused.keys())];
  expect(executables).toEqual([]);
  const others = [...refused].filter(([, problem]) => problem.includes('has mode'));
  const trusted = [...refused].filter(([, problem]) => !problem.includes('has mode'));
  return [names(trusted.map(([file]) => file)), names(others.map(([file]) => file))];
}

test('they come in the order of their names, whatever the language of the machine', async () => {
  const paths = await hooksWith({
    'b-last': 0o755,
    '10-b': 0o700,
    '10-a': 0o555,
    '9-z': 0o755,
    'B-upper': 0o755,
  });
  expect(await find(paths)).toEqual([['10-a', '10-b', '9-z', 'B-upper', 'b-last'], []]);
});

test('what cannot be executed, what is hidden and what editors and rpm leave behind is none', async () => {
  const left = ['.hidden', '10-a~', '.10-a.swp', '10-a.swp', '10-a.rpmsave', '10-a.rpmnew', '10-a.rpmorig'];
  const paths = await hooksWith({
    README: 0o644,
    '10-a': 0o755,
    '10-a.sh': 0o755,
    ...Object.fromEntries(left.map((name) => [name, 0o755])),
  });
  await mkdir(path.join(paths.hooks, 'address-added/20-folder'));
  await symlink('/nowhere', path.join(paths.hooks, 'address-added/30-dangling'));
  expect(await find(paths)).toEqual([['10-a', '10-a.sh'], []]);
});

test('without a folder there is none', async () => {
  const { executables, refused } = await findHooks(await hooksWith({ '10-a': 0o755 }), 'address-removed');
  expect([executables, refused.size]).toEqual([[], 0]);
});

test('one that others can write is refused, the rest is not; with what to type', async () => {
  const paths = await hooksWith({ '10-a': 0o775, '20-b': 0o757, '30-c': 0o755 });
  expect(await find(paths)).toEqual([['30-c'], ['10-a', '20-b']]);
  const { refused } = await findHooks(paths, 'address-added');
  const file = path.join(paths.hooks, 'address-added/20-b');
  expect(refused.get(file)).toContain(
    `has mode 0757, so that others than root can write it; run: chmod go-w ${file}`,
  );
});

test('below a folder that others can write all are refused', async () => {
  const paths = await hooksWith({ '10-a': 0o755 });
  await chmod(paths.hooks, 0o777);
  expect(await find(paths)).toEqual([[], ['10-a']]);
});

test('a link to a file is judged by that file and the way to it', async () => {
  const paths = await hooksWith({ '10-a': 0o755, 'elsewhere.txt': 0o644 });
  const folder = path.join(paths.root, 'opt');
  await mkdir(folder);
  await writeFile(path.join(folder, 'program'), '#!/bin/sh\n');
  await chmod(path.join(folder, 'program'), 0o755);
  await symlink(path.join(folder, 'program'), path.join(paths.hooks, 'address-added/20-b'));
  await chmod(folder, 0o755);
  expect((await findHooks(paths, 'address-added')).refused.size).toBe(isRoot ? 0 : 2);
  await chmod(folder, 0o777);
  const { refused } = await findHooks(paths, 'address-added');
  expect(refused.get(path.join(paths.hooks, 'address-added/20-b'))).toContain(`${folder} has mode 0777`);
});

test('one of another user is refused', async () => {
  const paths = await hooksWith({ '10-a': 0o755 });
  const file = path.join(paths.hooks, 'address-added/10-a');
  // An unprivileged user has such a file; in a namespace with one user there is nobody to give it to, and the system's own are such.
  const given = await chown(file, 1000, 1000).then(
    () => true,
    () => false,
  );
  if (!given && isRoot) {
    await rm(file);
    await symlink('/usr/bin/true', file);
  }
  const { executables, refused } = await findHooks(paths, 'address-added');
  expect(executables).toEqual([]);
  expect(refused.get(file)).toMatch(/ belongs to uid [1-9]\d*; run: chown root \//);
});
