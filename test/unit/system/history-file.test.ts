import { appendFile, mkdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HistoryRun } from '../../../src/model/history.ts';
import type { StepEntry } from '../../../src/model/plan.ts';
import { appendHistory, readHistory } from '../../../src/system/history-file.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { makeFolder, removeFolder } from './script.ts';

const MOST_BYTES = 256 * 1024;

let paths: Paths;

beforeEach(async () => {
  const folder = await makeFolder();
  paths = createPaths(folder);
  await mkdir(paths.stateDirectory, { recursive: true });
  return () => removeFolder(folder);
});

function step(n: number): StepEntry {
  return {
    kind: 'add-address',
    interface: 'eth1',
    mac: '02:00:00:00:00:02',
    target: `10.0.${n >> 8}.${n & 0xff}/24`,
    reason: 'assigned in metadata, missing on eth1',
  };
}

function run(n: number, rest: Partial<HistoryRun> = {}): HistoryRun {
  const at = new Date(Date.UTC(2026, 10, 22) + n * 1_000).toISOString();
  const nothing = { undone: [], omitted: 0, problems: [] };
  return { at, trigger: 'link', outcome: 'applied', durationMs: n, steps: [step(n)], ...nothing, ...rest };
}

const FAILED = { outcome: 'rolled-back', steps: [], undone: [step(1)] } as const;

async function append(...runs: readonly HistoryRun[]): Promise<void> {
  for (const each of runs) expect(await appendHistory(paths, each)).toBeNull();
}

describe('the history', () => {
  test('is empty before the first run, and then has each run as it was, the oldest first, for root alone', async () => {
    expect(readHistory(paths)).toEqual({ runs: [], unreadable: 0 });
    const runs = [run(1), run(2, { ...FAILED, problems: [{ mac: 'm', message: 'refused' }] }), run(3)];
    await append(...runs);
    expect(readHistory(paths)).toEqual({ runs, unreadable: 0 });
    expect((await stat(paths.history)).mode & 0o777).toBe(0o600);
  });

  test('goes on after a line that a power cut has torn, wherever it was torn', async () => {
    await append(run(1), run(2));
    const whole = await readFile(paths.history, 'utf8');
    for (let length = whole.length - 1; length > whole.indexOf('\n') + 1; length -= 7) {
      await writeFile(paths.history, whole.slice(0, length));
      // Without its line end alone it is whole.
      const unreadable = length === whole.length - 1 ? 0 : 1;
      expect(readHistory(paths).unreadable, `${length} bytes`).toBe(unreadable);
      await append(run(3));
      const { runs } = readHistory(paths);
      expect(runs, `${length} bytes`).toEqual(unreadable === 0 ? [run(1), run(2), run(3)] : [run(1), run(3)]);
    }
  });

  test('passes over what is not of its writing, and zeros that a file system leaves', async () => {
    await append(run(1));
    await appendFile(paths.history, `{"at":"yesterday"}\n[]\n${'\0'.repeat(100)}\n`);
    await append(run(2));
    expect(readHistory(paths)).toEqual({ runs: [run(1), run(2)], unreadable: 3 });
  });

  test('never has more than 256 KiB or tells of more than 200 runs, and always has the newest', async () => {
    for (let n = 0; n < 1_500; n += 1) {
      await append(run(n));
      expect((await stat(paths.history)).size).toBeLessThanOrEqual(MOST_BYTES);
    }
    const { runs, unreadable } = readHistory(paths);
    expect(unreadable).toBe(0);
    expect(runs).toHaveLength(200);
    expect(runs.map(({ durationMs }) => durationMs)).toEqual(
      Array.from({ length: 200 }, (_, n) => 1_300 + n),
    );
    expect((await stat(paths.history)).mode & 0o777).toBe(0o600);
  });

  test('has of a huge run what there is room for, why it failed first, and how much is left out', async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => step(n));
    const problems = [{ mac: 'm', message: 'refused' }];
    await append(run(1), run(2, { steps: many, undone: many, outcome: 'degraded', problems }), run(3));
    const [first, huge, last] = readHistory(paths).runs;
    expect([first, last]).toEqual([run(1), run(3)]);
    expect(huge?.problems).toEqual(problems);
    expect(huge?.steps).toEqual(many.slice(0, huge?.steps.length));
    expect(huge?.steps.length).toBeGreaterThan(300);
    expect((huge?.steps.length ?? 0) + (huge?.undone.length ?? 0) + (huge?.omitted ?? 0)).toBe(20_000);
    await append(...Array.from({ length: 10 }, (_, n) => run(4 + n, { steps: many })));
    expect((await stat(paths.history)).size).toBeLessThanOrEqual(MOST_BYTES);
    expect(readHistory(paths).runs.at(-1)?.durationMs).toBe(13);
  });

  test('has a failure once, however often it is tried, and again when it is another one', async () => {
    const other = { ...FAILED, undone: [step(2)] };
    await append(
      run(1, FAILED),
      run(2, FAILED),
      run(3, FAILED),
      run(4, other),
      run(5, FAILED),
      run(6),
      run(7),
    );
    expect(readHistory(paths).runs.map(({ durationMs }) => durationMs)).toEqual([1, 4, 5, 6, 7]);
  });
});

describe('what cannot be written', () => {
  test.each([
    ['a folder', () => mkdir(paths.history)],
    ['a link', () => symlink(`${paths.stateDirectory}/elsewhere`, paths.history)],
    ['no folder above it', () => rm(paths.stateDirectory, { recursive: true })],
  ])('is said, and no error: %s', async (_, make) => {
    await make();
    expect(await appendHistory(paths, run(1))).toMatch(/^writing \/\S+history\.jsonl: .+/);
    await expect(stat(`${paths.stateDirectory}/elsewhere`)).rejects.toThrow('ENOENT');
  });

  test('is no reason to keep a file that is larger than anything of ours', async () => {
    await writeFile(paths.history, '');
    await truncate(paths.history, 20 * 1024 * 1024);
    await append(run(1));
    expect(readHistory(paths)).toEqual({ runs: [run(1)], unreadable: 0 });
    expect((await stat(paths.history)).size).toBeLessThan(1_000);
  });
});
