import { describe, expect, test } from 'vitest';
import { formatTranscript, isShownAs, parseTranscript } from '../../lab/transcript.ts';

const SEEN = '2026-11-22T10:00:00.000Z  link  applied  2 steps in 3.1 ms\n  + one\n  + two';

test('a block is its commands, each with what it prints', () => {
  const text = '$ one --a\nfirst\n\n  second\n$ two\n$ three\n…\n';
  const exchanges = parseTranscript(text);
  expect(exchanges).toEqual([
    { command: 'one --a', output: 'first\n\n  second' },
    { command: 'two', output: '' },
    { command: 'three', output: '…' },
  ]);
  expect(formatTranscript(exchanges)).toBe(text);
});

describe('what is seen is', () => {
  test.each([
    ['itself', SEEN],
    [
      'another time, duration and trigger',
      SEEN.replace('22T10', '23T11').replace('3.1', '14').replace('link', 'timer'),
    ],
    ['with lines left out at the end', `${SEEN.split('\n')[0]}\n…`],
    ['at the beginning', '…\n  + two'],
    ['in the middle', `${SEEN.split('\n')[0]}\n…\n  + two`],
    ['and where there are none', `…\n${SEEN}\n…`],
  ])('as it is shown: %s', (_, shown) => {
    expect(isShownAs(shown, SEEN)).toBe(true);
  });

  test.each([
    ['a line that is not there', `${SEEN}\n  + three`],
    ['a line that is left out and not said to be', SEEN.replace('  + one\n', '')],
    ['another order', `…\n  + two\n  + one`],
    ['a part of a line', '…\n  + tw'],
    ['another number of steps', SEEN.replace('2 steps', '3 steps')],
    ['another outcome', SEEN.replace('applied', 'degraded')],
    ['nothing', ''],
  ])('not as it is shown: %s', (_, shown) => {
    expect(isShownAs(shown, SEEN)).toBe(false);
  });

  test('no pattern', () => {
    expect(isShownAs('a.c', 'abc')).toBe(false);
    expect(isShownAs('10.0.1.4/24 (primary) *.orig', '10.0.1.4/24 (primary) *.orig')).toBe(true);
  });
});
