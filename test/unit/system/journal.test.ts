import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { isKernelStep } from '../../../src/apply/executors.ts';
import { hasJournal, readJournal, writeJournal } from '../../../src/system/journal.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { anyChange, anyRecipe, changed, worldOf } from '../scenarios.ts';
import { lookAt, runOnce } from '../simulator.ts';
import { makeFolder, removeFolder } from './script.ts';

let paths: Paths;

beforeEach(async () => {
  const folder = await makeFolder();
  paths = createPaths(folder);
  await mkdir(paths.runDirectory, { recursive: true });
  return () => removeFolder(folder);
});

const anyPlan = fc.tuple(anyRecipe, fc.option(anyChange)).map(([recipe, change]) => {
  const first = worldOf(recipe);
  return lookAt(change === null ? first : changed(runOnce(first), recipe, change)).plan.steps.filter(
    isKernelStep,
  );
});

test('what a run is about to do is read back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(anyPlan, async (steps) => {
      await writeJournal(paths, steps);
      expect(hasJournal(paths)).toBe(steps.length > 0);
      expect(readJournal(paths)).toEqual(steps);
    }),
    { numRuns: 50 },
  );
});

test('nothing to do is no file', async () => {
  const [steps = []] = fc.sample(
    anyPlan.filter(({ length }) => length > 0),
    1,
  );
  await writeJournal(paths, steps);
  await writeJournal(paths, []);
  expect(await readdir(paths.runDirectory)).toEqual([]);
  await writeJournal(paths, []);
  expect(readJournal(paths)).toEqual([]);
});

test.each([
  ['nothing', ''],
  ['half of one', '[{"kind":"add-ad'],
  ['another document', '{"kind":"set-link-up"}'],
  ['a step of no kind', '[{"kind":"format-disk","arguments":{}}]'],
  [
    'a step with an address that is none',
    '[{"kind":"add-address","mac":"02:00:00:00:00:01","interface":"eth1","reason":"","withdrawal":false,"arguments":{"linkIndex":2,"address":"10.0.0.256","prefixLength":24,"deprecated":false}}]',
  ],
])('%s is nothing to go by', async (_, text) => {
  await writeFile(paths.journal, text);
  expect(readJournal(paths)).toEqual([]);
});

test('a folder in its place, and a link that leads nowhere, are nothing to go by', async () => {
  await mkdir(paths.journal);
  expect(readJournal(paths)).toEqual([]);
  const elsewhere = createPaths(path.join(paths.root, 'elsewhere'));
  await mkdir(elsewhere.runDirectory, { recursive: true });
  await symlink('/no/such/file', elsewhere.journal);
  expect(readJournal(elsewhere)).toEqual([]);
});
