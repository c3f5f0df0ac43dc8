/** Each trap of network-scripts, in a file set that is right without it. */
import { describe, expect, test } from 'vitest';
import { readNetworkScripts } from '../../distribution/network-scripts.ts';
import { changing, fixtureFolder, LINKS } from './fixture.ts';

const POLICY = fixtureFolder('network-scripts/policy');
const IPV6 = fixtureFolder('network-scripts/ipv6');
const IFCFG = 'ifcfg-eth1';
const ADDRESSES = ['10.0.1.4/24', '10.0.1.5/24', '10.0.1.6/24'];

type Change = (text: string) => string;

function read(file: string, change: Change, release: 7 | 8 = 7, folder = POLICY) {
  const [first, ...others] = readNetworkScripts(changing(folder, file, change), LINKS, { release });
  if (first === undefined) throw new Error('no interface');
  return { ...first, others };
}

const without = (index: number) => (text: string) =>
  text.replaceAll(new RegExp(`^(?:IPADDR|PREFIX|ARPCHECK|ARPUPDATE)${index}=.*\n`, 'gm'), '');

test.each<[string, Change]>([
  ['quotes, comments and blanks', (text) => text.replace('10.0.1.5', '"10.0.1.5"  # the second')],
  [
    'upper case in HWADDR',
    (text) =>
      text
        .replace('HWADDR=02', "HWADDR='02'")
        .toUpperCase()
        .replaceAll('NONE', 'none')
        .replaceAll('ETH', 'eth')
        .replaceAll('ethERNET', 'Ethernet'),
  ],
  ['no HWADDR', (text) => text.replace(/HWADDR=.*\n/, '')],
  ['NETMASK', (text) => text.replace('PREFIX1=24', 'NETMASK1=255.255.255.0')],
  ['a continued line', (text) => text.replace('IPADDR1=', 'IPADDR1=\\\n')],
  ['firewalld', (text) => `${text}ZONE=trusted\nUSERCTL=no\n`],
])('%s mean the same', (_, change) => {
  expect(read(IFCFG, change)).toEqual(read(IFCFG, (text) => text));
});

describe('an ifcfg file', () => {
  test('without IPADDR0 or IPADDR1 goes on, and ends at a later gap', () => {
    expect(read(IFCFG, without(0)).addresses).toEqual(ADDRESSES.slice(1));
    expect(read(IFCFG, without(1)).addresses).toEqual([ADDRESSES[0], ADDRESSES[2]]);
    const gap = read(IFCFG, (text) => text.replaceAll(/(?<=[A-Z])2=/g, '3='));
    expect(gap.addresses).toEqual(ADDRESSES.slice(0, 2));
    expect(gap.complaints).toEqual(['beyond the end of the list: IPADDR3 PREFIX3 ARPCHECK3 ARPUPDATE3']);
  });

  test('reads no further than IPADDR255', () => {
    const list = Array.from(
      { length: 257 },
      (_, index) =>
        `IPADDR${index}=10.1.${index >> 8}.${index & 255}\nPREFIX${index}=16\nARPCHECK${index}=no\nARPUPDATE${index}=no\n`,
    ).join('');
    const { addresses, complaints } = read(IFCFG, (text) => without(2)(without(1)(without(0)(text))) + list);
    expect(addresses).toHaveLength(256);
    expect(complaints[0]).toContain('beyond the end of the list: IPADDR256');
  });

  test('without a PREFIX has it guessed: the class on 7, /32 on 8', () => {
    const change: Change = (text) => text.replace('PREFIX1=24\n', '');
    expect(read(IFCFG, change, 7)).toMatchObject({ addresses: ['10.0.1.4/24', '10.0.1.5/8', '10.0.1.6/24'] });
    expect(read(IFCFG, change, 8)).toMatchObject({
      addresses: ['10.0.1.4/24', '10.0.1.5/32', '10.0.1.6/24'],
    });
    expect(read(IFCFG, change).complaints).toEqual(['PREFIX1 is guessed']);
  });

  test('with GATEWAY takes the default route, unless DEFROUTE is no', () => {
    const change: Change = (text) => `${text}GATEWAY=10.0.1.1\n`;
    const takes = (text: string): string => change(text).replace('DEFROUTE=no\n', '');
    expect(read(IFCFG, change).routes).toEqual(read(IFCFG, (text) => text).routes);
    expect(read(IFCFG, takes).routes).toContain('default via 10.0.1.1 dev eth1 table 254');
  });

  test('without NOZEROCONF hides the metadata service', () => {
    const { routes } = read(IFCFG, (text) => text.replace('NOZEROCONF=yes\n', ''));
    expect(routes).toContain('169.254.0.0/16 dev eth1 table 254');
  });

  test.each<[string, Change, string]>([
    ['another HWADDR', (text) => text.replace('00:02', '00:03'), 'different MAC'],
    ['another DEVICE', (text) => text.replace('DEVICE=eth1', 'DEVICE=eth2'), 'there is no eth2'],
    ['ONBOOT=no', (text) => text.replace('ONBOOT=yes', 'ONBOOT=no'), 'ONBOOT is no'],
    ['DHCP', (text) => text.replace('=none', '=dhcp'), 'lease'],
    ['a bridge', (text) => text.replace('=Ethernet', '=Bridge'), 'Ethernet'],
    ['no ARPCHECK1', (text) => text.replace('ARPCHECK1=no\n', ''), 'ARPCHECK1 is not no'],
    [
      'ARPCHECK without a number',
      (text) => text.replace('ARPCHECK1=no', 'ARPCHECK=no'),
      'ARPCHECK1 is not no',
    ],
    ['no ARPUPDATE2', (text) => text.replace('ARPUPDATE2=no\n', ''), 'ARPUPDATE2 is not no'],
    ['a bad address', (text) => text.replace('10.0.1.5', '10.0.1.256'), 'Error adding address 10.0.1.256'],
    ['octal', (text) => text.replace('10.0.1.5', '10.0.1.05'), 'Error adding address 10.0.1.05'],
    ['a bad prefix', (text) => text.replace('PREFIX1=24', 'PREFIX1=33'), 'Error adding address 10.0.1.5'],
    ['GATEWAY0', (text) => `${text}GATEWAY0=10.0.1.1\n`, 'nobody reads GATEWAY0'],
    ['a misspelt name', (text) => text.replace('PEERDNS', 'PERDNS'), 'nobody reads PERDNS'],
    ['an eval', (text) => text.replace('PREFIX1=24', "PREFIX1='24;reboot'"), 'evaluated again'],
    ['a command', (text) => `${text}reboot\n`, 'runs a command'],
    ['a bad MTU', (text) => `${text}MTU=9k\n`, 'no MTU: 9k'],
    ['CRLF', (text) => text.replaceAll('\n', '\r\n'), 'evaluated again'],
    ['IPv6 that is off', (text) => `${text}IPV6ADDR=2001:db8::4/64\n`, 'IPV6INIT is no'],
  ])('with %s is not right', (_, change, words) => {
    expect(read(IFCFG, change).complaints).toContainEqual(expect.stringContaining(words));
  });
});

describe('IPv6', () => {
  test('is added in the order of the file, /64 where it says nothing', () => {
    const { addresses } = read(IFCFG, (text) => text.replace('::5/64', '::5'), 7, IPV6);
    expect(addresses).toEqual(['10.0.1.4/24', '2001:db8:1::4/64', '2001:db8:1::5/64', '2001:db8:1::6/64']);
  });

  test.each<[string, Change, string]>([
    ['autoconfiguration', (text) => text.replace('IPV6_AUTOCONF=no\n', ''), 'routers advertise'],
    ['an IPv4 address', (text) => text.replace('2001:db8:1::5/64', '10.0.1.9/24'), 'no IPv6 address'],
    ['a secondary list without quotes', (text) => text.replaceAll('"', ''), 'runs a command'],
  ])('with %s is not right', (_, change, words) => {
    expect(read(IFCFG, change, 8, IPV6).complaints).toContainEqual(expect.stringContaining(words));
  });
});

describe('a route or rule file', () => {
  test.each<[string, string, Change]>([
    ['comments, blanks, an empty line', 'route-eth1', (text) => `  # ours\n\n\t${text}`],
    ['no line end', 'rule-eth1', (text) => text.trimEnd()],
    ['a protocol of routes', 'route-eth1', (text) => text.replaceAll('21001\n', '21001 proto 196\n')],
    [
      'other spellings',
      'rule-eth1',
      (text) => text.replaceAll('table', 'lookup').replaceAll('priority', 'pref'),
    ],
    ['a continued line', 'route-eth1', (text) => text.replace('via 10', 'via \\\n10')],
  ])('with %s means the same', (_, file, change) => {
    expect(read(file, change)).toEqual(read(file, (text) => text));
  });

  test('with a protocol of rules fails on 7 alone', () => {
    const change: Change = (text) => text.replaceAll('21001\n', '21001 protocol 196\n');
    expect(read('rule-eth1', change, 8).complaints).toEqual([]);
    expect(read('rule-eth1', change, 7)).toMatchObject({
      rules: [],
      complaints: Array(4).fill('rule-eth1: "protocol" is a garbage'),
    });
  });

  test('of the interface and of the nickname are both read', () => {
    const renamed = new Map([...POLICY].map(([name, text]) => [name.replace(IFCFG, 'ifcfg-lan'), text]));
    expect(readNetworkScripts(renamed, LINKS, { release: 8 })[0]?.rules).toHaveLength(4);
  });

  test.each<[string, string, Change, string]>([
    [
      'a trailing comment',
      'route-eth1',
      (text) => text.replace('21001\n', '21001 # ours\n'),
      '"#" is a garbage',
    ],
    ['CRLF', 'route-eth1', (text) => text.replaceAll('\n', '\r\n'), 'no number of a table'],
    ['CRLF', 'rule-eth1', (text) => text.replaceAll('\n', '\r\n'), 'no priority'],
    ['a line of the other format', 'route-eth1', (text) => `${text}ADDRESS0=10.9.0.0\n`, 'it is sourced'],
    ['no device', 'route-eth1', (text) => text.replaceAll('dev eth1 ', ''), 'no device'],
    [
      'a gateway elsewhere',
      'route-eth1',
      (text) => text.replace('10.0.1.1 ', '10.0.2.1 '),
      'Nexthop has invalid gateway',
    ],
    ['a named table', 'route-eth1', (text) => text.replaceAll('21001', 't1'), 'no number of a table: t1'],
    ['a pattern', 'route-eth1', (text) => text.replace('default', '*'), 'pattern'],
    ['host bits', 'route-eth1', (text) => text.replace('10.0.1.0/24', '10.0.1.7/24'), 'no IPv4 destination'],
    ['IPv6', 'route-eth1', (text) => `${text}2001:db8::/64 dev eth1\n`, 'no IPv4 destination'],
    ['IPv6', 'rule-eth1', (text) => `${text}from 2001:db8::4 table 21001 priority 21001\n`, 'no IPv4 source'],
    ['IPv4', 'rule6-eth1', () => 'from 10.0.1.4 table 21001 priority 21001\n', 'no IPv6 source'],
    ['no priority', 'rule-eth1', (text) => text.replace(' priority 21001', ''), 'no priority'],
    ['a backslash in a comment', 'rule-eth1', (text) => text.replace('agent.\n', 'agent. \\\n'), 'nothing'],
  ])('with %s is not right (%s)', (_, file, change, words) => {
    const found = read(file, change);
    if (words === 'nothing') expect(found.rules).toHaveLength(3);
    else expect(found.complaints).toContainEqual(expect.stringContaining(words));
  });
});

describe('the name of a file', () => {
  test.each(['~', '.bak', '.orig', '.rpmnew', '.rpmorig', '.rpmsave'])(
    'with %s at its end is passed over',
    (ending) => {
      expect(read(`ifcfg-eth1${ending}`, () => 'reboot\n')).toEqual(read(IFCFG, (text) => text));
    },
  );

  test.each(['.tmp', '.new', '.swp'])('with %s at its end is one more interface', (ending) => {
    expect(read(`ifcfg-eth1${ending}`, () => 'DEVICE=eth1\n').others).toHaveLength(1);
  });

  test('with .old at its end is one more interface on 7 alone', () => {
    expect(read('ifcfg-eth1.old', () => 'DEVICE=eth1\n', 7).others).toHaveLength(1);
    expect(read('ifcfg-eth1.old', () => 'DEVICE=eth1\n', 8).others).toHaveLength(0);
  });

  test("with a dot before it is nobody's", () => {
    expect(read('.ifcfg-eth1.x', () => 'reboot\n')).toEqual(read(IFCFG, (text) => text));
  });
});
