/** Which Node may go into the standalone package. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inspectRuntime, verifyDigest } from '../../packaging/node-runtime.ts';

const EM_X86_64 = 62;
const EM_AARCH64 = 183;
const EM_ARM = 40;

interface Release {
  readonly machine: number;
  readonly version?: string;
  readonly license?: boolean;
}

/** As much of an unpacked archive of Node as is looked at. */
async function unpack({ machine, version, license = true }: Release): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-node-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, 'bin'));
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header.writeUInt16LE(machine, 18);
  const url = version === undefined ? '' : `https://nodejs.org/download/release/v${version}/node.tar.gz`;
  await writeFile(path.join(folder, 'bin/node'), Buffer.concat([header, Buffer.from(url)]));
  if (license) await writeFile(path.join(folder, 'LICENSE'), '');
  return path.join(folder, 'bin/node');
}

test('architecture and version are read from the file, also of one that cannot run here', async () => {
  const file = await unpack({ machine: EM_AARCH64, version: '24.21.0' });
  expect(inspectRuntime(file)).toEqual({
    file,
    license: path.join(path.dirname(file), '../LICENSE'),
    architecture: 'aarch64',
    version: '24.21.0',
  });
  const own = await unpack({ machine: EM_X86_64, version: '20.19.0' });
  expect(inspectRuntime(own)).toMatchObject({ architecture: 'x86_64', version: '20.19.0' });
});

test.each([
  ['another architecture', { machine: EM_ARM, version: '24.21.0' }, /not made for x86_64 or aarch64/],
  ['no Node', { machine: EM_X86_64 }, /no release of Node/],
  [
    'a Node that the agent cannot use',
    { machine: EM_X86_64, version: '20.18.3' },
    /Node 20\.18\.3; the agent needs 20\.19/,
  ],
  ['an older major version', { machine: EM_X86_64, version: '18.20.0' }, /needs 20\.19 or later/],
  [
    'a Node without its licence',
    { machine: EM_X86_64, version: '24.21.0', license: false },
    /LICENSE: it is not there/,
  ],
])('%s is refused', async (_, release, message) => {
  const file = await unpack(release);
  expect(() => inspectRuntime(file)).toThrow(message);
});

test('an archive with another digest than the pinned one is refused', async () => {
  const file = await unpack({ machine: EM_X86_64, version: '24.21.0' });
  const wrong = `sha512-${createHash('sha512').update('another').digest('base64')}`;
  expect(() => verifyDigest(file, wrong)).toThrow(/^fetching node: its digest is sha512-\S+, not sha512-/);
});
