import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { type RunOptions, run } from '../../../src/system/run.ts';
import { bound } from '../../lab/until.ts';

const PATIENT: RunOptions = { timeoutMs: 20_000 };
const IMPATIENT: RunOptions = { timeoutMs: 100 };

describe('a program that ends', () => {
  test('gives its exit code and what it said', async () => {
    const script = 'echo said; echo complained >&2; exit 3';
    const result = await run('sh', ['-c', script], PATIENT);
    expect(result).toEqual({ exitCode: 3, stdout: 'said', stderr: 'complained' });
  });

  test('gets its arguments as they are, no shell between', async () => {
    const hostile = '$(id) ; `id` "\' \n *';
    expect(await run('printf', ['%s', hostile], PATIENT)).toMatchObject({ stdout: hostile });
  });

  test('reads the input that it is given, also by a name, and nothing of it is left', async () => {
    const input = 'table inet x { }\n'.repeat(10_000);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-run-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const args of [[], ['/dev/stdin']])
      expect((await run('cat', args, { ...PATIENT, input })).stdout).toBe(input.trimEnd());
    expect(await readdir(folder)).toEqual([]);
  });

  test('finds nothing on its input', async () => {
    expect(await run('cat', [], PATIENT)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  test('sees nothing of our environment', async () => {
    const { stdout } = await run('env', [], { ...PATIENT, env: { NOTIFY_SOCKET: '/run/x' } });
    expect(stdout.split('\n').toSorted()).toEqual([
      'LC_ALL=C',
      'NOTIFY_SOCKET=/run/x',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ]);
  });
});

test('while a program runs, a signal ends nobody who has a handler for it', async () => {
  // A process of its own: the signal must not end the test runner.
  const script = `
    import { once } from 'node:events';
    import { run } from ${JSON.stringify(path.join(import.meta.dirname, '../../../src/system/run.ts'))};
    const asked = once(process, 'SIGTERM');
    const running = run('sh', ['-c', 'kill "$PPID"; sleep 0.2; echo finished'], { timeoutMs: 20_000 });
    await asked;
    console.log((await running).stdout);
  `;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
  expect(await run(process.execPath, args, PATIENT)).toMatchObject({ exitCode: 0, stdout: 'finished' });
});

describe('an error says what was run and what came back', () => {
  test.each<[string, readonly [string, readonly string[], RunOptions], string]>([
    [
      'of a program that is not there',
      ['no-such-program', ['a b'], PATIENT],
      "running no-such-program 'a b': spawn no-such-program ENOENT",
    ],
    [
      'of one that does not end in time',
      ['sleep', ['60'], IMPATIENT],
      'running sleep 60: not ended after 100 ms',
    ],
    [
      'of one whose child holds the output open',
      ['sh', ['-c', 'sleep 5 &'], IMPATIENT],
      "running sh -c 'sleep 5 &': not ended after 100 ms",
    ],
    [
      'of one that was killed',
      ['sh', ['-c', 'kill -TERM $$'], PATIENT],
      "running sh -c 'kill -TERM $$': SIGTERM",
    ],
    ['of one that does not stop talking', ['yes', [], PATIENT], 'running yes: maxBuffer exceeded'],
  ])('%s', async (_, [command, args, options], message) => {
    const started = performance.now();
    const error = await run(command, args, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AgentError);
    expect(error).toMatchObject({ code: 'command-failed', message });
    expect(performance.now() - started).toBeLessThan(bound(4_000));
  });
});
