import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const CLI = new URL('../../../dist/cli.js', import.meta.url).pathname;

test('a reader that goes away is no error of ours', async () => {
  const child = spawn(process.execPath, [CLI, '--root', '/nowhere', 'config']);
  child.stdout.destroy();
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
});
