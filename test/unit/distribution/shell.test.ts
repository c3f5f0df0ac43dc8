/** The reader of sourced files beside bash itself: it says what bash has afterwards, or that there is more to it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sourceFile, wordsOfLines } from '../../distribution/shell.ts';
import { evaluate } from '../fuzz/shell.ts';
import { FULL_TIMEOUT_MS, RUNS } from '../scenarios.ts';

/** In CI 50 texts, in one shell. */
const TEXTS = RUNS * 2;

test.each<[string, string, Record<string, string>]>([
  ['quotes', `A='10.0.1.4'\nB="24"\nC=10."0".1.'5'\n`, { A: '10.0.1.4', B: '24', C: '10.0.1.5' }],
  ['comments', '# A=1\n  # B=2\nC=3 # D=4\nE=5#6\n', { C: '3', E: '5#6' }],
  ['blanks', '\n  A=1\n\tB=2  \nC=\n', { A: '1', B: '2', C: '' }],
  ['several on a line', 'A=1 B=2\n', { A: '1', B: '2' }],
  ['a continued line', 'A=1\\\n2\nB=3\n', { A: '12', B: '3' }],
  ['the last of a name', 'A=1\nA=2\n', { A: '2' }],
  ['no line end', 'A=1', { A: '1' }],
  ['CRLF, which stays in the value', 'A=no\r\n', { A: 'no\r' }],
])('%s', (_, text, variables) => {
  expect(sourceFile(text)).toEqual({ value: new Map(Object.entries(variables)) });
});

test.each([
  'A=$(reboot)',
  'A=`reboot`',
  'A="$B"',
  'A=1 reboot',
  'reboot',
  'export A=1',
  'A =1',
  'A=1|B=2',
  'A=1; B=2',
  ';',
  'A=(1 2)',
  'A=~',
  'A="1',
  "A='1",
  '[ A=1 ]',
])('more than an assignment: %s', (line) => {
  expect(sourceFile(`${line}\n`)).toHaveProperty('complaint');
});

describe('whatever the text', { timeout: FULL_TIMEOUT_MS }, () => {
  const part = fc.constantFrom(
    ...'A= B= = 1 10.0.1.4 yes " \' \\ \n # ; \t $ ` ~ ( | * \r'.split(' '),
    ' ',
    ' ',
  );
  const texts = fc.sample(
    fc.array(part, { maxLength: 14 }).map((parts) => `${parts.join('')}\n`),
    { numRuns: TEXTS, seed: 20 },
  );

  test('what it understands is what bash has', async () => {
    const seen = await evaluate('source', texts);
    const understood = texts.flatMap((text, index) => {
      const read = sourceFile(text);
      return 'value' in read ? [{ text, read: read.value, seen: seen[index] }] : [];
    });
    expect(understood.length).toBeGreaterThan(TEXTS / 10);
    for (const { text, read, seen: { lines = [], anomalies = [] } = {} } of understood) {
      const isPlain = [...read.values()].every((value) => /^[\w.#=:; *-]*$/.test(value));
      if (!isPlain) continue;
      expect({ text, lines, anomalies }).toEqual({
        text,
        lines: [...read].map(([name, value]) => `${name}=${value}`).toSorted(),
        anomalies: [],
      });
    }
  });

  test('ip is given the words that it says', async () => {
    const lines = texts.map((text) => text.replaceAll(/[*\r]/g, ''));
    // ifup-routes adds a line end, so that what has none is read, too.
    const seen = await evaluate(
      'read',
      lines.map((text) => `${text}\n`),
    );
    for (const [index, text] of lines.entries()) {
      const read = wordsOfLines(text).map((words) =>
        'value' in words ? words.value.join(' ') : words.complaint,
      );
      expect({ text, lines: read }).toEqual({ text, lines: seen[index]?.lines });
    }
  });
});
