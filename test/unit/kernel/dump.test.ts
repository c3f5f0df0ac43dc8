/** The answer to a dump: what the kernel says again is the very same, and nothing else is. */
import { expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { encodeDatagram } from '../../../src/kernel/codec.ts';
import { createQuestion, type Question, readAnswer } from '../../../src/kernel/dump.ts';

const SEQUENCE = 7;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const OBJECT = 24;

interface Message {
  readonly type?: number;
  readonly flags?: number;
  readonly body: readonly number[];
}

const END: Message = { type: NLMSG_DONE, body: [0, 0, 0, 0] };
const object = (value: number): Message => ({ body: [value, value, value, value] });
const [A, B, C] = [object(1), object(2), object(3)];

/** The messages of a list have one number. */
function datagram(messages: readonly Message[], sequence = SEQUENCE): Uint8Array {
  const parts = messages.map(({ type = OBJECT, flags = 0, body }) =>
    encodeDatagram([{ type, flags, body: Uint8Array.from(body) }], sequence),
  );
  return Buffer.concat(parts);
}

const ask = (): Question => createQuestion(26, new Uint8Array(4), SEQUENCE);

/** What the kernel answers: lists of messages, each one datagram; the last one ends it. */
function answer(question: Question, ...datagrams: readonly (readonly Message[])[]) {
  const reader = readAnswer(question);
  const ends = datagrams.map((messages) => reader.take(datagram(messages)));
  expect(ends).toEqual(datagrams.map((_, index) => index === datagrams.length - 1));
  return reader.end();
}

const valuesOf = (bodies: readonly Uint8Array[] | undefined): readonly (number | undefined)[] | undefined =>
  bodies?.map(([first]) => first);

test('is the very same list when it is the same bytes, and what it says when it is not', () => {
  const question = ask();
  const first = answer(question, [A, B], [C], [END]).bodies;
  expect(valuesOf(first)).toEqual([1, 2, 3]);
  expect(answer(question, [A, B], [C], [END]).bodies).toBe(first);
  for (const [datagrams, values] of [
    [
      [[A, B], [END]],
      [1, 2],
    ],
    [
      [[A, B], [C], [C], [END]],
      [1, 2, 3, 3],
    ],
    [
      [[A], [C], [END]],
      [1, 3],
    ],
    [
      [[A, C], [C], [END]],
      [1, 3, 3],
    ],
    [[[END]], []],
  ] as const)
    expect(valuesOf(answer(question, ...datagrams).bodies)).toEqual(values);
});

test('has the very same objects in the datagrams that are the same', () => {
  const question = ask();
  const first = answer(question, [A, B], [C], [END]).bodies;
  const second = answer(question, [A, B], [A], [END]).bodies;
  expect([second?.[0] === first?.[0], second?.[1] === first?.[1]]).toEqual([true, true]);
  expect(valuesOf(second)).toEqual([1, 2, 1]);
});

test('stays what it is when the memory of its datagram is written to', () => {
  const memory = datagram([A, END]);
  const reader = readAnswer(ask());
  expect(reader.take(memory)).toBe(true);
  memory.fill(0);
  expect(valuesOf(reader.end().bodies)).toEqual([1]);
});

test('passes over a datagram of another exchange', () => {
  const reader = readAnswer(ask());
  expect(reader.take(datagram([B, END], SEQUENCE + 1))).toBe(false);
  expect(reader.take(datagram([A, END]))).toBe(true);
  expect(valuesOf(reader.end().bodies)).toEqual([1]);
});

test('has no objects when they changed meanwhile, whichever message says so, and the next one is not compared with it', () => {
  const question = ask();
  const good = answer(question, [A], [END]).bodies;
  for (const datagrams of [
    [[{ ...A, flags: NLM_F_DUMP_INTR }], [END]],
    [[A], [{ ...END, flags: NLM_F_DUMP_INTR }]],
  ])
    expect(answer(question, ...datagrams)).toEqual({ errno: 0, bodies: undefined });
  expect(answer(question, [A], [END]).bodies).toBe(good);
});

test('has no objects when the kernel has dropped some', () => {
  const reader = readAnswer(ask());
  reader.take(datagram([A]));
  reader.overrun();
  expect(reader.take(datagram([END]))).toBe(true);
  expect(reader.end()).toEqual({ errno: 0, bodies: undefined });
});

test.each([
  ['of an old kernel, without a number', { type: NLMSG_DONE, body: [] }, 0],
  ['with an error', { type: NLMSG_DONE, body: [0xfb, 0xff, 0xff, 0xff] }, 5],
  ['with a refusal', { type: NLMSG_ERROR, body: [0xf0, 0xff, 0xff, 0xff] }, 16],
])('ends %s', (_what, end, errno) => {
  const { errno: found, bodies } = answer(ask(), [A], [end]);
  expect([found, valuesOf(bodies)]).toEqual([errno, errno === 0 ? [1] : undefined]);
});

test('of bytes that are no message is an AgentError', () => {
  expect(() => readAnswer(ask()).take(Uint8Array.from([4, 0, 0, 0]))).toThrow(AgentError);
});
