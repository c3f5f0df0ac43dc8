import { chmod, link, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createFileAtomically,
  keepAs,
  leftovers,
  prepareFile,
  removeLeftovers,
  syncDirectory,
  writeFileAtomically,
} from '../../../src/system/atomic-file.ts';
import { sized } from '../../lab/settled.ts';
import { bundleScript, makeFolder, removeFolder, until } from './script.ts';

let root: string;
let folder: string;
let file: string;

beforeAll(async () => {
  root = await makeFolder();
});
afterAll(() => removeFolder(root));

beforeEach(async () => {
  folder = await makeFolder();
  file = path.join(folder, 'ifcfg-eth1');
  return () => removeFolder(folder);
});

const QUICK = { mode: 0o644, durable: false };
const DURABLE = { mode: 0o644, durable: true };

async function names(): Promise<readonly string[]> {
  return (await readdir(folder)).toSorted();
}

async function modeOf(name: string): Promise<number> {
  return (await stat(name)).mode & 0o7777;
}

const KILLS = sized(5, 60);

/** FILE HOW: writes one whole content after the other; each is of one letter and of its own length. */
const REWRITER = `
  import { prepareFile, writeFileAtomically } from '../../../src/system/atomic-file.ts';
  const [file, how] = process.argv.slice(2);
  for (let round = 0; ; round += 1) {
    const content = String.fromCharCode(97 + (round % 26)).repeat(200_000 + round % 26);
    if (how === 'write') await writeFileAtomically(file, content, { mode: 0o644, durable: false });
    else await (await prepareFile(file, content, { mode: 0o644, keepOriginalAs: file + '.orig' })).commit();
  }`;

describe('a process that rewrites a file and is killed at a random instant', () => {
  test.each(['write', 'prepare, keep the original, commit'])(
    '(%s) leaves a whole one',
    async (how) => {
      const rewriter = await bundleScript(root, REWRITER);
      await writeFile(file, 'a'.repeat(200_000));
      for (let kill = 0; kill < KILLS; kill += 1) {
        const before = await stat(file);
        const writer = rewriter.run(file, how);
        await until('it has written', async () => (await stat(file)).ino !== before.ino);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
        writer.kill('SIGKILL');
        await writer;
        for (const name of how === 'write' ? [file] : [file, `${file}.orig`]) {
          const content = await readFile(name, 'utf8');
          const [letter = ''] = content;
          expect(content).toBe(letter.repeat(200_000 + letter.charCodeAt(0) - 97));
        }
        const left = leftovers(folder);
        const known = ['ifcfg-eth1', 'ifcfg-eth1.orig'];
        expect(left.map((each) => path.basename(each)).toSorted()).toEqual(
          (await names()).filter((name) => !known.includes(name)),
        );
        removeLeftovers(left);
        expect((await names()).filter((name) => !known.includes(name))).toEqual([]);
      }
    },
    60_000,
  );
});

describe('a file', () => {
  test.each([
    ['for a moment', QUICK],
    ['for good', DURABLE],
  ])('written %s takes the place of the one that was there', async (_name, options) => {
    await writeFile(file, 'before');
    await writeFileAtomically(file, 'after', options);
    expect(await readFile(file, 'utf8')).toBe('after');
    expect(await names()).toEqual(['ifcfg-eth1']);
  });

  test('that is being read stays what it was for its reader', async () => {
    await writeFile(file, 'before');
    await link(file, path.join(folder, 'reader'));
    await writeFileAtomically(file, 'after', QUICK);
    expect(await readFile(path.join(folder, 'reader'), 'utf8')).toBe('before');
  });

  test.each([0o077, 0o000, 0o777])('has its mode whatever the umask (%o)', async (umask) => {
    const script = await bundleScript(
      root,
      `import { writeFileAtomically } from '../../../src/system/atomic-file.ts';
      process.umask(Number(process.argv[2]));
      for (const mode of [0o600, 0o644])
        await writeFileAtomically(process.argv[3] + '-' + mode.toString(8), '', { mode, durable: false });`,
    );
    expect((await script.run(String(umask), file)).all).toBe('');
    expect(await modeOf(`${file}-600`)).toBe(0o600);
    expect(await modeOf(`${file}-644`)).toBe(0o644);
  });

  test('of a temporary that somebody linked elsewhere is not written through the link', async () => {
    const elsewhere = path.join(folder, 'elsewhere');
    await writeFile(elsewhere, 'untouched');
    await symlink(elsewhere, path.join(folder, '.ifcfg-eth1.eni-agent-tmp'));
    await writeFileAtomically(file, 'content', QUICK);
    expect(await readFile(elsewhere, 'utf8')).toBe('untouched');
    expect((await lstat(file)).isSymbolicLink()).toBe(false);
    expect(await names()).toEqual(['elsewhere', 'ifcfg-eth1']);
  });

  test('that is a link is replaced, and what it leads to stays', async () => {
    const elsewhere = path.join(folder, 'elsewhere');
    await writeFile(elsewhere, 'untouched');
    await symlink(elsewhere, file);
    await writeFileAtomically(file, 'content', QUICK);
    expect(await readFile(elsewhere, 'utf8')).toBe('untouched');
    expect(await readFile(file, 'utf8')).toBe('content');
  });
});

describe('a prepared file', () => {
  test('is not there before it is committed, only a temporary that network-scripts ignores', async () => {
    const prepared = await prepareFile(file, 'content', { mode: 0o644 });
    expect(await names()).toEqual(['.ifcfg-eth1.eni-agent-tmp']);
    await prepared.commit();
    expect(await names()).toEqual(['ifcfg-eth1']);
    expect(await readFile(file, 'utf8')).toBe('content');
  });

  test('that is discarded leaves everything as it was', async () => {
    await writeFile(file, 'before');
    const prepared = await prepareFile(file, 'content', { mode: 0o644, keepOriginalAs: `${file}.orig` });
    prepared.discard();
    prepared.discard();
    expect(await names()).toEqual(['ifcfg-eth1']);
    expect(await readFile(file, 'utf8')).toBe('before');
  });

  test('keeps what was there, with its mode', async () => {
    await writeFile(file, 'before');
    await chmod(file, 0o640);
    const prepared = await prepareFile(file, 'content', { mode: 0o644, keepOriginalAs: `${file}.orig` });
    await prepared.commit();
    expect(await readFile(`${file}.orig`, 'utf8')).toBe('before');
    expect(await modeOf(`${file}.orig`)).toBe(0o640);
    expect(await readFile(file, 'utf8')).toBe('content');
  });

  test('keeps nothing where nothing was', async () => {
    const prepared = await prepareFile(file, 'content', { mode: 0o644, keepOriginalAs: `${file}.orig` });
    await prepared.commit();
    expect(await names()).toEqual(['ifcfg-eth1']);
  });
});

describe('keeping a file under a second name', () => {
  test('leaves the first one where it is, always', async () => {
    await writeFile(file, 'before');
    const keeping = { isDone: false, looks: 0 };
    const watching = (async () => {
      while (!keeping.isDone) {
        expect(await readFile(file, 'utf8')).toBe('before');
        keeping.looks += 1;
      }
    })();
    for (let round = 0; round < 100 || keeping.looks <= 10; round += 1) {
      keepAs(file, `${file}.orig`);
      // A thread of the pool reads meanwhile; the next read is asked for here.
      await setImmediate();
    }
    keeping.isDone = true;
    await watching;
    expect(await names()).toEqual(['ifcfg-eth1', 'ifcfg-eth1.orig']);
  });

  test('again, after a run that was killed between the two steps, leaves no temporary', async () => {
    await writeFile(file, 'before');
    await link(file, `${file}.orig`);
    await writeFile(path.join(folder, '.ifcfg-eth1.orig.eni-agent-tmp'), 'left over');
    keepAs(file, `${file}.orig`);
    expect(await names()).toEqual(['ifcfg-eth1', 'ifcfg-eth1.orig']);
    expect(await readFile(`${file}.orig`, 'utf8')).toBe('before');
  });
});

describe('leftovers', () => {
  test('are our temporaries, and nothing of anybody else', async () => {
    for (const name of ['.ifcfg-eth1.eni-agent-tmp', '.state.json.eni-agent-tmp'])
      await writeFile(path.join(folder, name), '');
    const others = ['.ifcfg-eth1.swp', 'ifcfg-eth1', 'x.eni-agent-tmp'];
    for (const name of others) await writeFile(path.join(folder, name), '');
    const left = leftovers(folder);
    expect(left).toHaveLength(2);
    removeLeftovers([...left, path.join(folder, 'gone')]);
    expect(await names()).toEqual(others.toSorted());
  });

  test("that cannot be removed are left: they are in nobody's way", async () => {
    const busy = path.join(folder, '.ifcfg-eth1.eni-agent-tmp');
    await mkdir(busy);
    await writeFile(path.join(folder, '.ifcfg-eth2.eni-agent-tmp'), '');
    removeLeftovers(leftovers(folder));
    expect(leftovers(folder)).toEqual([busy]);
  });

  test('of a folder that is not there are none', async () => {
    expect(leftovers(path.join(folder, 'absent'))).toEqual([]);
  });
});

describe('what cannot be written says where', () => {
  const failure = (target: string) => ({
    code: 'file-failed',
    message: expect.stringContaining(`writing ${target}: E`),
  });

  test('a folder that is not there', async () => {
    const target = path.join(folder, 'absent', 'file');
    await expect(writeFileAtomically(target, '', QUICK)).rejects.toMatchObject(failure(target));
    await expect(prepareFile(target, '', { mode: 0o644 })).rejects.toMatchObject(failure(target));
    await expect(syncDirectory(path.dirname(target))).rejects.toMatchObject(failure(path.dirname(target)));
  });

  test('a folder that is a file', async () => {
    await writeFile(file, '');
    const target = path.join(file, 'below');
    await expect(writeFileAtomically(target, '', QUICK)).rejects.toMatchObject(failure(target));
    await expect(prepareFile(target, '', { mode: 0o644 })).rejects.toMatchObject(failure(target));
  });

  test('a file whose place is taken by a folder leaves no temporary', async () => {
    await mkdir(file);
    await expect(writeFileAtomically(file, '', DURABLE)).rejects.toMatchObject(failure(file));
    expect(await names()).toEqual(['ifcfg-eth1']);
  });
});

describe('a new file', () => {
  const content = new TextEncoder().encode('content');

  test('has its content and its mode, whatever the umask', async () => {
    await createFileAtomically(file, content, 0o666);
    expect(await readFile(file, 'utf8')).toBe('content');
    expect(await modeOf(file)).toBe(0o666);
    expect(await names()).toEqual(['ifcfg-eth1']);
  });

  test.each([
    ['a file', () => writeFile(file, 'mine')],
    ['a link that leads nowhere', () => symlink('nowhere', file)],
  ])('takes the name of nothing that is there: %s', async (_, occupy) => {
    await occupy();
    const before = await lstat(file);
    await expect(createFileAtomically(file, content, 0o600)).rejects.toMatchObject({
      code: 'file-failed',
      message: `writing ${file}: it is there already; name another file`,
    });
    expect((await lstat(file)).ino).toBe(before.ino);
    expect(await names()).toEqual(['ifcfg-eth1']);
  });
});
