import { describe, expect, test } from 'vitest';
import { describeRule } from '../../../src/explain/describe.ts';
import { decodeRuleDetails } from '../../../src/kernel/rule-details.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

/** `ip rule add` with the name, on kernel 6.18. */
const CAPTURED = [
  [
    'from 10.0.1.4 lookup 21001',
    '02002000fc0000010000000008000f000952000008000e00ffffffff05001500c40000000800060009520000080002000a000104',
    {},
  ],
  [
    'from all oif eth1 lookup 21001',
    '02000000fc0000010000000008000f000952000008000e00ffffffff05001500000000000900110065746831000000000800060009520000',
    { outputInterface: 'eth1' },
  ],
  [
    'from 10.0.0.0/8 lookup main suppress_prefixlength 0',
    '02000800fe0000010000000008000f00fe00000008000e00000000000500150000000000080006005a000000080002000a000000',
    { suppressPrefixLength: 0 },
  ],
  [
    'from all goto 93',
    '02000000000000020000000008000f000000000008000e00ffffffff05001500000000000800060050000000080004005d000000',
    { action: 'goto', target: 93 },
  ],
  [
    'from all fwmark 0x7 lookup 5',
    '02000000050000010000000008000f000500000008000e00ffffffff0500150000000000080006005b00000008000a000700000008001000ffffffff',
    { mark: { value: 7, mask: 0xffffffff } },
  ],
  [
    'not from 10.1.0.0/16 lookup 5',
    '02001000050000010200000008000f000500000008000e00ffffffff0500150000000000080006005c000000080002000a010000',
    { inverted: true },
  ],
  [
    'from 10.2.0.0/16 prohibit',
    '02001000000000080000000008000f000000000008000e00ffffffff0500150000000000080006005d000000080002000a020000',
    { action: 'prohibit' },
  ],
  [
    'from all iif eth1 lookup 5',
    '02000000050000010000000008000f000500000008000e00ffffffff0500150000000000090003006574683100000000080006005e000000',
    { inputInterface: 'eth1' },
  ],
  [
    'from all to 10.3.0.0/16 lookup 5',
    '02100000050000010000000008000f000500000008000e00ffffffff0500150000000000080006005f000000080001000a030000',
    { destination: '10.3.0.0/16' },
  ],
  [
    'from all ipproto tcp dport 80 lookup 5',
    '02000000050000010000000008000f000500000008000e00ffffffff05001500000000000800060060000000080018005000500006001d00ffff00000500160006000000',
    { special: ['ipproto tcp', 'dport 80'] },
  ],
  [
    'from all l3mdev lookup of the VRF',
    '02000000000000010000000008000f000000000008000e00ffffffff050015000000000008000600610000000500130001000000',
    { special: ['l3mdev'] },
  ],
  [
    'from all tos 8 lookup 5',
    '02000008050000010000000008000f000500000008000e00ffffffff05001500000000000800060063000000',
    { special: ['tos 8'] },
  ],
  [
    'from all … lookup 5',
    '02000000050000010000000008000f000500000008000e00ffffffff08006300000000000800060063000000',
    { opaque: true },
  ],
] as const;

const PLAIN = {
  action: 'table',
  target: null,
  inverted: false,
  destination: null,
  inputInterface: null,
  mark: null,
  uids: null,
  special: [],
  suppressPrefixLength: null,
  opaque: false,
};

describe('a rule with all that it selects by', () => {
  test.each(CAPTURED)('is read from the message of a kernel, and said back: %s', (text, hex, expected) => {
    const rule = decodeRuleDetails(fromHex(hex), 4);
    expect(rule).toMatchObject({ ...PLAIN, ...expected });
    expect(describeRule(rule)).toBe(text);
  });

  test('that is malformed is an AgentError', () => {
    for (const [, hex] of CAPTURED) expectToSurvive((body) => decodeRuleDetails(body, 4), [fromHex(hex)]);
  });
});
