import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../../src/log.ts';
import { filePath } from '../../../src/model/files.ts';
import type { IfName } from '../../../src/model/net.ts';
import type { StepOf } from '../../../src/model/plan.ts';
import { takeBack } from '../../../src/reconcile/profiles.ts';
import { createPaths } from '../../../src/system/paths.ts';
import { macOf } from '../builders.ts';

const LOG = createLog({ level: 'silent', stream: process.stderr });

function write(n: number): StepOf<'write-file'> {
  const ifname = `eth${n}` as IfName;
  return {
    kind: 'write-file',
    mac: macOf(n),
    interface: ifname,
    reason: '',
    withdrawal: false,
    arguments: { path: filePath('keyfile', ifname), content: '', keepOriginal: false },
  };
}

test('of the profiles that NetworkManager was given ahead, those of NICs that failed go', async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-profiles-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const paths = createPaths(root);
  await mkdir(paths.connections, { recursive: true });
  const writes = [write(1), write(2)];
  for (const step of writes) await writeFile(paths.below(step.arguments.path), '');
  await takeBack({ paths, log: LOG }, writes, new Set([macOf(1)]));
  expect(await readdir(paths.connections)).toEqual(['eni-agent-eth2.nmconnection']);
});
