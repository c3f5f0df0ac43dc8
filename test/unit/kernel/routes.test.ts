import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { addRouteRequest, decodeRoute, needsOnlink, removeRouteRequest } from '../../../src/kernel/routes.ts';
import type { Route } from '../../../src/model/host.ts';
import { defaultCidr, type Family } from '../../../src/model/net.ts';
import { ipAddress, linkIndex, network, u8, u32 } from './arbitraries.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

const PLAIN = { onlink: false };

/** `ip route add` with the name, on kernel 6.18. */
const CAPTURED = [
  [
    '10.0.1.0/24 of the kernel, for an address',
    4,
    '02180000fe02fd010000000008000f00fe000000080001000a000100080007000a0001040800040004000000',
    {
      table: 254,
      type: 'unicast',
      destination: '10.0.1.0/24',
      nexthops: [{ gateway: null, linkIndex: 4 }],
      metric: 0,
      protocol: 2,
      scope: 253,
    },
  ],
  [
    '10.5.0.0/16 table 21001 metric 7 nexthop via 10.0.1.1 weight 3 nexthop via 10.0.1.2',
    4,
    '02100000fcc400010000000008000f0009520000080001000a0500000800060007000000240009001000000204000000080005000a0001011000000004000000080005000a000102',
    {
      table: 21001,
      type: 'unicast',
      destination: '10.5.0.0/16',
      nexthops: [
        { gateway: '10.0.1.1', linkIndex: 4 },
        { gateway: '10.0.1.2', linkIndex: 4 },
      ],
      metric: 7,
      protocol: 196,
      scope: 0,
    },
  ],
  [
    '10.6.0.0/16 via inet6 fe80::1',
    4,
    '02100000fe0300010000000008000f00fe000000080001000a060000160012000a00fe80000000000000000000000000000100000800040004000000',
    {
      table: 254,
      type: 'unicast',
      destination: '10.6.0.0/16',
      nexthops: [{ gateway: 'fe80::1', linkIndex: 4 }],
      metric: 0,
      protocol: 3,
      scope: 0,
    },
  ],
  [
    '10.7.0.0/16 nhid 7',
    4,
    '02100000fe0300010000000008000f00fe000000080001000a07000008001e0007000000080005000a0001010800040004000000',
    {
      table: 254,
      type: 'unicast',
      destination: '10.7.0.0/16',
      nexthops: [{ gateway: '10.0.1.1', linkIndex: 4 }],
      metric: 0,
      protocol: 3,
      scope: 0,
    },
  ],
  [
    '10.8.0.0/16 tos 8',
    4,
    '02100008fe03fd010000000008000f00fe000000080001000a0800000800040004000000',
    {
      table: 254,
      type: 'other',
      destination: '10.8.0.0/16',
      nexthops: [{ gateway: null, linkIndex: 4 }],
      metric: 0,
      protocol: 3,
      scope: 253,
    },
  ],
  [
    'throw 172.17.0.0/16 table 21001',
    4,
    '02100000fc0300090000000008000f000952000008000100ac110000',
    {
      table: 21001,
      type: 'throw',
      destination: '172.17.0.0/16',
      nexthops: [],
      metric: 0,
      protocol: 3,
      scope: 0,
    },
  ],
  [
    'unreachable default metric 4294967295 table 21001',
    4,
    '02000000fc0300070000000008000f000952000008000600ffffffff',
    {
      table: 21001,
      type: 'unreachable',
      destination: '0.0.0.0/0',
      nexthops: [],
      metric: 4294967295,
      protocol: 3,
      scope: 0,
    },
  ],
  [
    'unreachable default metric 4294967295 table 21001: IPv6 says dev lo',
    6,
    '0a000000fc0300070000000008000f000952000008000600ffffffff080004000100000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    {
      table: 21001,
      type: 'unreachable',
      destination: '::/0',
      nexthops: [],
      metric: 4294967295,
      protocol: 3,
      scope: 0,
    },
  ],
  [
    '2001:db8:7::/48 nexthop via fe80::1 nexthop via fe80::2',
    6,
    '0a300000fe0300010000000008000f00fe0000001400010020010db800070000000000000000000008000600000400003c0009001c0000000400000014000500fe8000000000000000000000000000011c0000000400000014000500fe80000000000000000000000000000224000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    {
      table: 254,
      type: 'unicast',
      destination: '2001:db8:7::/48',
      nexthops: [
        { gateway: 'fe80::1', linkIndex: 4 },
        { gateway: 'fe80::2', linkIndex: 4 },
      ],
      metric: 1024,
      protocol: 3,
      scope: 0,
    },
  ],
] as const satisfies readonly [string, Family, string, object][];

function anyRoute(family: Family): fc.Arbitrary<Route> {
  const gateway = fc.option(family === 4 ? fc.oneof(ipAddress(4), ipAddress(6)) : ipAddress(6));
  const common = {
    family: fc.constant(family),
    table: u32.filter((table) => table !== 255 && table !== 0),
    destination: network(family),
    // IPv6 has no metric of 0: it becomes 1024.
    metric: family === 4 ? u32 : fc.integer({ min: 1, max: 0xffffffff }),
    protocol: u8,
    scope: u8,
  };
  return fc.oneof(
    fc.record({
      ...common,
      type: fc.constant('unicast' as const),
      nexthops: fc.array(fc.record({ gateway, linkIndex }), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      ...common,
      type: fc.constantFrom('throw', 'unreachable', 'blackhole', 'prohibit'),
      nexthops: fc.constant([]),
    }),
  );
}

const OURS: Route = {
  family: 4,
  table: 21001,
  type: 'unicast',
  destination: defaultCidr(4),
  nexthops: [{ gateway: '10.0.1.1' as Route['nexthops'][number]['gateway'], linkIndex: 4 }],
  metric: 0,
  protocol: 196,
  scope: 0,
};

describe('a route', () => {
  test.each(CAPTURED)('is read from the message of a kernel: %s', (_name, family, hex, expected) => {
    expect(decodeRoute(fromHex(hex), family)).toEqual({ family, ...expected });
  });

  test.each([
    [
      'of table local',
      '02200000ff02fe020000000008000f00ff000000080001000a000104080007000a0001040800040004000000',
    ],
    ['cached', '02180000fe02fd010002000008000f00fe000000080001000a000100080007000a0001040800040004000000'],
  ])('%s is left out', (_name, hex) => {
    expect(decodeRoute(fromHex(hex), 4)).toBeUndefined();
  });

  test('has the table of the header where a kernel gives no attribute', () => {
    expect(decodeRoute(fromHex('021800000702fd0100000000080001000a000100'), 4)?.table).toBe(7);
  });

  test.each<Family>([4, 6])('of IPv%i is written as it is read', (family) => {
    fc.assert(
      fc.property(anyRoute(family), (route) => {
        expect(decodeRoute(addRouteRequest(route, PLAIN).body, family)).toEqual(route);
        expect(decodeRoute(removeRouteRequest(route).body, family)).toEqual(route);
      }),
    );
  });

  test('of type other is nothing that can be changed', () => {
    const other: Route = { ...OURS, type: 'other' };
    expect(() => addRouteRequest(other, PLAIN)).toThrow(AgentError);
    expect(() => removeRouteRequest(other)).toThrow(AgentError);
  });

  test('is declared on the link only where there is a gateway', () => {
    const flagsOf = (route: Route) => addRouteRequest(route, { onlink: true }).body[8];
    expect(flagsOf(OURS)).toBe(4);
    expect(flagsOf({ ...OURS, nexthops: [{ gateway: null, linkIndex: 4 }] })).toBe(0);
    expect(flagsOf({ ...OURS, type: 'throw', nexthops: [] })).toBe(0);
    expect(addRouteRequest(OURS, PLAIN).body[8]).toBe(0);
  });

  test('that is malformed is an AgentError', () => {
    for (const [, family, hex] of CAPTURED)
      expectToSurvive((body) => decodeRoute(body, family), [fromHex(hex)]);
  });
});

test.each([
  ['3.10.0-1160.119.1.el7.x86_64', true],
  ['4.3.9', true],
  ['4.4.0-210-generic', false],
  ['4.18.0-553.el8_10.x86_64', false],
  ['5.4.119-19.0009.tl3', false],
  ['6.18.44', false],
  ['10.0.0', false],
])('kernel %s needs onlink: %s', (release, expected) => {
  expect(needsOnlink(release)).toBe(expected);
});
