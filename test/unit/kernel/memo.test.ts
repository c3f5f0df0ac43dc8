/** What is the same in two dumps is the very same object. */
import { expect, test } from 'vitest';
import { decodeAll, joinAll } from '../../../src/kernel/memo.ts';

const socket = (): object => ({});
/** Of the first byte alone; the others are what nobody reads. 0 is left out. */
const decode = ([first = 0]: Uint8Array): { readonly value: number } | undefined =>
  first === 0 ? undefined : { value: first };
const bodies = (...texts: readonly (readonly number[])[]): Uint8Array[] =>
  texts.map((bytes) => Uint8Array.from(bytes));

test('a list of the same bytes is the very same list, and nothing of it is decoded', () => {
  const one = socket();
  const first = decodeAll(one, 'kind', bodies([1, 1], [0], [2, 1]), decode);
  expect(first).toEqual([{ value: 1 }, { value: 2 }]);
  const never = (): never => {
    throw new Error('decoded again');
  };
  expect(decodeAll(one, 'kind', bodies([1, 1], [0], [2, 1]), never)).toBe(first);
});

test('so is one whose bytes changed in what nobody reads', () => {
  const one = socket();
  const first = decodeAll(one, 'kind', bodies([1, 1], [2, 1]), decode);
  expect(decodeAll(one, 'kind', bodies([1, 9], [2, 7]), decode)).toBe(first);
});

test.each([
  [
    'changed',
    [
      [1, 1],
      [3, 1],
    ],
  ],
  ['came', [[1, 1], [2, 1], [3]]],
  ['went', [[1, 1]]],
  ['came in front', [[3], [1, 1], [2, 1]]],
  ['is not read any more', [[1, 1], [0]]],
])('when one %s it is another list, of what is there', (_what, now) => {
  const one = socket();
  const first = decodeAll(one, 'kind', bodies([1, 1], [2, 1]), decode);
  const second = decodeAll(one, 'kind', bodies(...now), decode);
  expect(second).not.toBe(first);
  expect(second).toEqual(bodies(...now).flatMap((body) => decode(body) ?? []));
  expect(first).toEqual([{ value: 1 }, { value: 2 }]);
});

test('what moved because one came or went in front of it is the very same object', () => {
  const one = socket();
  const [first, second] = decodeAll(one, 'kind', bodies([1, 1], [2, 1]), decode);
  const longer = decodeAll(one, 'kind', bodies([3], [1, 1], [2, 1]), decode);
  expect([longer[1] === first, longer[2] === second]).toEqual([true, true]);
  const shorter = decodeAll(one, 'kind', bodies([2, 1]), decode);
  expect(shorter[0]).toBe(second);
});

test('the very same bodies are not even compared', () => {
  const one = socket();
  const list = bodies([1, 1], [2, 1]);
  const first = decodeAll(one, 'kind', list, decode);
  list[0]?.fill(9);
  expect(decodeAll(one, 'kind', list, decode)).toBe(first);
});

test('kinds and sockets have nothing to do with each other', () => {
  const one = socket();
  const ofKind = decodeAll(one, 'kind', bodies([1]), decode);
  expect(decodeAll(one, 'other', bodies([1]), () => 'else')).toEqual(['else']);
  expect(decodeAll(one, 'kind', bodies([1]), decode)).toBe(ofKind);
  expect(decodeAll(socket(), 'kind', bodies([1]), decode)).not.toBe(ofKind);
});

test('lists are joined once, until one is another', () => {
  const one = socket();
  const [a, b] = [[1], [2]];
  const all = joinAll(one, 'kind', [a, b]);
  expect(all).toEqual([1, 2]);
  expect(joinAll(one, 'kind', [a, b])).toBe(all);
  expect(joinAll(one, 'kind', [a, [2]])).not.toBe(all);
});
