/** README.zh-CN.md says what README.md says: neither changes alone. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parsePage, ROOT, readPage } from '../lab/markdown.ts';
import { bonesOf } from '../lab/translation.ts';

const ORIGINAL = 'README.md';
const TRANSLATION = 'README.zh-CN.md';

const bones = (file: string) => bonesOf(readPage(file), [ORIGINAL, TRANSLATION]);

test('the two have the same sections, commands, links, code, tables and numbers', () => {
  expect(bones(TRANSLATION).length).toBeGreaterThan(8);
  expect(bones(TRANSLATION)).toEqual(bones(ORIGINAL));
});

test('each paragraph of the translation is Chinese', () => {
  const paragraphs = readFileSync(path.join(ROOT, TRANSLATION), 'utf8')
    .replaceAll(/^```.*?^```$/gms, '')
    .split(/\n{2,}/)
    .filter((text) => /[a-z]/i.test(text) && !text.startsWith('# '));
  expect(paragraphs.filter((text) => !/[\u4e00-\u9fff]/.test(text))).toEqual([]);
});

describe('it is noticed when one of them alone has', () => {
  const text = readFileSync(path.join(ROOT, TRANSLATION), 'utf8');
  test.each([
    ['another option', 'eni-agent release eth1 ', 'eni-agent release eth1 --dry-run '],
    ['another order of commands', /(eni-agent status .*\n)(eni-agent graph .*\n)/, '$2$1'],
    ['a heading of another depth', '\n## ', '\n### '],
    ['a heading more', '\n## ', '\n## 新\n\n## '],
    ['another link', '(docs/cli.md)', '(docs/errors.md)'],
    ['a link less', '[docs/performance.md](docs/performance.md)', 'docs'],
    ['another word of code', '`*.orig`', '`*.bak`'],
    ['another number', '20.19', '18.19'],
    ['another number in a table', '| 672 ms |', '| 572 ms |'],
    ['a row less', /\n\| nm-cloud-setup .*/, ''],
    ['a point less', /\n- 防火墙.*/, ''],
    ['a paragraph more', '\n\n## ', '\n\n新的一段。\n\n## '],
    ['another value', 'manage: false', 'manage: true'],
    ['another output', '27 steps', '28 steps'],
  ])('%s', (_, from, to) => {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(bonesOf(parsePage(TRANSLATION, changed), [ORIGINAL, TRANSLATION])).not.toEqual(bones(ORIGINAL));
  });
});
