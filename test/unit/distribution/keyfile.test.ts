/** Each trap of NetworkManager's keyfiles, in a profile that is right without it. */
import { describe, expect, test } from 'vitest';
import { readKeyfiles } from '../../distribution/keyfile.ts';
import { LINKS } from './fixture.ts';

const NAME = 'eni-agent-eth1.nmconnection';
/** nm-settings-keyfile(5). */
const PROFILE = `# Managed by eni-agent. Local changes are overwritten; see /etc/eni-agent/config.yaml.
[connection]
id=eni-agent-eth1
uuid=a4f5e2d0-6b5e-5c6f-9a10-0d3c2b1a0f9e
type=ethernet
interface-name=eth1
autoconnect-priority=10

[ethernet]
mac-address=02:00:00:00:00:02
mtu=1400

[ipv4]
method=manual
address1=10.0.1.4/24
address2=10.0.1.5/24
route1=10.0.1.0/24
route1_options=table=21001
route2=0.0.0.0/0,10.0.1.1
route2_options=table=21001
routing-rule1=priority 21001 from 10.0.1.4 table 21001
routing-rule2=priority 21001 from 0.0.0.0/0 oif eth1 table 21001
never-default=true
ignore-auto-dns=true
dad-timeout=0

[ipv6]
method=manual
addr-gen-mode=eui64
address1=2001:db8:1::4/64
route1=::/0,fe80::1
route1_options=table=21001
routing-rule1=priority 21001 from 2001:db8:1::4 table 21001
`;

type Change = (text: string) => string;

function read(change: Change, { name = NAME, mode = 0o100600, uid = 0 } = {}) {
  return readKeyfiles(new Map([[name, { content: change(PROFILE), mode, uid }]]), LINKS);
}

const untouched = read((text) => text)[0];

test('a profile means its addresses, routes and rules', () => {
  expect(untouched).toEqual({
    ifname: 'eth1',
    file: NAME,
    addresses: ['10.0.1.4/24', '10.0.1.5/24', '2001:db8:1::4/64'],
    routes: [
      '10.0.1.0/24 dev eth1 table 21001',
      'default via 10.0.1.1 dev eth1 table 21001',
      '-6 default via fe80::1 dev eth1 table 21001',
    ],
    rules: [
      'from 10.0.1.4 lookup 21001 priority 21001',
      'from all oif eth1 lookup 21001 priority 21001',
      '-6 from 2001:db8:1::4 lookup 21001 priority 21001',
    ],
    mtu: 1400,
    complaints: [],
  });
});

test('addresses are added in the order of their numbers', () => {
  const swapped = read((text) => text.replace('address1=10.0.1.4', 'address10=10.0.1.4'))[0];
  expect(swapped?.addresses.slice(0, 2)).toEqual(['10.0.1.5/24', '10.0.1.4/24']);
});

test('a route without a table is one of main', () => {
  expect(read((text) => text.replace('route2_options=table=21001\n', ''))[0]?.routes).toContain(
    'default via 10.0.1.1 dev eth1 table 254',
  );
});

test('a route with an option that is not known is there without it: with a named table, in main', () => {
  const { routes, complaints } =
    read((text) => text.replace('options=table=21001', 'options=table=t1'))[0] ?? {};
  expect(routes).toContain('10.0.1.0/24 dev eth1 table 254');
  expect(complaints).toEqual(['unsupported route option: table=t1']);
});

test.each(['.eni-agent-eth1.nmconnection', 'eni-agent-eth1.nmconnection.orig', 'eni-agent-eth1'])(
  'a file with the name %s is passed over',
  (name) => {
    expect(read((text) => text, { name })).toEqual([]);
  },
);

test.each([
  ['that others may read', { mode: 0o100644 }, 'permissions (644) are insecure'],
  ['that its group may read', { mode: 0o100640 }, 'permissions (640) are insecure'],
  ['of another owner', { uid: 1000 }, 'owner (1000) is insecure'],
])('a file %s is refused', (_, file, words) => {
  expect(read((text) => text, file)[0]?.complaints).toEqual([expect.stringContaining(words)]);
});

describe('a profile', () => {
  test.each<[string, Change, string]>([
    ['a trailing comment', (text) => text.replace('mtu=1400', 'mtu=1400 # bytes'), 'no MTU: 1400 # bytes'],
    ['a line that is none', (text) => `${text}reboot\n`, 'not a key-value pair'],
    ['a key before the first group', (text) => `id=1\n${text}`, 'not a key-value pair'],
    ['a group twice', (text) => `${text}[ipv4]\n`, '[ipv4] is there twice'],
    [
      'a key twice',
      (text) => text.replace('type=', 'type=ethernet\ntype='),
      'connection.type is there twice',
    ],
    ['an unknown key', (text) => text.replace('dad-timeout', 'dadtimeout'), 'nobody reads ipv4.dadtimeout'],
    ['another MAC', (text) => text.replace('00:02', '00:03'), 'no device fits'],
    [
      'another interface',
      (text) => text.replace('interface-name=eth1', 'interface-name=eth2'),
      'no device fits',
    ],
    ['no UUID', (text) => text.replace(/uuid=.*\n/, ''), 'no UUID'],
    ['no method', (text) => text.replace('method=manual\n', ''), 'asks somebody else'],
    ['no addresses', (text) => text.replaceAll(/address\d=10.*\n/g, ''), 'manual with 0 addresses'],
    ['a bad address', (text) => text.replace('10.0.1.5/24', '10.0.1.256/24'), 'ignoring invalid address'],
    [
      'an address without a length',
      (text) => text.replace('10.0.1.5/24', '10.0.1.5'),
      'ignoring invalid address',
    ],
    ['a gateway', (text) => text.replace('10.0.1.4/24', '10.0.1.4/24,10.0.1.1'), 'ignoring invalid address'],
    ['default for a destination', (text) => text.replace('0.0.0.0/0,', 'default,'), 'ignoring invalid route'],
    [
      'a route with host bits',
      (text) => text.replace('10.0.1.0/24', '10.0.1.7/24'),
      'ignoring invalid route',
    ],
    [
      'an unknown option',
      (text) => text.replace('table=21001', 'table=21001,proto=196'),
      'unsupported route option',
    ],
    [
      'a named table',
      (text) => text.replace('options=table=21001', 'options=table=t1'),
      'unsupported route option',
    ],
    ['a rule without a priority', (text) => text.replace('priority 21001 from 10', 'from 10'), 'no priority'],
    [
      'a rule of the other family',
      (text) => text.replace('from 10.0.1.4', 'from 2001:db8::4'),
      'no IPv4 source',
    ],
    ['DAD', (text) => text.replace('dad-timeout=0\n', ''), 'wait for ARP'],
    ['an escape that is none', (text) => text.replace('id=eni', 'id=\\eni'), 'invalid escape'],
  ])('with %s is not right', (_, change, words) => {
    expect(read(change)[0]?.complaints).toContainEqual(expect.stringContaining(words));
  });
});
