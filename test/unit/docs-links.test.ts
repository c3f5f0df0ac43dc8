/** Every link of every page leads somewhere. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stageDocs } from '../../packaging/stage.ts';
import { brokenLinks } from '../lab/doc-links.ts';
import { parsePage, readPages } from '../lab/markdown.ts';

const PAGES = await readPages();

test.each(PAGES)('$file has no link that leads nowhere', (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

test('every page of docs is linked to from another one', () => {
  const targets = PAGES.flatMap(({ file, links }) =>
    links.map((link) => new URL(link.replace(/#.*/, ''), `file:///${file}`).pathname.slice(1)),
  );
  const lonely = PAGES.map(({ file }) => file).filter(
    (file) => file.startsWith('docs/') && !targets.includes(file),
  );
  expect(lonely).toEqual([]);
});

test('and so it is where the packages have them, in one folder', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-docs-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  stageDocs(folder);
  const pages = await readPages(folder);
  expect(pages.map(({ file }) => file)).toContain('README.md');
  expect(pages.flatMap((page) => brokenLinks(page, folder))).toEqual([]);
});

describe('a link is refused', () => {
  test.each([
    ['[a](nothing.md)', 'there is no docs/nothing.md'],
    ['[a](CLI.md)', 'there is no docs/CLI.md'],
    ['[a](cli.md#nothing)', 'docs/cli.md has no such heading'],
    ['[a](#nothing)', 'docs/page.md has no such heading'],
    ['[a](config.schema.json#top)', 'it has no headings'],
    ['![a](nothing.svg)', 'there is no docs/nothing.svg'],
    ['| a |\n|---|\n| [a](nothing.md) |', 'there is no docs/nothing.md'],
    ['- 1\n\n  [a](nothing.md)', 'there is no docs/nothing.md'],
    ['[a](/docs/cli.md)', 'from the top of the file system'],
    ['[a](../../etc/passwd)', 'it is not in the repository'],
    ['[a](../node_modules/marked/README.md)', 'it is not in the repository'],
    ['[a](https://)', 'no URL'],
    ['[a](https://localhost/x)', 'localhost is no name of a host'],
    ['[a](htps://example.org/)', 'htps: is not for documentation'],
    ['[a](https://user@example.org/)', 'it has a user name'],
    ['[a](https://example.org/../x)', 'it should be written https://example.org/x'],
    ['[a](cli.md', 'a link that is none'],
    ['[a][nothing]', 'a link that is none'],
  ])('%s: %s', (markdown, problem) => {
    const problems = brokenLinks(parsePage('docs/page.md', markdown));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test.each(['[a](#a-title-of-two-words)', '[a](cli.md#exit-codes)', '[a](decisions)', '`[a](b)`'])(
    'but not %s',
    (markdown) => {
      expect(brokenLinks(parsePage('docs/page.md', `# A title: of two words\n\n${markdown}\n`))).toEqual([]);
    },
  );
});
