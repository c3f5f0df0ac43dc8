/** /usr/bin/eni-agent: with which options it starts which command. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolder, removeFolder } from '../system/script.ts';

const LAUNCHER = path.join(import.meta.dirname, '../../../packaging/eni-agent.sh');
const HOME = '/usr/lib/eni-agent';

let home: string;
beforeEach(async () => {
  home = await makeFolder();
});
afterEach(() => removeFolder(home));

/** What a Node is told that refuses `unknown`, without the program's path. */
async function start(args: readonly string[], unknown = 'nothing'): Promise<readonly string[]> {
  await mkdir(path.join(home, 'bin'));
  const node = `#!/bin/sh\ncase " $* " in *' ${unknown} '*) exit 9 ;; esac\n[ "$NODE_OPTIONS" = '' ] && echo "$@"\n`;
  await writeFile(path.join(home, 'bin/node'), node);
  await chmod(path.join(home, 'bin/node'), 0o755);
  const script = (await readFile(LAUNCHER, 'utf8')).replace(`home=${HOME}`, `home=${home}`);
  const { stdout } = await execa('sh', ['-c', script, 'eni-agent', ...args], {
    env: { NODE_OPTIONS: '--nonsense' },
  });
  return (stdout.split('\n').at(-1) ?? '')
    .replace(` ${home}/dist/cli.js`, '')
    .replace(`${home}/dist/cli.js `, '')
    .split(' ');
}

test.each([['status'], ['--version'], ['reconfigure', '--all']])('%s has none', async (...args) => {
  expect(await start(args)).toEqual(args);
});

test('the daemon has those for little memory', async () => {
  expect(await start(['--log-level', 'debug', 'daemon'])).toEqual(
    expect.arrayContaining(['--max-semi-space-size=1', '--expose-gc', '--log-level', 'debug', 'daemon']),
  );
});

test('it has none where Node does not know one of them, and starts', async () => {
  expect(await start(['daemon'], '--no-sparkplug')).toEqual(['daemon']);
});
