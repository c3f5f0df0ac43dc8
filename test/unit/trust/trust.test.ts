import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentError, errorMessage } from '../../../src/errors.ts';
import { assertTrusted, readTrusted } from '../../../src/system/trust.ts';

const isRoot = process.getuid?.() === 0;
let root: string;
let folder: string;
let file: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'trust-'));
  folder = join(root, 'etc/eni-agent');
  file = join(folder, 'config.yaml');
  await mkdir(folder, { recursive: true });
  await writeFile(file, 'content');
  for (const path of [root, join(root, 'etc'), folder]) await chmod(path, 0o755);
  await chmod(file, 0o644);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** For an unprivileged user each path has one problem more, the user; it has a test of its own. */
async function problemsOf(path = file): Promise<readonly unknown[]> {
  try {
    await assertTrusted(path, root);
    return [];
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'config-untrusted') throw error;
    const problems = (error.details['problems'] ?? [error.message]) as readonly string[];
    return isRoot
      ? problems
      : problems.filter((problem) => !problem.includes(` belongs to uid ${process.getuid?.()};`));
  }
}

/** The content, or the code of the error; another user's file is never read. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    return (await readTrusted(path, root))?.toString();
  } catch (error) {
    return error instanceof AgentError ? error.code : String(error);
  }
}
const ifRoot = (content: string) => (isRoot ? content : 'config-untrusted');

test('an absent file, folder or root is fine: there is nothing to trust', async () => {
  expect(await assertTrusted(join(folder, 'none.yaml'), root)).toBe(false);
  expect(await assertTrusted(join(root, 'none/none.yaml'), root)).toBe(false);
  expect(await assertTrusted(join(root, 'none/none.yaml'), join(root, 'none'))).toBe(false);
  expect(await readTrusted(join(folder, 'none.yaml'), root)).toBeUndefined();
});

test('a file that is root’s own all the way is trusted and read', async () => {
  expect(await problemsOf()).toEqual([]);
  expect(await problemsOf(folder)).toEqual([]);
  expect(await contentOf(file)).toBe(ifRoot('content'));
});

test('what belongs to another user is refused with the command that mends it', async () => {
  // An unprivileged user has such a file; root makes one; in a namespace with one user the system's own files are such.
  const given = isRoot
    ? await chown(folder, 1000, 1000).then(
        () => true,
        () => false,
      )
    : true;
  const [foreign, path, top] = given ? [folder, file, root] : ['/', '/etc/passwd', '/'];
  const { uid } = await stat(foreign);
  expect(uid).not.toBe(0);
  await expect(assertTrusted(path, top)).rejects.toMatchObject({
    code: 'config-untrusted',
    message: expect.stringContaining(`${foreign} belongs to uid ${uid}; run: chown root ${foreign}`),
  });
});

test('what is above the root folder does not matter', async () => {
  await chmod(join(root, 'etc'), 0o777);
  const problem = await assertTrusted(file, folder).catch((error: unknown) => errorMessage(error));
  expect(problem).not.toContain('mode');
});

test.each([
  ['the file', () => file, 0o666, '0666'],
  ['the file, by its group', () => file, 0o664, '0664'],
  ['its folder', () => folder, 0o757, '0757'],
  ['a folder above', () => join(root, 'etc'), 0o775, '0775'],
  ['the root folder, sticky', () => root, 0o1777, '1777'],
])('others can write %s: refused with the command that mends it', async (_, pathOf, mode, octal) => {
  await chmod(pathOf(), mode);
  expect(await problemsOf()).toEqual([
    `${pathOf()} has mode ${octal}, so that others than root can write it; run: chmod go-w ${pathOf()}`,
  ]);
  expect(await contentOf(file)).toBe('config-untrusted');
});

test('all problems are named at once', async () => {
  await chmod(file, 0o666);
  await chmod(folder, 0o777);
  const mended = [folder, file].map((path) => expect.stringContaining(`run: chmod go-w ${path}`));
  expect(await problemsOf()).toEqual(mended);
});

test('a symbolic link is followed within the root, and the folders of its target count', async () => {
  const target = join(root, 'srv/target.yaml');
  await mkdir(join(root, 'srv'), { mode: 0o755 });
  await writeFile(target, 'elsewhere', { mode: 0o644 });
  await rm(file);
  await symlink('../../srv/target.yaml', file);
  expect(await contentOf(file)).toBe(ifRoot('elsewhere'));
  await chmod(join(root, 'srv'), 0o777);
  expect(await problemsOf()).toEqual([expect.stringContaining(`chmod go-w ${join(root, 'srv')}`)]);
});

test('a link to a folder is followed too', async () => {
  await symlink('etc', join(root, 'linked'));
  const linked = join(root, 'linked/eni-agent/config.yaml');
  expect(await contentOf(linked)).toBe(ifRoot('content'));
  await chmod(folder, 0o777);
  expect(await problemsOf(linked)).toEqual([expect.stringContaining(`chmod go-w ${folder}`)]);
});

test('a link out of the root is refused if a folder up to / is others’ to write', async () => {
  const outside = await mkdtemp(join(tmpdir(), 'trust-outside-'));
  await chmod(outside, 0o777);
  await writeFile(join(outside, 'target.yaml'), '');
  await rm(file);
  await symlink(join(outside, 'target.yaml'), file);
  expect(await problemsOf()).toContainEqual(expect.stringContaining(`chmod go-w ${outside}`));
  await rm(outside, { recursive: true });
});

test('a link to nothing is an absent file, and links in a circle are refused', async () => {
  await rm(file);
  await symlink('nowhere', file);
  expect(await assertTrusted(file, root)).toBe(false);
  await rm(file);
  await symlink('config.yaml', file);
  expect(await problemsOf()).toEqual([expect.stringContaining('more than 40 symbolic links')]);
});

test('what is no regular file is not read, and a FIFO does not block', async () => {
  expect(await contentOf(folder)).toBe(ifRoot('config-untrusted'));
  await rm(file);
  await promisify(execFile)('mkfifo', ['-m', '644', file]);
  expect(await contentOf(file)).toBe(ifRoot('config-untrusted'));
});

test('a path that a shell would split is quoted in the command', async () => {
  const odd = join(root, "it's odd");
  await writeFile(odd, '');
  await chmod(odd, 0o666);
  expect(await problemsOf(odd)).toEqual([expect.stringContaining(`chmod go-w '${root}/it'\\''s odd'`)]);
});
