/** `npm run demo` and `npm run bench`, as a program that reads its output sees it. */
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const DEMO = new URL('../demo/demo.ts', import.meta.url).pathname;
const BENCH = new URL('../../bench/bench.ts', import.meta.url).pathname;
/** What demo.ts enters the namespaces for: the test is in some already. */
const STORY = new URL('../demo/story.ts', import.meta.url).pathname;

const README = new URL('../../README.md', import.meta.url).pathname;

function withoutTimes(line: string): string {
  return line.replace(/ +[\d.]+ m?s {2}/, ' … ').trimEnd();
}

async function run(file: string, env: Readonly<Record<string, string>> = {}) {
  return execa(process.execPath, ['--import', import.meta.resolve('tsx'), file], { reject: false, env });
}

test('the demo comes true, plain and in lines that fit', async () => {
  const { exitCode, stdout, stderr } = await run(STORY);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const headings = stdout.split('\n').flatMap((line) => /^\d  (.*)$/.exec(line)?.[1] ?? []);
  expect(headings).toEqual([
    'Without the agent',
    'With the agent',
    'What it wrote',
    'What the kernel has',
    'One more IP',
    'One IP less',
    'The metadata service goes away',
    'Detach',
    'systemctl stop',
  ]);
  expect(stdout).not.toContain('\u001B');
  const prose = stdout.split('\n').filter((line) => !line.startsWith('     '));
  expect(prose.filter((line) => line.length > 80)).toEqual([]);
  const shown = new Set(stdout.split('\n').map(withoutTimes));
  const readme = (await readFile(README, 'utf8')).split('```\n').find((block) => block.startsWith('2  '));
  const excerpt = (readme ?? '').split('\n').filter((line) => line.trim() !== '…');
  expect(excerpt.length).toBeGreaterThan(10);
  expect(excerpt.filter((line) => !shown.has(withoutTimes(line)))).toEqual([]);
  // Nobody answers before, everybody after.
  expect(stdout.match(/✗/g)).toHaveLength(16);
  expect(stdout.match(/^ {5}(outside|client-\S+) +✓ +✓ +✓ +✓$/gm)).toHaveLength(4);
});

test('where a tool is missing it says which, and what to install', async () => {
  const { exitCode, stdout, stderr } = await run(DEMO, { PATH: '/nowhere' });
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toContain('The demo cannot run here: ip, nft, unshare, nsenter, mount not found.');
  expect(stderr).toContain('apt-get install iproute2 nftables util-linux mount');
  const bench = await run(BENCH, { PATH: '/nowhere' });
  expect({ exitCode: bench.exitCode, stdout: bench.stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(bench.stderr).toContain(
    'The benchmark cannot run here: ip, nft, unshare, nsenter, mount, strace not found.',
  );
});
