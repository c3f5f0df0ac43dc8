import { symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createOwnFiles } from '../../../src/system/own-files.ts';
import { makeFolder, removeFolder } from './script.ts';

let file: string;

beforeEach(async () => {
  const folder = await makeFolder();
  file = path.join(folder, 'ifcfg-eth1');
  return () => removeFolder(folder);
});

test('a file is as we left it until somebody changes it', async () => {
  const own = createOwnFiles();
  expect(own.isAsLeft(file)).toBe(false);
  own.changed(file);
  expect(own.isAsLeft(file)).toBe(true);
  await writeFile(file, 'ONBOOT=no\n');
  expect(own.isAsLeft(file)).toBe(false);
});

test('what leads nowhere or to itself is none of ours, and no reason to fall over', async () => {
  const own = createOwnFiles();
  own.changed(file);
  await symlink(file, file);
  expect(own.isAsLeft(file)).toBe(false);
});
