/** Files are read again when they may have changed, and only then. */
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NETWORK_SCRIPTS } from '../../../src/model/files.ts';
import { createMemo } from '../../../src/model/memo.ts';
import { observeFiles } from '../../../src/observe/files.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const IFCFG = `${NETWORK_SCRIPTS}/ifcfg-eth1`;
/** From then on a change of the file shows in its times. */
const SETTLED_MS = 1_100;

let paths: Paths;
beforeEach(async () => {
  paths = createPaths(await makeFolder());
  await mkdir(paths.below(NETWORK_SCRIPTS), { recursive: true });
  await writeFile(paths.below(IFCFG), 'one\n');
});
afterEach(() => removeFolder(paths.root));

test('a file that is written twice in the same tick of the clock is read twice', async () => {
  const memo = createMemo();
  const mtime = new Date();
  for (const text of ['one\n', 'two\n', 'six\n', 'ten\n']) {
    await writeFile(paths.below(IFCFG), text);
    await utimes(paths.below(IFCFG), mtime, mtime);
    expect(observeFiles(paths, memo).files).toEqual([{ path: IFCFG, content: text }]);
  }
});

test('a file that was changed just now is read each time: the next change may leave the same times on it', async () => {
  const memo = createMemo();
  await writeFile(paths.below(IFCFG), 'two\n');
  expect(observeFiles(paths, memo)).not.toBe(observeFiles(paths, memo));
});

test('what has not changed is the very same, whatever became of it meanwhile', async () => {
  const memo = createMemo();
  await sleep(SETTLED_MS);
  const first = observeFiles(paths, memo);
  expect(observeFiles(paths, memo)).toBe(first);
  await writeFile(paths.below(IFCFG), 'two\n');
  expect(observeFiles(paths, memo).files).toEqual([{ path: IFCFG, content: 'two\n' }]);
  await sleep(SETTLED_MS);
  const settled = observeFiles(paths, memo);
  expect(observeFiles(paths, memo)).toBe(settled);
  // Of the same length, with the same time: by its number and the time of its change.
  const before = await readFile(paths.below(IFCFG), 'utf8');
  await writeFile(paths.below(`${IFCFG}~`), before.replace('two', 'six'));
  await rename(paths.below(`${IFCFG}~`), paths.below(IFCFG));
  expect(observeFiles(paths, memo).files).toEqual([{ path: IFCFG, content: 'six\n' }]);
  await rm(paths.below(IFCFG));
  expect(observeFiles(paths, memo).files).toEqual([]);
});
