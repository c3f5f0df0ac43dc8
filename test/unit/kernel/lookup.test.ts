import { describe, expect, test } from 'vitest';
import { decodeWay, matchedRoute } from '../../../src/kernel/lookup.ts';
import type { Flow } from '../../../src/model/lookup.ts';
import { ip } from '../builders.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

const OUTSIDE: Flow = { destination: ip('1.1.1.1'), source: ip('10.0.1.4'), input: null };
const OUTSIDE6: Flow = { destination: ip('2001:db8:ff::1'), source: ip('2001:db8:1::4'), input: null };
const OWN6: Flow = { destination: ip('2001:db8:1::4'), source: null, input: null };

/** Answers of kernel 6.18 to RTM_GETROUTE; without RTM_F_LOOKUP_TABLE it answers as those before 4.4 do. */
const WAYS = [
  [
    'by a table, as an old kernel tells it',
    OUTSIDE,
    '02202000fe0000010002000008000f00fe0000000800010001010101080002000a0001040800040003000000080005000a000101080019000000000024000c000200000000000000000000000000000000000000000000000000000000000000',
    { type: 'unicast', linkIndex: 3, gateway: '10.0.1.1', source: null, table: null },
  ],
  [
    'by the same table, told',
    OUTSIDE,
    '02202000fc0000010002000008000f00095200000800010001010101080002000a0001040800040003000000080005000a000101080019000000000024000c000200000000000000000000000000000000000000000000000000000000000000',
    { type: 'unicast', linkIndex: 3, gateway: '10.0.1.1', source: null, table: 21001 },
  ],
  [
    'to a neighbour, unbound',
    { destination: ip('10.0.1.7'), source: null, input: null },
    '02200000fe0000010002000008000f00fe000000080001000a0001070800040003000000080007000a000104080019000000000024000c000200000000000000000000000000000000000000000000000000000000000000',
    { type: 'unicast', linkIndex: 3, gateway: null, source: '10.0.1.4', table: null },
  ],
  [
    'by an IPv6 gateway',
    { destination: ip('9.9.9.9'), source: null, input: null },
    '02200000fe0000010002000008000f00fe00000008000100090909090800040003000000080007000a000104160012000a00fe8000000000000000000000000000010000080019000000000024000c000200000000000000000000000000000000000000000000000000000000000000',
    { type: 'unicast', linkIndex: 3, gateway: 'fe80::1', source: '10.0.1.4', table: null },
  ],
  [
    'to an address of its own',
    { destination: ip('10.0.1.4'), source: null, input: null },
    '02200000ff0000020002008008000f00ff000000080001000a0001040800040001000000080007000a000104080019000000000024000c000100000000000000000000000000000000000000000000000000000000000000',
    { type: 'local', linkIndex: 1, gateway: null, source: '10.0.1.4', table: 255 },
  ],
  [
    'of IPv6, which tells the table unasked',
    OUTSIDE6,
    '0a808000fc0300010000000008000f00095200001400010020010db800ff000000000000000000011400020020010db80001000000000000000000041400070020010db8000100000000000000000004080006000004000014000500fe800000000000000000000000000001080004000300000024000c0002000000000000000000000000000000000000000000000000000000000000000500140000000000',
    { type: 'unicast', linkIndex: 3, gateway: 'fe80::1', source: '2001:db8:1::4', table: 21001 },
  ],
] as const;

const MATCHES = [
  [
    'the default of a table',
    OUTSIDE,
    '02000000fc0300010000000008000f0009520000080005000a0001010800040003000000',
    { table: 21001, route: '0.0.0.0/0' },
  ],
  [
    'a connected network of main',
    { destination: ip('10.0.1.7'), source: null, input: null },
    '02180000fe02fd010000000008000f00fe000000080001000a000100080007000a0001040800040003000000',
    { table: 254, route: '10.0.1.0/24' },
  ],
  [
    'the IPv6 default of a table',
    OUTSIDE6,
    '0a000000fc0300010000000008000f0009520000080006000004000014000500fe800000000000000000000000000001080004000300000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    { table: 21001, route: '::/0' },
  ],
  [
    'an IPv6 address of its own',
    OWN6,
    '0a800000ff0200020000000008000f00ff0000001400010020010db80001000000000000000000040800060000000000080004000300000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    { table: 255, route: '2001:db8:1::4/128' },
  ],
] as const;

describe('the way of a packet', () => {
  test.each(WAYS)('is read from the answer of a kernel: %s', (_name, flow, hex, expected) => {
    expect(decodeWay(fromHex(hex), flow)).toEqual({ kind: 'way', route: null, ...expected });
  });

  test('that is malformed is an AgentError', () => {
    for (const [, flow, hex] of WAYS) expectToSurvive((body) => decodeWay(body, flow), [fromHex(hex)]);
  });
});

describe('the route that it came from', () => {
  test.each(MATCHES)('is read from the answer of a kernel: %s', (_name, flow, hex, expected) => {
    expect(matchedRoute(fromHex(hex), flow)).toEqual(expected);
  });

  test('is not known where an old kernel answers with the way again', () => {
    const [[, flow, hex]] = WAYS;
    expect(matchedRoute(fromHex(hex), flow)).toEqual({});
    const [, , , , , [, flow6, hex6]] = WAYS;
    expect(matchedRoute(fromHex(hex6), flow6)).toEqual({ table: 21001, route: null });
  });

  test('that is malformed is an AgentError', () => {
    for (const [, flow, hex] of MATCHES) expectToSurvive((body) => matchedRoute(body, flow), [fromHex(hex)]);
  });
});
