/** What would hang or kill the program before any schema sees it. */
import { describe, expect, test } from 'vitest';
import { formatProblems, parseYaml } from '../../../src/system/yaml.ts';
import { bound } from '../../lab/until.ts';

const LINE = 'key: value\n';
/** Of the processor: the file is checked at every start and every change. */
const LONGEST_MS = bound(2_000);

function firstProblem(text: string): string {
  const parsed = parseYaml(text);
  return 'problems' in parsed ? (formatProblems('c', parsed.problems)[0] ?? '') : 'no problem';
}

describe('what is nested too deep is refused, at the place where it is', () => {
  test.each([
    ['lists in brackets', '['.repeat(40), 'c:1:33: '],
    ['thousands of them', '['.repeat(5_000) + ']'.repeat(5_000), 'c:1:33: '],
    ['mappings in braces', `a:\n  ${'{a: '.repeat(40)}`, 'c:2:131: '],
    ['lists on one line', `x: 1\n${'- '.repeat(5_000)}`, 'c:2:129: '],
    ['explicit keys', '? '.repeat(5_000), 'c:1:129: '],
    ['lists after a bracket too many', `]\n${'- '.repeat(5_000)}`, 'c:2:129: '],
    ['keys on one line', 'a: '.repeat(5_000), 'c:1:131: '],
    ['lines ever farther to the right', rightwards(300), 'c:128:129: '],
  ])('%s', (_, text, at) => {
    expect(firstProblem(text)).toBe(`${at}nested too deep`);
  });

  test.each([
    ['brackets in text and in comments', `a: "${'['.repeat(100)}" # ${'{'.repeat(100)}\n`],
    ['many lists beside each other', `a: [${'[],'.repeat(100)}]\n`],
    ['a list in brackets over many lines', `a: [\n${' '.repeat(200)}1\n]\n`],
    ['text over many lines', `a: |\n${`  ${' '.repeat(200)}x\n`.repeat(3)}`],
    ['dashes in text', `a: x ${'- '.repeat(200)}\n`],
    ['a value far to the right', `a: ${' '.repeat(200)}1\n`],
  ])('but not %s', (_, text) => {
    expect(firstProblem(text)).not.toContain('nested');
  });

  function rightwards(lines: number): string {
    return Array.from({ length: lines }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n');
  }
});

describe('size', () => {
  test('of a file that nobody wrote by hand is refused', () => {
    expect(firstProblem(LINE.repeat(5_900))).not.toContain('bytes');
    expect(firstProblem(LINE.repeat(7_000))).toBe('c:1:1: 77000 bytes; allowed: 65536');
    expect(firstProblem('ü'.repeat(40_000))).toContain('80000 bytes');
  });

  test.each([
    ['keys of one mapping', Array.from({ length: 8_000 }, (_, key) => `k${key}:`).join('\n')],
    ['errors', `a: [${','.repeat(60_000)}]`],
    ['entries', '- {}\n'.repeat(13_000)],
  ])('takes no time worth mentioning: %s', (_, text) => {
    const startedAt = process.cpuUsage();
    parseYaml(text);
    expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(LONGEST_MS);
  });

  test('of a report is what people read', () => {
    const at = { line: 1, column: 1 };
    const lines = formatProblems(
      'c',
      Array.from({ length: 60 }, (_, index) => ({ at, text: `${index}` })),
    );
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('c: 10 more problems');
  });
});
