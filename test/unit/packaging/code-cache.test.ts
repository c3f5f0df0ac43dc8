/** dist/cli.js starts with its code cache, without it, and with one that is broken, in each way that a disk can break it. */
import { cp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Script } from 'node:vm';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileChunks } from '../../../src/system/code-cache.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const ROOT = path.join(import.meta.dirname, '../../..');

let home: string;
beforeEach(async () => {
  home = await makeFolder();
  await cp(path.join(ROOT, 'dist'), path.join(home, 'dist'), { recursive: true });
  await cp(path.join(ROOT, 'templates'), path.join(home, 'templates'), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(home, 'node_modules'));
});
afterEach(() => removeFolder(home));

async function caches(): Promise<readonly string[]> {
  const chunks = path.join(home, 'dist/chunks');
  const names = await readdir(chunks);
  return names.filter((name) => name.endsWith('.js.cache')).map((name) => path.join(chunks, name));
}

/** Most of the program is loaded for it. */
async function start(): Promise<string> {
  const { stdout } = await execa(process.execPath, [`${home}/dist/cli.js`, '--root', home, 'config']);
  return stdout;
}

test('the build has made one for each chunk, and this Node takes it', async () => {
  const files = await caches();
  expect(files.length).toBeGreaterThan(10);
  for (const cache of files) {
    const file = cache.replace(/\.cache$/, '');
    const twice = await readFile(cache);
    const script = new Script(await readFile(file, 'utf8'), {
      filename: file,
      cachedData: twice.subarray(0, writerIn(twice)),
    });
    expect(script.cachedDataRejected, file).toBe(false);
  }
});

/** Where the first of two begins to say which Node wrote it. */
function writerIn(twice: Buffer): number {
  return twice.subarray(0, twice.length / 2).lastIndexOf(`${process.version} ${process.arch} `);
}

describe('the program starts as ever', () => {
  test.each<[string, (file: string) => Promise<void>]>([
    ['is not there', (file) => rm(file)],
    ['is empty', (file) => truncate(file)],
    ['is cut off', async (file) => truncate(file, ((await readFile(file)).length >> 1) - 100)],
    [
      'has a wrong byte',
      (file) => change(file, (bytes) => bytes.fill(0x55, bytes.length >> 2, (bytes.length >> 2) + 1)),
    ],
    [
      'has lost a page',
      (file) => change(file, (bytes) => bytes.fill(0, bytes.length >> 2, (bytes.length >> 2) + 4_096)),
    ],
    ['has lost all of them', (file) => change(file, (bytes) => bytes.fill(0))],
    ['is something else', (file) => writeFile(file, 'not a cache, not a cache')],
    // V8 would take it, and die of it.
    ['is whole and was written by another Node', (file) => change(file, asOfAnotherNode)],
  ])('when a cache %s', async (_, spoil) => {
    const expected = await start();
    for (const file of await caches()) await spoil(file);
    expect(await start()).toBe(expected);
  });

  function asOfAnotherNode(bytes: Buffer): void {
    const writer = writerIn(bytes);
    for (const from of [0, bytes.length / 2]) {
      bytes.fill(0, from + (bytes.length >> 3), from + (bytes.length >> 2));
      bytes.fill('x', from + writer, from + writer + 1);
    }
    expect(bytes.subarray(0, bytes.length / 2).equals(bytes.subarray(bytes.length / 2))).toBe(true);
  }

  async function change(file: string, by: (bytes: Buffer) => unknown): Promise<void> {
    const bytes = await readFile(file);
    by(bytes);
    await writeFile(file, bytes);
  }
});

test('where it cannot be made it is said in one line', async () => {
  await rm(path.join(home, 'dist/chunks'), { recursive: true });
  const { exitCode, stderr } = await execa(process.execPath, [`${home}/dist/make-cache.js`], {
    reject: false,
  });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^eni-agent: making the code cache in .*chunks: ENOENT.*; run as root\. Without it .* starts slower$/,
  );
});

test('an error says which line of the file it is in', async () => {
  const file = path.join(home, 'thrower.js');
  const text =
    '({thrower: function (exports, require, module) {\nmodule.exports = () => {\n  throw new Error("here");\n};\n}})';
  await writeFile(file, text);
  const made = { exports: (): unknown => undefined };
  compileChunks(file)['thrower']?.(made.exports, () => undefined, made, file, home);
  expect(made.exports).toThrow('here');
  try {
    made.exports();
  } catch (error) {
    expect((error as Error).stack).toContain(`${file}:3:`);
  }
});
