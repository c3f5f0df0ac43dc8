import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAttributes } from '../../../src/kernel/codec.ts';
import { addRuleRequest, decodeRule, removeRuleRequest } from '../../../src/kernel/rules.ts';
import { ALL_BITS } from '../../../src/model/mark.ts';
import type { Family } from '../../../src/model/net.ts';
import { network, u8, u32 } from './arbitraries.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

const FRA_PROTOCOL = 21;

/** `ip rule add` with the name, on kernel 6.18. */
const PLAIN = [
  [
    'from 10.0.1.4 lookup 21001 priority 21001 protocol 196',
    '02002000fc0000010000000008000f000952000008000e00ffffffff05001500c40000000800060009520000080002000a000104',
    { priority: 21001, table: 21001, source: '10.0.1.4/32', outputInterface: null, protocol: 196 },
  ],
  [
    'oif eth1 lookup 21001 priority 21001',
    '02000000fc0000010000000008000f000952000008000e00ffffffff05001500000000000900110065746831000000000800060009520000',
    { priority: 21001, table: 21001, source: null, outputInterface: 'eth1', protocol: 0 },
  ],
  [
    'from all lookup local priority 0',
    '02000000ff0000010000000008000f00ff00000008000e00ffffffff0500150002000000',
    { priority: 0, table: 255, source: null, outputInterface: null, protocol: 2 },
  ],
  [
    'fwmark 0x7e/0x7f lookup 21001 priority 21001 protocol 196',
    '02000000fc0000010000000008000f000952000008000e00ffffffff05001500c4000000080006000952000008000a007e000000080010007f000000',
    {
      priority: 21001,
      table: 21001,
      source: null,
      outputInterface: null,
      mark: { value: 0x7e, mask: 0x7f },
      protocol: 196,
    },
  ],
  [
    'fwmark 0/0xff lookup 5 priority 99',
    '02000000050000010000000008000f000500000008000e00ffffffff0500150000000000080006006300000008001000ff000000',
    {
      priority: 99,
      table: 5,
      source: null,
      outputInterface: null,
      mark: { value: 0, mask: 0xff },
      protocol: 0,
    },
  ],
] as const;

const FOREIGN = [
  [
    'suppress_prefixlength 0',
    '02000800fe0000010000000008000f00fe00000008000e00000000000500150000000000080006005a000000080002000a000000',
  ],
  [
    'goto 93',
    '02000000000000020000000008000f000000000008000e00ffffffff05001500000000000800060050000000080004005d000000',
  ],
  [
    'fwmark 7',
    '02000000050000010000000008000f000500000008000e00ffffffff0500150000000000080006005b00000008000a000700000008001000ffffffff',
  ],
  [
    'not from 10.1.0.0/16',
    '02001000050000010200000008000f000500000008000e00ffffffff0500150000000000080006005c000000080002000a010000',
  ],
  [
    'prohibit from 10.2.0.0/16',
    '02001000000000080000000008000f000000000008000e00ffffffff0500150000000000080006005d000000080002000a020000',
  ],
  [
    'iif eth1',
    '02000000050000010000000008000f000500000008000e00ffffffff0500150000000000090003006574683100000000080006005e000000',
  ],
  [
    'to 10.3.0.0/16',
    '02100000050000010000000008000f000500000008000e00ffffffff0500150000000000080006005f000000080001000a030000',
  ],
  [
    'ipproto tcp dport 80',
    '02000000050000010000000008000f000500000008000e00ffffffff05001500000000000800060060000000080018005000500006001d00ffff00000500160006000000',
  ],
  [
    'l3mdev',
    '02000000000000010000000008000f000000000008000e00ffffffff050015000000000008000600610000000500130001000000',
  ],
  ['tos 8', '02000008050000010000000008000f000500000008000e00ffffffff05001500000000000800060063000000'],
  [
    'an attribute of a later kernel',
    '02000000050000010000000008000f000500000008000e00ffffffff08006300000000000800060063000000',
  ],
] as const;

const anyRule = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc.record({
    family: fc.constant(family),
    priority: u32,
    table: u32.filter((table) => table > 0),
    source: fc.option(network(family)),
    outputInterface: fc.option(fc.stringMatching(/^[a-z0-9_.-]{1,15}$/)),
    mark: fc.option(fc.record({ value: u32, mask: u32.filter((mask) => mask > 0 && mask < ALL_BITS) })),
    protocol: u8,
  }),
);

describe('a rule', () => {
  test.each(PLAIN)('is read from the message of a kernel: %s', (_name, hex, expected) => {
    expect(decodeRule(fromHex(hex), 4)).toEqual({ family: 4, foreign: false, mark: null, ...expected });
  });

  test.each(FOREIGN)('with %s is foreign', (_name, hex) => {
    expect(decodeRule(fromHex(hex), 4).foreign).toBe(true);
  });

  test('is added as it is read, and removed whoever made it', () => {
    fc.assert(
      fc.property(anyRule, (rule) => {
        expect(decodeRule(addRuleRequest(rule).body, rule.family)).toEqual({ ...rule, foreign: false });
        const { body } = removeRuleRequest(rule);
        expect(decodeRule(body, rule.family)).toEqual({ ...rule, protocol: 0, foreign: false });
        expect(decodeAttributes(body, 12).has(FRA_PROTOCOL)).toBe(false);
      }),
    );
  });

  test('that is malformed is an AgentError', () => {
    for (const [, hex] of [...PLAIN, ...FOREIGN])
      expectToSurvive((body) => decodeRule(body, 4), [fromHex(hex)]);
  });
});
