import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addAddressRequest,
  decodeKernelAddress,
  removeAddressRequest,
} from '../../../src/kernel/addresses.ts';
import { decodeAttributes } from '../../../src/kernel/codec.ts';
import { type Family, familyOf, type IpAddress } from '../../../src/model/net.ts';
import { ipAddress, linkIndex } from './arbitraries.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

const CAPTURED = [
  [
    '10.0.1.4/24 with the label eth1:v',
    4,
    '0218800004000000080001000a000104080002000a000104080004000a0001ff0b000300657468313a760000080008008000000014000600ffffffffffffffffcdff0300cdff0300',
    { linkIndex: 4, address: '10.0.1.4', prefixLength: 24, scope: 'global', duplicate: false },
  ],
  [
    'the same, leased for a day',
    4,
    '0218000004000000080001000a000104080002000a000104080004000a0001ff0b000300657468313a7600000800080000000000140006008051010080510100cdff0300cdff0300',
    {
      linkIndex: 4,
      address: '10.0.1.4',
      prefixLength: 24,
      scope: 'global',
      duplicate: false,
      leased: true,
    },
  ],
  [
    '10.0.1.5 with the peer 10.0.9.9/32: ours is the local one',
    4,
    '0220800004000000080001000a000909080002000a000105090003006574683100000000080008008000000014000600ffffffffffffffffceff0300ceff0300',
    { linkIndex: 4, address: '10.0.1.5', prefixLength: 32, scope: 'global', duplicate: false },
  ],
  [
    '127.0.0.1/8 on lo',
    4,
    '020880fe01000000080001007f000001080002007f000001070003006c6f0000080008008000000014000600ffffffffffffffffcaff0300caff0300',
    { linkIndex: 1, address: '127.0.0.1', prefixLength: 8, scope: 'other', duplicate: false },
  ],
  [
    '2001:db8::4/64, never preferred',
    6,
    '0a40a200040000001400010020010db80000000000000000000000041400060000000000ffffffffcfff0300cfff030008000800a2000000',
    { linkIndex: 4, address: '2001:db8::4', prefixLength: 64, scope: 'global', duplicate: false },
  ],
  [
    'a link-local address',
    6,
    '0a40c0fd0400000014000100fe80000000000000000000fffe00000214000600ffffffffffffffffccff0300ccff030008000800c000000005000b0003000000',
    { linkIndex: 4, address: 'fe80::ff:fe00:2', prefixLength: 64, scope: 'other', duplicate: false },
  ],
  [
    'an address that another host has: dadfailed, and tentative for good',
    6,
    '0a40c800040000001400010020010db800000000000000000000000414000600ffffffffffffffffcfff0300cfff030008000800c8000000',
    { linkIndex: 4, address: '2001:db8::4', prefixLength: 64, scope: 'global', duplicate: true },
  ],
] as const satisfies readonly [string, Family, string, object][];

describe('an address', () => {
  test.each(CAPTURED)('is read from the message of a kernel: %s', (_name, family, hex, expected) => {
    expect(decodeKernelAddress(fromHex(hex), family)).toEqual(expected);
  });

  test('is added and removed under the same name', () => {
    const families = fc.constantFrom<Family>(4, 6);
    const args = families.chain((family) =>
      fc.record({
        address: ipAddress(family),
        prefixLength: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
        linkIndex,
        deprecated: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(args, (each) => {
        const { deprecated: _, ...named } = each;
        for (const { body } of [addAddressRequest(each), removeAddressRequest(each)])
          expect(decodeKernelAddress(body, familyOf(each.address))).toEqual({
            ...named,
            scope: 'global',
            duplicate: false,
            // What we ask for does not say so; the kernel marks what stays.
            leased: true,
          });
      }),
    );
  });

  const IFA_BROADCAST = 4;
  test.each([
    ['10.0.1.4', 24, [10, 0, 1, 255]],
    ['10.1.130.7', 17, [10, 1, 255, 255]],
    ['10.0.1.4', 30, [10, 0, 1, 7]],
    ['10.0.1.4', 31, undefined],
    ['10.0.1.4', 32, undefined],
    ['2001:db8::4', 24, undefined],
  ])('%s/%i is broadcast to at %j', (address, prefixLength, broadcast) => {
    const args = { address: address as IpAddress, prefixLength, linkIndex: 4, deprecated: false };
    const sent = decodeAttributes(addAddressRequest(args).body, 8).get(IFA_BROADCAST);
    expect(sent === undefined ? undefined : [...sent]).toEqual(broadcast);
  });

  test('that is malformed is an AgentError', () => {
    for (const [, family, hex] of CAPTURED)
      expectToSurvive((body) => decodeKernelAddress(body, family), [fromHex(hex)]);
  });
});
