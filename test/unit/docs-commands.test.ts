/** Every command of the documentation is run somewhere, and what is the agent's own is written as the program takes it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  commandsOf,
  type DocCommand,
  disguisedCommands,
  helpTexts,
  ownCommandsIn,
  whyRefused,
} from '../lab/doc-commands.ts';
import { ELSEWHERE, elsewhere, isTypedInTheLab, NOT_RUN } from '../lab/elsewhere.ts';
import { parsePage, ROOT, readPages } from '../lab/markdown.ts';

const PAGES = await readPages();
const COMMANDS = PAGES.flatMap(commandsOf);

function isAccountedFor(command: DocCommand): boolean {
  return isTypedInTheLab(command) || elsewhere(command) !== undefined || command.command in NOT_RUN;
}

test('every command is typed into a VM of the lab, or test/lab/elsewhere.ts says where it is run', () => {
  expect(COMMANDS.length).toBeGreaterThan(60);
  expect(COMMANDS.filter((command) => !isAccountedFor(command))).toEqual([]);
});

test.each(Object.entries(ELSEWHERE))('%s: it is there, and so is where it is run', (key, { file, place }) => {
  const keys = COMMANDS.flatMap(({ page, anchor, language, command }) => [
    command,
    `${page}#${anchor}`,
    `${page} ${language}`,
  ]);
  expect(keys).toContain(key);
  expect(readFileSync(path.join(ROOT, file), 'utf8')).toMatch(place);
});

test.each(Object.keys(NOT_RUN))('%s: it is there', (command) => {
  expect(COMMANDS.map((each) => each.command)).toContain(command);
});

test('what is no block of commands has none', () => {
  const known = [...COMMANDS.map(({ command }) => command), ...Object.keys(ELSEWHERE), 'ip', 'nmcli', 'rpm'];
  const programs = new Set(known.flatMap((command) => command.split(' ', 1)));
  for (const page of PAGES) expect(disguisedCommands(page, programs), page.file).toEqual([]);
});

describe('the program takes', () => {
  test.each(PAGES)('what $file tells to type', (page) => {
    const texts = [...commandsOf(page).map(({ command }) => command), ...page.spans];
    for (const args of texts.flatMap(ownCommandsIn))
      expect(whyRefused(args), `eni-agent ${args.join(' ')}`).toBeUndefined();
  });

  test('the examples of --help', () => {
    const lines = helpTexts()
      .join('\n')
      .replaceAll(/^ +/gm, '')
      .replaceAll(/ {2,}.*$/gm, '');
    const examples = ownCommandsIn(lines);
    expect(examples.length).toBeGreaterThan(30);
    for (const args of examples) expect(whyRefused(args), `eni-agent ${args.join(' ')}`).toBeUndefined();
  });

  test.each([
    ['eni-agent plan --chek', "unknown option '--chek'"],
    ['eni-agent pln', "unknown command 'pln'"],
    ['eni-agent reconfigure --confirm 60', '60'],
    ['eni-agent explain', "missing required argument 'dest'"],
    ['node dist/cli.js plan --chek', "unknown option '--chek'"],
    ['poweroff && eni-agent seal --now', "unknown option '--now'"],
  ])('but not %s', (text, problem) => {
    const [args = []] = ownCommandsIn(text);
    expect(whyRefused(args)).toContain(problem);
  });
});

describe('a page of', () => {
  const read = (markdown: string) =>
    commandsOf(parsePage('docs/page.md', markdown)).map(({ command }) => command);

  test('commands has them in lists, behind a prompt, over two lines', () => {
    expect(read('1. a\n\n   ```sh\n   # why\n   one -a \\\n     -b   # what\n   ```\n')).toEqual([
      'one -a -b',
    ]);
    expect(read('```console\n$ two  # why\nits answer # 1\n```\n')).toEqual(['two']);
    expect(read('```sh /etc/a.sh\nthree\n```\n\n```yaml\nfour\n```\n')).toEqual([]);
  });

  test('anything else is red when it has one, or one that nobody runs', () => {
    const page = parsePage('docs/page.md', '```\nip rule\n```\n\n```sh\nip rule\n```\n');
    expect(disguisedCommands(page, new Set(['ip']))).toEqual(['ip rule']);
    expect(commandsOf(page).filter(isAccountedFor)).toEqual([]);
  });
});
