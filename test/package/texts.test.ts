/** The configuration and the manual pages that the packages bring, against the program and docs/. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readCommands } from '../../packaging/commands.ts';
import { createManPage } from '../../packaging/man.ts';
import { MAN_PAGES } from '../../packaging/man-pages.ts';
import { ROOT } from './packages.ts';

const CLI = path.join(ROOT, 'dist/cli.js');

/** `key: value` of each default that `eni-agent config` shows. */
async function effective(...args: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execa(process.execPath, [CLI, ...args, 'config']);
  return [...stdout.matchAll(/^(\S+: .*?) +# \S+.*$/gm)].map(([, line = '']) => line);
}

describe('packaging/config.yaml', () => {
  test('is nothing but comments, and without the # has every key with its default', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-config-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const text = await readFile(path.join(ROOT, 'packaging/config.yaml'), 'utf8');
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
    const yaml = text.replaceAll(/^#(?! \S)/gm, '');
    await writeFile(path.join(folder, 'config.yaml'), yaml, { mode: 0o644 });
    const { stdout } = await execa(process.execPath, [
      CLI,
      '--root',
      folder,
      '--config',
      '/config.yaml',
      'config',
    ]);
    // Each comes from the file, so none is missing there.
    expect(stdout.split('\n').filter((line) => line.endsWith('# default'))).toEqual([]);
    expect(await effective('--root', folder, '--config', '/config.yaml')).toEqual(
      await effective('--root', '/nowhere'),
    );
  });
});

describe.each(Object.entries(MAN_PAGES))('the manual page %s', (name, create) => {
  test('is shown by man without a warning', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-man-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(path.join(folder, name), create());
    const env = { MANWIDTH: '100', LC_ALL: 'C.UTF-8', MANROFFOPT: '' };
    const { stderr, stdout } = await execa('man', ['--warnings', '-l', path.join(folder, name)], { env });
    expect(stderr).toBe('');
    // Neither Markdown nor an unknown request is left.
    expect(stdout).not.toMatch(/\*\*|\]\(|^ *\|/m);
  });
});

test('what Markdown has as text never becomes a request of man', async () => {
  const about = { name: 'x', section: 8, summary: '', version: '1', seeAlso: '' };
  const page = createManPage("# X\n\n.so /etc/passwd\n\n```\n'quoted\n.de\n```\n\n- `.code` a\\b\n", about);
  for (const line of [
    String.raw`\&.so /etc/passwd`,
    String.raw`\&'quoted`,
    String.raw`\&.de`,
    String.raw`\fB\&.code\fR a\eb`,
  ])
    expect(page.split('\n')).toContain(line);
});

test('eni-agent(8) has every command and every option', () => {
  const page = MAN_PAGES['eni-agent.8']();
  const { commands, options } = readCommands();
  for (const { name } of commands) expect(page).toContain(`\n.SH ${name}\n`);
  const flags = [...options, ...commands.flatMap((command) => command.options)].map(({ name }) => name);
  for (const flag of flags) expect(page).toContain(`\\fB${flag.replaceAll('-', String.raw`\-`)}\\fR`);
});

test('eni-agent.yaml(5) has every key', async () => {
  const page = MAN_PAGES['eni-agent.yaml.5']();
  const keys = (await effective('--root', '/nowhere')).flatMap((line) => line.split(':')[0] ?? []);
  expect(keys.length).toBeGreaterThan(15);
  for (const key of keys.filter((name) => name !== 'interfaces'))
    expect(page).toContain(`\n\\fB${key}\\fR\n`);
});
