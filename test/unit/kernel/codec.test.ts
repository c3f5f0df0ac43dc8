import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import {
  type Attribute,
  align,
  decodeAttributes,
  encodeBody,
  encodeDatagram,
  encodeFixed,
  encodeText,
  readS32,
  readU32,
  splitMessages,
} from '../../../src/kernel/codec.ts';

const bytes = fc.uint8Array({ maxLength: 40 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const attributeType = fc.integer({ min: 0, max: 0x3fff });

function uniqueAttributes<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<[number, Value][]> {
  return fc.uniqueArray(fc.tuple(attributeType, value), { selector: ([type]) => type, maxLength: 8 });
}

describe('attributes', () => {
  test('come back as they were written, behind any fixed part', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 16 }), uniqueAttributes(bytes), (fixed, attributes) => {
        const body = encodeBody(fixed, attributes);
        expect(body.length % 4).toBe(0);
        const decoded = decodeAttributes(body, align(fixed.length));
        expect(decoded.types().map((type) => [type, decoded.get(type)])).toEqual(attributes);
      }),
    );
  });

  test('hold numbers and nests', () => {
    fc.assert(
      fc.property(attributeType, uniqueAttributes(u32), (type, numbers) => {
        const decoded = decodeAttributes(encodeBody(new Uint8Array(0), [[type, numbers]]));
        const nest = decoded.nested(type);
        expect(nest.types().map((key) => [key, nest.u32(key)])).toEqual(numbers);
      }),
    );
  });

  test('are laid out as in linux/netlink.h', () => {
    const attributes: Attribute[] = [
      [3, encodeText('eth1')],
      [26, [[2, 0x01020304]]],
    ];
    const body = encodeBody(encodeFixed([2, 0, 0, 0], 7), attributes);
    expect(Buffer.from(body).toString('hex')).toBe(
      [
        '02000000',
        '07000000',
        '0900',
        '0300',
        '6574683100',
        '000000',
        '0c00',
        '1a00',
        '0800',
        '0200',
        '04030201',
      ].join(''),
    );
  });

  test('are known by their type whatever its flags', () => {
    const nestFlag = 0x8000;
    const decoded = decodeAttributes(encodeBody(new Uint8Array(0), [[nestFlag | 5, [[1, 9]]]]));
    expect(decoded.nested(5).u32(1)).toBe(9);
  });

  test('that are not there are undefined, or an empty nest', () => {
    const none = decodeAttributes(new Uint8Array(0));
    expect([none.get(1), none.u32(1), none.text(1), none.has(1)]).toEqual([
      undefined,
      undefined,
      undefined,
      false,
    ]);
    expect(none.nested(1).types()).toEqual([]);
  });

  test('text ends at its zero, or where the attribute does', () => {
    const written = [encodeText('eth1'), Buffer.from('eth1')].map((text, index) => [index, text] as const);
    const decoded = decodeAttributes(encodeBody(new Uint8Array(0), written));
    expect([decoded.text(0), decoded.text(1)]).toEqual(['eth1', 'eth1']);
  });

  test('of a type that comes twice the last counts', () => {
    const decoded = decodeAttributes(
      encodeBody(new Uint8Array(0), [
        [7, 1],
        [8, 2],
        [7, 3],
      ]),
    );
    expect([decoded.u32(7), decoded.u32(8)]).toEqual([3, 2]);
  });

  test('a number that is cut off is an AgentError, whatever lies behind it', () => {
    const decoded = decodeAttributes(
      encodeBody(new Uint8Array(0), [
        [7, Uint8Array.of(1, 2)],
        [8, 2],
      ]),
    );
    expect(() => decoded.u32(7)).toThrow(AgentError);
  });

  test.each([
    ['shorter than its own header', [3, 0, 1, 0]],
    ['longer than what is there', [9, 0, 1, 0, 0, 0, 0, 0]],
    ['cut off in its header', [8, 0, 1]],
    ['of no length', [0, 0, 0, 0]],
  ])('%s: an AgentError', (_name, attribute) => {
    expect(() => decodeAttributes(Uint8Array.from(attribute))).toThrow(AgentError);
  });
});

describe('messages', () => {
  const message = fc.record({ type: u16, flags: u16, body: bytes });
  const NLM_F_REQUEST = 0x01;

  test('come back as they were written, many in a datagram', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), u32, (messages, first) => {
        const numbered = messages.map((each, index) => ({
          ...each,
          flags: each.flags | NLM_F_REQUEST,
          // Behind the last number comes 0.
          sequence: (first + index) % 2 ** 32,
          port: 0,
          body: new Uint8Array(each.body),
        }));
        expect(splitMessages(encodeDatagram(messages, first))).toEqual(numbered);
      }),
    );
  });

  test('of random bytes are messages or an AgentError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (datagram) => {
        expectValueOrAgentError(() => splitMessages(datagram));
      }),
    );
  });

  test('numbers at the ends of their range are read as what they are', () => {
    const written = encodeFixed([], 0xffffffff, 0x80000000, 0x7fffffff);
    expect([readU32(written, 0), readU32(written, 4), readU32(written, 8)]).toEqual([
      0xffffffff, 0x80000000, 0x7fffffff,
    ]);
    expect([readS32(written, 0), readS32(written, 4)]).toEqual([-1, -0x80000000]);
    expect(() => readU32(written, 9)).toThrow(AgentError);
  });
});

function expectValueOrAgentError(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AgentError);
  }
}
