import { describe, expect, test } from 'vitest';
import { type Attribute, encodeBody, encodeFixed, encodeText } from '../../../src/kernel/codec.ts';
import { decodeLink } from '../../../src/kernel/links.ts';
import { LINK } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_LINK_NETNSID = 37;
const IFLA_PERM_ADDRESS = 54;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

function link(attributes: readonly Attribute[], name = 'eth9'): Uint8Array {
  return encodeBody(encodeFixed([0, 0, 1, 0], 9, 0, 0), [[IFLA_IFNAME, encodeText(name)], ...attributes]);
}

describe('a link', () => {
  test('is read from the message of a kernel', () => {
    expect(decodeLink(LINK)).toEqual({
      index: 4,
      ifname: 'eth1',
      mac: '02:00:00:00:00:02',
      permanentMac: null,
      up: true,
      mtu: 1400,
      kind: 'veth',
      masterIndex: null,
      lowerIndex: null,
      sysctls: { rp_filter: 2, arp_ignore: 1, arp_announce: 0, promote_secondaries: 0 },
    });
  });

  test.each(['', '.', '..', 'eth 1', 'eth1;reboot', 'ethé', 'a23456789012345x'])(
    'with the name %j is left out',
    (name) => {
      expect(decodeLink(link([], name))).toBeUndefined();
    },
  );

  test('has the MAC burnt into it beside the one that it uses', () => {
    const attributes: Attribute[] = [
      [IFLA_ADDRESS, MAC],
      [IFLA_PERM_ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 10)],
    ];
    expect(decodeLink(link(attributes))).toMatchObject({
      mac: '02:00:00:00:00:09',
      permanentMac: '02:00:00:00:00:0a',
    });
  });

  test.each([
    ['none', []],
    ['one of zeros, as loopback has', [[IFLA_ADDRESS, new Uint8Array(6)]]],
    ['one of 20 bytes, as InfiniBand has', [[IFLA_ADDRESS, new Uint8Array(20).fill(2)]]],
    ['one of 4 bytes, as tunnels have', [[IFLA_ADDRESS, Uint8Array.of(10, 0, 0, 1)]]],
  ] as [string, Attribute[]][])(
    'with a hardware address that is no MAC (%s) has none',
    (_name, attributes) => {
      expect(decodeLink(link(attributes))?.mac).toBeNull();
    },
  );

  const kind = (name: string): Attribute => [IFLA_LINKINFO, [[1, encodeText(name)]]];
  test.each([
    ['a VLAN is stacked on a link of this namespace', [kind('vlan'), [IFLA_LINK, 3]], 3],
    ['one of another namespace is not named', [kind('vlan'), [IFLA_LINK, 3], [IFLA_LINK_NETNSID, 0]], null],
    ['a link is not stacked on itself', [[IFLA_LINK, 9]], null],
    ['a tunnel over anything is stacked on nothing', [[IFLA_LINK, 0]], null],
    ['the other end of a veth is not below it', [kind('veth'), [IFLA_LINK, 3]], null],
  ] as [string, Attribute[], number | null][])('%s', (_name, attributes, lowerIndex) => {
    expect(decodeLink(link(attributes))?.lowerIndex).toBe(lowerIndex);
  });

  test('knows its master and its kind', () => {
    expect(decodeLink(link([[IFLA_MASTER, 2], kind('bridge')]))).toMatchObject({
      masterIndex: 2,
      kind: 'bridge',
    });
  });

  test('without IPv4 has sysctls of 0', () => {
    expect(decodeLink(link([]))?.sysctls).toEqual({
      rp_filter: 0,
      arp_ignore: 0,
      arp_announce: 0,
      promote_secondaries: 0,
    });
  });

  test('that is malformed is an AgentError', () => {
    expectToSurvive(decodeLink, [LINK, link([[IFLA_ADDRESS, MAC]])]);
  });
});
