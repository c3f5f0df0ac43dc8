/** An upgrade replaces the program's files, and a disk may fail: a daemon that runs needs none of them any more. */
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { alarms, EVERY_SECOND, inSync } from '../lab/settled.ts';
import { until } from '../lab/until.ts';

const ROOT = path.join(import.meta.dirname, '../..');

test('a daemon whose program is gone reads a configuration, starts processes and sets NICs up', async () => {
  const home = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-home-'));
  onTestFinished(() => rm(home, { recursive: true }));
  for (const folder of ['dist', 'templates'])
    await cp(path.join(ROOT, folder), path.join(home, folder), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(home, 'node_modules'));
  const lab = await openLab();
  const through = ['sh', '-c', `node=$1; shift 2; exec "$node" ${home}/dist/cli.js "$@"`, 'sh'];
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND, through });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  await rm(path.join(home, 'dist'), { recursive: true });

  await lab.vm.writeConfig(`${EVERY_SECOND}routing: { forwarded: connmark }\n`);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await daemon.waitForStatus(inSync(mac));
  await until({
    what: 'the connections of eth1 are marked',
    read: async () => (await lab.vm.tryRun('nft', ['list', 'ruleset'])).stdout,
    holds: (text) => text.includes('eni_agent') && text.includes('eth1'),
  });
  expect(alarms(daemon.log())).toEqual([]);
  expect((await daemon.stop()).exitCode).toBe(0);
});
