/** Real processes contend for a real file. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, readdir, readFile, rmdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { withLock } from '../../../src/system/lock.ts';
import { bound } from '../../lab/until.ts';
import { bundleScript, contains, makeFolder, removeFolder, type Script, until } from './script.ts';

/** LOCK JOURNAL TIMES HOLD_MS: takes the lock so often, and writes down when it has it and when not. */
const CONTENDER = `
  import { appendFileSync } from 'node:fs';
  import { setTimeout as delay } from 'node:timers/promises';
  import { withLock } from '../../../src/system/lock.ts';
  const [lock, journal, times, holdMs, timeoutMs] = process.argv.slice(2);
  try {
    for (let time = 0; time < Number(times); time += 1) {
      await withLock(lock, async () => {
        appendFileSync(journal, 'begin ' + process.pid + '\\n');
        await delay(Number(holdMs));
        appendFileSync(journal, 'end ' + process.pid + '\\n');
      }, timeoutMs === undefined ? 60_000 : Number(timeoutMs));
    }
  } catch (error) {
    process._rawDebug(error.code + ' ' + error.message);
  }`;

/** LOCK JOURNAL: takes the lock and dies with it. */
const DYING = `
  import { appendFileSync } from 'node:fs';
  import { withLock } from '../../../src/system/lock.ts';
  const [lock, journal] = process.argv.slice(2);
  await withLock(lock, async () => {
    appendFileSync(journal, 'begin ' + process.pid + '\\n');
    const end = performance.now() + 2;
    while (performance.now() < end);
    appendFileSync(journal, 'end ' + process.pid + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }, 60_000);`;

const FOREVER_MS = '1000000';

let root: string;
let contender: Script;
let dying: Script;
let folder: string;
let lock: string;
let journal: string;

beforeAll(async () => {
  root = await makeFolder();
  [contender, dying] = await Promise.all([bundleScript(root, CONTENDER), bundleScript(root, DYING)]);
});
afterAll(() => removeFolder(root));

beforeEach(async () => {
  folder = await makeFolder();
  lock = path.join(folder, 'run', 'lock');
  journal = path.join(folder, 'journal');
  await mkdir(path.dirname(lock));
  return () => removeFolder(folder);
});

/** Every `begin` is followed by the `end` of the same process; `killed` may have begun without an end. */
async function expectNeverTwo(runs: number, killed: readonly number[] = []): Promise<void> {
  const lines = (await readFile(journal, 'utf8')).trimEnd().split('\n');
  let holder: string | undefined;
  let ended = 0;
  for (const line of lines) {
    const [what, pid = ''] = line.split(' ');
    const isFree = holder === undefined || killed.includes(Number(holder));
    if (what === 'begin') expect(isFree, `${line} while ${holder} has it\n${lines.join('\n')}`).toBe(true);
    else expect(pid).toBe(holder);
    holder = what === 'begin' ? pid : undefined;
    if (what === 'end') ended += 1;
  }
  expect(ended).toBe(runs);
}

/** Starts one that takes the lock and keeps it. */
async function startHolder(): Promise<{ pid: number; kill: () => Promise<void> }> {
  const holder = contender.run(lock, journal, '1', FOREVER_MS);
  const pid = holder.pid ?? 0;
  await until('the holder has the lock', () => contains(journal, `begin ${pid}\n`));
  return {
    pid,
    kill: async () => {
      process.kill(pid, 'SIGKILL');
      await holder;
    },
  };
}

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(path.dirname(lock))).toEqual([]);
}

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

async function ownStartTime(): Promise<string> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

describe('of processes that contend for the lock', () => {
  test.each([
    [2, 50],
    [20, 4],
  ])(
    '%i, never two have it at once',
    async (count, times) => {
      const runs = Array.from({ length: count }, () => contender.run(lock, journal, String(times), '1'));
      expect((await Promise.all(runs)).map(({ all }) => all)).toEqual(runs.map(() => ''));
      await expectNeverTwo(count * times);
      await expectNothingLeft();
    },
    60_000,
  );

  test('twenty-four that die with it in their hands, never two have it at once', async () => {
    const runs = Array.from({ length: 24 }, () => dying.run(lock, journal));
    await Promise.all(runs);
    await expectNeverTwo(24);
    await withLock(lock, async () => {}, 1_000);
    await expectNothingLeft();
  }, 60_000);

  test('those that are killed at random instants hand it on to the others', async () => {
    const killed: number[] = [];
    const steady = Array.from({ length: 4 }, () => contender.run(lock, journal, '40', '1'));
    const working = { isDone: false };
    const killing = (async () => {
      while (!working.isDone) {
        const victim = contender.run(lock, journal, '1000', '0');
        await until(
          'the victim works, or all is over',
          async () => working.isDone || (await contains(journal, `begin ${victim.pid}\n`)),
        );
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
        victim.kill('SIGKILL');
        await victim;
        killed.push(victim.pid ?? 0);
      }
    })();
    expect((await Promise.all(steady)).map(({ all }) => all)).toEqual(steady.map(() => ''));
    working.isDone = true;
    await killing;
    const lines = (await readFile(journal, 'utf8')).split('\n');
    const ends = lines.filter((line) => line.startsWith('end ')).length;
    expect(killed.length).toBeGreaterThan(0);
    await expectNeverTwo(ends, killed);
    await withLock(lock, async () => {}, 1_000);
    expect((await readdir(path.dirname(lock))).filter((name) => name.startsWith('.'))).toEqual([]);
  }, 60_000);
});

async function claims(): Promise<readonly string[]> {
  return (await readdir(path.dirname(lock))).filter((name) => name.startsWith('.lock.'));
}

describe('a lock', () => {
  test('of a process that is killed is taken by the next one at once', async () => {
    const { kill } = await startHolder();
    let isMine = false;
    const waiting = withLock(lock, async () => {
      isMine = true;
    });
    await until('it waits', async () => (await claims()).length === 1);
    expect(isMine).toBe(false);
    const killedAt = performance.now();
    await kill();
    await waiting;
    expect(performance.now() - killedAt).toBeLessThan(bound(1_000));
    await expectNothingLeft();
  });

  test('of a killed process that nobody has waited for is free as well', async () => {
    // The shell becomes a sleep, which never asks how its child ended.
    const args = ['-c', '"$@" & exec sleep 1000', 'sh', process.execPath];
    const holder = contender.run(lock, journal, '0', '0');
    await holder;
    const script = holder.spawnargs[1] ?? '';
    const parent = spawn('sh', [...args, script, lock, journal, '1', FOREVER_MS]);
    await until('the holder has the lock', () => contains(journal, 'begin '));
    const pid = Number((await readFile(journal, 'utf8')).split(' ')[1]);
    process.kill(pid, 'SIGKILL');
    await withLock(lock, async () => {}, 1_000);
    expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(') Z ');
    parent.kill('SIGKILL');
  });

  test.each<[string, () => Promise<string>]>([
    ['of another boot', async () => held({ bootId: '00000000-0000-0000-0000-000000000000' })],
    ['of a process that is no more', async () => held({ pid: await deadPid() })],
    ['of a pid that belongs to another process now', async () => held({ startTime: '1' })],
    ['that is empty', async () => ''],
    ['of garbage', async () => '\u0000\u0001{"pid"'],
    ['of JSON of another kind', async () => '{"pid":"1"}'],
    ['that is null', async () => 'null'],
  ])('%s is broken', async (_name, content) => {
    await writeFile(lock, await content());
    expect(await withLock(lock, () => readFile(lock, 'utf8'), 0)).toBe(await held({}));
    await expectNothingLeft();
  });

  test('that was being broken by one that was killed is broken all the same', async () => {
    const dead = await held({ pid: await deadPid() });
    for (const name of ['lock', 'lock.break', 'lock.break.break'])
      await writeFile(path.join(folder, 'run', name), dead);
    expect(await withLock(lock, () => readFile(lock, 'utf8'), 0)).toBe(await held({}));
    await expectNothingLeft();
  });

  test('that lives is waited for until the time is over, and its holder is named', async () => {
    const { pid, kill } = await startHolder();
    const startedAt = performance.now();
    const refused = withLock(lock, async () => {}, 300);
    await expect(refused).rejects.toMatchObject({
      code: 'lock-busy',
      retry: 'next-wake',
      message: `taking the lock ${lock}: process ${pid} has not let go of it within 0.3 s`,
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(295);
    expect(await claims()).toEqual([]);
    await kill();
  });

  test('is let go of when the work fails', async () => {
    const work = withLock(lock, () => Promise.reject(new Error('no')));
    await expect(work).rejects.toThrow('no');
    await expectNothingLeft();
  });

  test('makes its folder', async () => {
    await withLock(path.join(folder, 'a', 'b', 'lock'), async () => {});
    expect(await readdir(path.join(folder, 'a', 'b'))).toEqual([]);
  });

  test('removes what killed waiters left, and nothing else', async () => {
    const { pid, kill } = await startHolder();
    const waiter = contender.run(lock, journal, '1', '0');
    await until('it waits', async () => (await claims()).length === 1);
    const living = contender.run(lock, journal, '1', '0');
    await until('both wait', async () => (await claims()).length === 2);
    process.kill(waiter.pid ?? 0, 'SIGKILL');
    await waiter;
    for (const name of ['.lock.mine', '.other', `.lock.${process.pid}.1.of-an-earlier-process`])
      await writeFile(path.join(folder, 'run', name), '');
    await expect(withLock(lock, async () => {}, 0)).rejects.toMatchObject({ code: 'lock-busy' });
    const names = await readdir(path.join(folder, 'run'));
    expect(names.filter((name) => name.startsWith(`.lock.${living.pid}.`))).toHaveLength(1);
    expect(names.filter((name) => !name.startsWith(`.lock.${living.pid}.`)).toSorted()).toEqual([
      '.lock.mine',
      '.other',
      'lock',
    ]);
    await kill();
    await living;
    await expectNeverTwo(1, [pid]);
  });
});

describe('what is in the place of a lock', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['a FIFO', async () => execFileSync('mkfifo', [lock])],
    ['a link that leads nowhere', () => symlink('nowhere', lock)],
    ['a link to a file', async () => symlink(journal, lock)],
  ])('(%s) is no wait and is not followed: nobody who lives holds it', async (_, make) => {
    await writeFile(journal, 'of somebody else');
    await make();
    await withLock(lock, async () => expect((await lstat(lock)).isFile()).toBe(true), 0);
    expect(await readFile(journal, 'utf8')).toBe('of somebody else');
    expect(await readdir(path.dirname(lock))).toEqual([]);
  });

  test('(a folder) is said, and holds nobody up when it is gone', async () => {
    await mkdir(lock);
    const taking = withLock(lock, async () => {}, 0);
    await expect(taking).rejects.toMatchObject({
      code: 'file-failed',
      message: expect.stringContaining(`taking the lock ${lock}: EISDIR`),
    });
    await rmdir(lock);
    await withLock(lock, async () => {}, 0);
    expect(await readdir(path.dirname(lock))).toEqual([]);
  });
});

describe('without the right to make one', () => {
  test('it says so', async () => {
    await chmod(path.dirname(lock), 0o555);
    const { all } = await contender.runUnprivileged(lock, journal, '1', '0', '0');
    expect(all).toMatch(/^permission-denied taking the lock \S+lock: EACCES: .*; run as root$/);
  });

  test('it says what is in the way', async () => {
    await writeFile(path.join(folder, 'file'), '');
    const inFile = withLock(path.join(folder, 'file', 'lock'), async () => {});
    await expect(inFile).rejects.toMatchObject({
      code: 'file-failed',
      message: expect.stringContaining(`taking the lock ${folder}/file/lock: E`),
    });
  });
});

/** What a lock of this process looks like, but for some of it. */
async function held(changes: Record<string, unknown>): Promise<string> {
  const self = { pid: process.pid, startTime: await ownStartTime(), bootId: await bootId() };
  return JSON.stringify({ ...self, ...changes });
}
