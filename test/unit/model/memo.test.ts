import { describe, expect, test } from 'vitest';
import { grouped } from '../../../src/model/grouped.ts';
import { createMemo, oncePer } from '../../../src/model/memo.ts';

describe('a memo', () => {
  test('makes a thing anew when one of the things that it is made from is another', () => {
    const memo = createMemo();
    let made = 0;
    const make = (): number => (made += 1);
    const [one, other] = [{}, {}];
    expect([memo.of('a', [one, 1], make), memo.of('a', [one, 1], make)]).toEqual([1, 1]);
    expect(memo.of('b', [one, 1], make)).toBe(2);
    expect(memo.of('a', [other, 1], make)).toBe(3);
    expect(memo.of('a', [one, 1], make)).toBe(4);
    expect(memo.of('a', [one], make)).toBe(5);
  });

  test('of one object makes it once for each, also when what is made is undefined', () => {
    let made = 0;
    const firstOf = oncePer((list: readonly number[]) => {
      made += 1;
      return list[0];
    });
    const [empty, full] = [[], [7]];
    expect([firstOf(empty), firstOf(full), firstOf(empty), firstOf(full)]).toEqual([
      undefined,
      7,
      undefined,
      7,
    ]);
    expect(made).toBe(2);
  });
});

test('what is grouped keeps its order', () => {
  expect([...grouped([3, 1, 4, 1, 5], (number) => number % 2)]).toEqual([
    [1, [3, 1, 1, 5]],
    [0, [4]],
  ]);
});
