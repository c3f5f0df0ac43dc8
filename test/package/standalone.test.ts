/** The standalone package in a root file system that has no Node: what is installed runs, and does the main job's first half. */
import { copyFile } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import pinned from '../../packaging/node-runtime.json' with { type: 'json' };
import { openLab } from '../lab/open-lab.ts';
import { openRpmRoot } from '../lab/rpm-root.ts';
import { packageFile } from './packages.ts';

const PROGRAM = '/usr/bin/eni-agent';

test('without any Node the standalone package runs, reads its configuration and plans what the metadata says', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const root = await openRpmRoot({ systemd: 252 });
  await root.rpm('-i', '--nodeps', packageFile('eni-agent-standalone'));
  const nodes = await execa('find', [root.path('/'), '-name', 'node', '-type', 'f']);
  expect(nodes.stdout).toBe(root.path('/usr/lib/eni-agent/bin/node'));

  const version = await root.run(['/usr/lib/eni-agent/bin/node', '--version']);
  expect(version.stdout).toBe(`v${pinned.version}`);
  expect(await root.run([PROGRAM, '--version'])).toMatchObject({ exitCode: 0, stderr: '' });
  const options = 'NODE_OPTIONS=--nonsense NODE_EXTRA_CA_CERTS=/nowhere exec "$0" --version';
  expect(await root.run(['sh', '-c', options, PROGRAM])).toMatchObject({ exitCode: 0, stderr: '' });
  // Options that this Node does not know would end the daemon at every start.
  expect(await root.run([PROGRAM, 'daemon', '--help'])).toMatchObject({ exitCode: 0, stderr: '' });
  const shipped = await root.run([PROGRAM, 'config', '--check', '/etc/eni-agent/config.yaml']);
  expect(shipped).toMatchObject({ exitCode: 0, stderr: '' });

  await lab.vm.writeConfig('');
  await copyFile(lab.vm.path('/etc/eni-agent/config.yaml'), root.path('/etc/eni-agent/config.yaml'));
  const plan = await root.run([PROGRAM, 'plan', '--json'], lab.vm.namespace);
  expect(plan).toMatchObject({ exitCode: 0, stderr: '' });
  const { steps } = JSON.parse(plan.stdout) as { steps: readonly { kind: string; target: string }[] };
  const added = steps.filter(({ kind }) => kind === 'add-address').map(({ target }) => target);
  expect(added).toEqual(['10.0.1.4/24', '10.0.1.5/24']);
});

test('a package without Node says so by the name of what is missing', async () => {
  const root = await openRpmRoot({ systemd: 252 });
  await expect(root.rpm('-i', '--test', packageFile('eni-agent'))).rejects.toThrow(
    /nodejs\(engine\) >= 20\.19 is needed by/,
  );
});
