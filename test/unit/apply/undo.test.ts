/** What is written down of the files before a change: all that it takes to put them back, or nothing is changed. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { readFilesBefore } from '../../../src/apply/undo.ts';
import type { IfName } from '../../../src/model/net.ts';
import type { Step } from '../../../src/model/plan.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { macOf } from '../builders.ts';

const FILE = '/etc/ifcfg-eth1';
const STEP: Step = {
  kind: 'write-file',
  mac: macOf(1),
  interface: 'eth1' as IfName,
  reason: '',
  withdrawal: false,
  arguments: { path: FILE, content: 'new', keepOriginal: true },
};

let paths: Paths;

beforeEach(async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-undo-'));
  onTestFinished(() => rm(root, { recursive: true }));
  paths = createPaths(root);
  await mkdir(paths.below('/etc'));
});

test('content, whatever its bytes, and mode, of the file and of what is kept of it', async () => {
  await writeFile(paths.below(FILE), Uint8Array.from([0xff, 0]), { mode: 0o600 });
  expect(await readFilesBefore([STEP], paths)).toEqual([
    { path: FILE, content: '/wA=', mode: 0o600 },
    { path: `${FILE}.orig`, content: null, mode: 0 },
  ]);
});

test('what is no regular file could not be put back', async () => {
  await symlink('/nowhere', paths.below(FILE));
  await expect(readFilesBefore([STEP], paths)).rejects.toMatchObject({
    code: 'file-failed',
    message: `reading ${paths.below(FILE)}: it is no regular file, so it could not be put back`,
  });
});
