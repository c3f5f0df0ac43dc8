import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  capacityOf,
  formatMark,
  isTagOf,
  jumpTag,
  markOfSlot,
  marksOfNft,
  marksOfXtables,
  markTag,
} from '../../../src/model/mark.ts';
import type { IfName } from '../../../src/model/net.ts';

const anyMask = fc.integer({ min: 0xf, max: 0xffff_fffe }).filter((mask) => capacityOf(mask) >= 15);
const anyMark = fc.record({
  family: fc.constantFrom<4 | 6>(4, 6),
  ifname: fc.stringMatching(/^[a-z][a-z0-9_.-]{0,14}$/).map((name) => name as IfName),
  value: fc.integer({ min: 1, max: 0xffff_ffff }),
  mask: fc.integer({ min: 1, max: 0xffff_ffff }),
});

describe('the marks of slots', () => {
  test('begin with all bits and count down', () => {
    const marks = [0, 1, 2, 126, 127].map((slot) => formatMark(markOfSlot(slot, 0x7f)));
    expect(marks).toEqual(['0x7f/0x7f', '0x7e/0x7f', '0x7d/0x7f', '0x1/0x7f', '0x7f/0x7f']);
    expect(markOfSlot(3, 0xf000_0000)).toEqual({ value: 0xc000_0000, mask: 0xf000_0000 });
    expect([0, 1, 2, 3].map((slot) => markOfSlot(slot, 0b1010_0101).value)).toEqual([
      0b1010_0101, 0b1010_0100, 0b1010_0001, 0b1010_0000,
    ]);
  });

  test('are within the mask, never 0, and different until the mask is used up', () => {
    fc.assert(
      fc.property(anyMask, fc.nat(254), (mask, slot) => {
        const { value } = markOfSlot(slot, mask);
        expect((value & mask) >>> 0).toBe(value);
        expect(value).toBeGreaterThan(0);
        const others = Array.from(
          { length: Math.min(slot, capacityOf(mask) - 1) },
          (_, index) => slot - 1 - index,
        );
        expect(others.map((other) => markOfSlot(other, mask).value)).not.toContain(value);
      }),
    );
  });
});

describe('the tag of a mark', () => {
  test('is known by its family, also when it is of another form of the rules', () => {
    const ours = ['eni-agent:1:4:eth1:7e:7f', 'eni-agent:2:4:eth1', 'eni-agent:jump:4'];
    const others = ['eni-agent:1:6:eth1:7e:7f', 'eni-agent:jump:6', 'sshd'];
    expect([...ours, ...others].filter((tag) => isTagOf(4, tag))).toEqual(ours);
  });

  test('says all of it, in the comments of nft and in the names of lists', () => {
    fc.assert(
      fc.property(anyMark, (mark) => {
        const tag = markTag(mark);
        expect(marksOfNft(['somebody else', tag, tag])).toEqual([mark]);
        expect(marksOfXtables([jumpTag(mark.family), tag, 'sshd'])).toEqual([mark]);
      }),
    );
  });

  test('of a mark of which a rule or the jump is missing is that of a mark that nobody wants', () => {
    const mark = { family: 4, ifname: 'eth1' as IfName, value: 0x7e, mask: 0x7f } as const;
    expect(marksOfNft([markTag(mark)])).toEqual([{ ...mark, value: 0 }]);
    expect(marksOfXtables([markTag(mark), jumpTag(6)])).toEqual([{ ...mark, value: 0 }]);
  });

  test.each([
    'eni-agent:2:4:eth1:7e:7f',
    'eni-agent:1:5:eth1:7e:7f',
    'eni-agent:1:4:e/1:7e:7f',
    'eni-agent:jump:4',
  ])('%s is none', (tag) => {
    expect(marksOfNft([tag, tag])).toEqual([]);
  });
});
