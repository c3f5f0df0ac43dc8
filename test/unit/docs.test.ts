/** docs/configuration.md and docs/cli.md say all that there is, and nothing else. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { parseMetadataFile } from '../../src/metadata/file.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const CONFIGURATION = readDoc('configuration.md');
const COMMANDS = readDoc('cli.md');

function readDoc(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

function eniAgent(...args: readonly string[]): string {
  return execFileSync(process.execPath, [CLI, '--root', '/nowhere', ...args], { encoding: 'utf8' });
}

/** Blocks by what is behind the three backticks. */
function blocksOf(doc: string, language: string): readonly string[] {
  return [...doc.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text = '']) => text,
  );
}

async function load(text: string) {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-docs-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const file = path.join(root, 'config.yaml');
  await writeFile(file, text, { mode: 0o644 });
  return loadConfig({ path: file, root, required: true });
}

/** From the error about a key that does not exist. */
async function allowedBeside(text: string): Promise<readonly string[]> {
  const problem = await load(text).then(
    () => '',
    (error: unknown) => String(error),
  );
  const [, keys = ''] = /unknown key; allowed: (.*)/.exec(problem) ?? [];
  return keys.split(', ');
}

describe('docs/configuration.md', () => {
  const rows = [...CONFIGURATION.matchAll(/^\| `([a-zA-Z0-9[\].]+)` \| (?:`(.*?)`)? ?\|/gm)];
  const documented = new Map(rows.map(([, key = '', value = '']) => [key, value]));

  test('has every key of the file with its default, and no other', () => {
    const lines = [...eniAgent('config').matchAll(/^(\S+): (.*?) +# default(?:; here .*)?$/gm)];
    const defaults = lines.map(([, key = '', value = '']) => [key, value.replace(/^"(.*)"$/, '$1')]);
    const keys = [...documented].filter(([key]) => !key.startsWith('interfaces'));
    expect(keys).toEqual(defaults.filter(([key]) => key !== 'interfaces'));
  });

  test('has every key of an entry of interfaces, and no other', async () => {
    const entry = await allowedBeside('interfaces: [{ match: { role: primary }, nothing: 1 }]\n');
    const match = await allowedBeside('interfaces: [{ match: { role: primary, nothing: 1 } }]\n');
    const keys = [...match.map((key) => `match.${key}`), ...entry.filter((key) => key !== 'match')];
    expect([...documented.keys()].filter((key) => key.startsWith('interfaces'))).toEqual(
      keys.map((key) => `interfaces[].${key}`),
    );
  });

  test('has examples for every section, which are valid', async () => {
    const examples = blocksOf(CONFIGURATION, 'yaml');
    for (const text of examples) await expect(load(text), text).resolves.toBeDefined();
    const sections = new Set(examples.flatMap((text) => /^(\w+):/.exec(text)?.[1] ?? []));
    expect([...sections]).toEqual(await allowedBeside('nothing: 1\n'));
    const [metadata = ''] = blocksOf(CONFIGURATION, 'yaml metadata');
    expect(parseMetadataFile(metadata, 'metadata.yaml').nics).toHaveLength(2);
  });
});

describe('docs/cli.md', () => {
  const general = eniAgent('--help');
  const names = [...general.matchAll(/^ {2}([a-z]+) .*(?: {2}|\n)/gm)].map(([, name = '']) => name);
  const commands = names.filter((name) => name !== 'help');

  test('has every command, and no other', () => {
    const headings = [...COMMANDS.matchAll(/^## ([a-z]+)$/gm)].map(([, name = '']) => name);
    expect(headings.toSorted()).toEqual(commands.toSorted());
  });

  function optionsIn(help: string): readonly string[] {
    return [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option);
  }

  function optionRows(text: string): readonly string[] {
    return [...text.matchAll(/^\| `(--[a-z-]+)` \|/gm)].map(([, option = '']) => option);
  }

  test('has the general options', () => {
    const [head = ''] = COMMANDS.split(/^## /m);
    expect(optionRows(head).toSorted()).toEqual(optionsIn(general).toSorted());
  });

  test.each(commands)('has every option of %s, and no other', (command) => {
    const section = COMMANDS.split(/^## /m).find((text) => text.startsWith(`${command}\n`)) ?? '';
    const options = optionsIn(eniAgent(command, '--help')).filter((option) => option !== '--help');
    expect(optionRows(section).toSorted()).toEqual(options.toSorted());
  });
});
