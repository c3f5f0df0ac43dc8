/** A process that outlives its maker: when it counts as started, and in which scope it runs. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startDetached } from '../../../src/system/detached.ts';
import { createPaths } from '../../../src/system/paths.ts';
import { until } from '../../lab/until.ts';

const NAME = 'eni-agent-confirm-1';

async function makeRoot(): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-detached-'));
  onTestFinished(() => rm(root, { recursive: true }));
  return root;
}

function start(root: string, script: string): Promise<void> {
  return startDetached({ name: NAME, command: ['/bin/sh', '-c', script], paths: createPaths(root) });
}

test('is started when it says that it is ready, and has a session of its own', async () => {
  const root = await makeRoot();
  // It ends with its standard input, which is ours to end: at the latest when this test's process does.
  await start(
    root,
    `cut -d' ' -f1,5,6 /proc/$$/stat > ${root}/ids; echo ready; sleep 0.2; touch ${root}/done`,
  );
  const [pid, group, session] = (await readFile(path.join(root, 'ids'), 'utf8')).trim().split(' ');
  expect([group, session]).toEqual([pid, pid]);
  await until({ what: 'it went on', read: () => existsSync(path.join(root, 'done')), holds: (yes) => yes });
});

test('that cannot be started, or ends before it is ready, is an error with its last words', async () => {
  const root = await makeRoot();
  await expect(start(root, 'echo no bus >&2; exit 3')).rejects.toMatchObject({
    code: 'command-failed',
    message: `starting ${NAME}: no bus; nothing was changed`,
  });
  await expect(start(root, 'exit 3')).rejects.toThrow('ended with exit code 3; nothing was changed');
  const paths = createPaths(root);
  await expect(startDetached({ name: NAME, command: ['/nowhere'], paths })).rejects.toMatchObject({
    code: 'command-failed',
  });
});

test('has a scope of its own where systemd runs', async () => {
  const root = await makeRoot();
  await mkdir(path.join(root, 'run/systemd/system'), { recursive: true });
  const systemdRun = path.join(root, 'systemd-run');
  // Stands for systemd-run(1), which puts itself into the scope and then becomes the command.
  await writeFile(systemdRun, `#!/bin/sh\necho "$@" > ${root}/args\nshift 3\nexec "$@"\n`);
  await chmod(systemdRun, 0o755);
  const command = ['/bin/sh', '-c', 'echo ready'] as const;
  const paths = createPaths(root);
  await startDetached({ name: NAME, command, paths, systemdRun });
  expect(await readFile(path.join(root, 'args'), 'utf8')).toBe(
    `--scope --unit=${NAME} -- /bin/sh -c echo ready\n`,
  );
});
