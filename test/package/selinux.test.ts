/** The policy module of docs/selinux.md compiles, and labels what the package has. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './packages.ts';

const POLICY = path.join(ROOT, 'packaging/selinux');

/** The commands of the page, in a folder of their own. */
test('the commands of docs/selinux.md make a policy package of the module and its labels', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-selinux-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const page = await readFile(path.join(ROOT, 'docs/selinux.md'), 'utf8');
  const [, block = ''] = /```sh\n(checkmodule[^]*?)```/.exec(page) ?? [];
  const commands = block.split('\n').filter((line) => /^(checkmodule|semodule_package) /.test(line));
  expect(commands).toHaveLength(2);
  const here = commands.map((command) => command.replaceAll('/usr/share/eni-agent/selinux', POLICY));
  await execa('sh', ['-ec', here.join('\n')], { cwd: folder });
  const labels = await readFile(path.join(POLICY, 'eni_agent.fc'), 'utf8');
  const unpacked = await execa('sh', ['-ec', 'semodule_unpackage eni_agent.pp module labels; cat labels'], {
    cwd: folder,
  });
  expect(unpacked.stdout.trim()).toBe(labels.trim());
});

test('every type that the labels name is one of the module', async () => {
  const [module, labels] = await Promise.all(
    ['eni_agent.te', 'eni_agent.fc'].map((file) => readFile(path.join(POLICY, file), 'utf8')),
  );
  const declared = [...(module ?? '').matchAll(/^type (\w+), /gm)].map(([, type = '']) => type);
  const named = [...(labels ?? '').matchAll(/:(\w+_t):s0$/gm)].map(([, type = '']) => type);
  expect([...new Set(named)].toSorted()).toEqual(
    declared.filter((type) => type !== 'eni_agent_t').toSorted(),
  );
});
