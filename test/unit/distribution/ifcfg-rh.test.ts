/** Each trap of NetworkManager's ifcfg plugin, in a file set that is right without it. */
import { describe, expect, test } from 'vitest';
import { readIfcfgProfiles } from '../../distribution/ifcfg-rh.ts';
import { changing, fixtureFolder, LINKS } from './fixture.ts';

const POLICY = fixtureFolder('ifcfg-under-networkmanager/policy');
const IFCFG = 'ifcfg-eth1';
const ROUTE = 'route-eth1';

type Change = (text: string) => string;

function read(file: string, change: Change) {
  const [first, ...others] = readIfcfgProfiles(changing(POLICY, file, change), LINKS);
  if (first === undefined) throw new Error('no profile');
  return { ...first, others };
}

const untouched = read(IFCFG, (text) => text);

test.each<[string, string, Change]>([
  ['quotes and blanks', IFCFG, (text) => text.replace('=10.0.1.5', '="10.0.1.5"  # the second')],
  ['NETMASK', IFCFG, (text) => text.replace('PREFIX1=24', 'NETMASK1=255.255.255.0')],
  ['what network-scripts alone read', IFCFG, (text) => `${text}ARPCHECK0=no\nARPUPDATE0=no\n`],
  ['GATEWAY, as DEFROUTE is no', IFCFG, (text) => `${text}GATEWAY=10.0.1.1\n`],
  ['a number for the scope', ROUTE, (text) => text.replace('scope link', 'scope 253')],
])('%s mean the same', (_, file, change) => {
  expect(read(file, change)).toEqual(untouched);
});

test.each([
  ['rule-eth1', ''],
  ['rule6-eth1', '# nothing'],
])('where there is a %s, even one that says %j, routes and rules are ignored', (file, text) => {
  const { addresses, routes, rules, complaints } = read(file, () => text);
  expect({ addresses, routes, rules }).toEqual({ addresses: untouched.addresses, routes: [], rules: [] });
  expect(complaints).toEqual([expect.stringContaining("'rule-' or 'rule6-' files are present")]);
});

describe('an ifcfg file', () => {
  test('with one address that cannot be read is rejected as a whole', () => {
    const { addresses, routes, rules, complaints } = read(IFCFG, (text) =>
      text.replace('10.0.1.5', '10.0.1.256'),
    );
    expect({ addresses, routes, rules }).toEqual({ addresses: [], routes: [], rules: [] });
    expect(complaints).toEqual(["the profile is rejected: Invalid IP4 address '10.0.1.256/24'"]);
  });

  test('without a PREFIX has the class guessed', () => {
    const { addresses, complaints } = read(IFCFG, (text) => text.replace('PREFIX1=24\n', ''));
    expect(addresses[1]).toBe('10.0.1.5/8');
    expect(complaints).toEqual(['missing PREFIX1, assuming 10.0.1.5/8']);
  });

  test('ends at a gap from IPADDR2 on', () => {
    const gap = read(IFCFG, (text) => text.replaceAll(/(?<=[A-Z])2=/g, '3='));
    expect(gap.addresses).toEqual(untouched.addresses.slice(0, 2));
    expect(gap.complaints).toEqual(['beyond the end of the list: IPADDR3 PREFIX3']);
    const without0 = read(IFCFG, (text) => text.replaceAll(/(?:IPADDR|PREFIX)0=.*\n/g, ''));
    expect(without0).toMatchObject({ addresses: untouched.addresses.slice(1), complaints: [] });
  });

  test('of which each rule has a number and a priority, and is added in the order of the numbers', () => {
    const swapped = read(IFCFG, (text) => text.replace('RULE_0=', 'RULE_10='));
    expect(swapped.rules).toEqual([...untouched.rules.slice(1), untouched.rules[0]]);
    const none = read(IFCFG, (text) => text.replace('RULE_0="priority 21001 ', 'RULE_0="'));
    expect(none.rules).toEqual(untouched.rules.slice(1));
    expect(none.complaints).toEqual([
      expect.stringContaining('invalid routing rule ROUTING_RULE_0: no priority'),
    ]);
  });

  test('that takes the default route has it', () => {
    const { routes } = read(IFCFG, (text) => `${text.replace('DEFROUTE=no\n', '')}GATEWAY=10.0.1.1\n`);
    expect(routes).toContain('default via 10.0.1.1 dev eth1 table 254');
  });

  test('with NM_CONTROLLED=no is no profile', () => {
    expect(
      readIfcfgProfiles(
        changing(POLICY, IFCFG, (text) => `${text}NM_CONTROLLED=no\n`),
        LINKS,
      ),
    ).toEqual([]);
  });

  test('has IPv6 addresses with IPV6INIT=yes alone', () => {
    const lines =
      'IPV6_AUTOCONF=no\nIPV6ADDR=2001:db8::4/64\nIPV6ADDR_SECONDARIES="2001:db8::5/64 2001:db8::6"\n';
    const yes = read(IFCFG, (text) => text.replace('IPV6INIT=no\n', `IPV6INIT=yes\n${lines}`));
    expect(yes.addresses.slice(3)).toEqual(['2001:db8::4/64', '2001:db8::5/64', '2001:db8::6/64']);
    expect(yes.complaints).toEqual([]);
    expect(read(IFCFG, (text) => text + lines).complaints).toEqual([
      expect.stringContaining('IPV6INIT is not yes'),
    ]);
  });

  test.each<[string, Change, string]>([
    ['another HWADDR', (text) => text.replace('00:02', '00:03'), 'no device fits'],
    ['ONBOOT=no', (text) => text.replace('ONBOOT=yes', 'ONBOOT=no'), 'ONBOOT is no'],
    ['DHCP', (text) => text.replace('=none', '=dhcp'), 'lease'],
    ['no TYPE', (text) => text.replace('TYPE=Ethernet\n', ''), 'TYPE'],
    ['no ACD_TIMEOUT', (text) => text.replace('ACD_TIMEOUT=0\n', ''), 'wait for ARP'],
    ['a misspelt name', (text) => text.replace('PEERDNS', 'PERDNS'), 'nobody reads PERDNS'],
    ['a rule without a number', (text) => text.replace('RULE_0', 'RULE_A'), 'nobody reads ROUTING_RULE_A'],
    [
      'an unknown word in a rule',
      (text) => text.replace('from 10.0.1.4', 'protocol 196 from 10.0.1.4'),
      'garbage',
    ],
    ['a rule without quotes', (text) => text.replaceAll('"', ''), 'a value that is none'],
    ['an expansion', (text) => text.replace('=24', '=$(echo 24)'), 'a value that is none'],
    ['a command', (text) => `${text}reboot\n`, 'not an assignment'],
    ['a bad MTU', (text) => `${text}MTU=9k\n`, 'no MTU: 9k'],
    ['CRLF', (text) => text.replaceAll('\n', '\r\n'), 'ends oddly'],
  ])('with %s is not right', (_, change, words) => {
    expect(read(IFCFG, change).complaints).toContainEqual(expect.stringContaining(words));
  });
});

test.each<[string, Change]>([
  ['a protocol', (text) => text.replace('21001\n', '21001 proto 196\n')],
  ['a trailing comment', (text) => text.replace('21001\n', '21001 # ours\n')],
  ['a named table', (text) => text.replace('21001\n', 't1\n')],
  ['an unknown word', (text) => text.replace('21001\n', '21001 quickack 1\n')],
  ['the same word twice', (text) => text.replace('21001\n', '21001 table 21002\n')],
])('a line of a route file with %s is dropped', (_, change) => {
  const { routes, complaints } = read(ROUTE, change);
  expect(routes).toEqual(untouched.routes.slice(1));
  expect(complaints).toEqual([expect.stringContaining('ignoring invalid route at')]);
});

describe('the name of a file', () => {
  test.each(['~', '.bak', '.orig', '.rej', '.rpmnew'])('with %s at its end is passed over', (ending) => {
    expect(read(`ifcfg-eth1${ending}`, () => 'reboot\n')).toEqual(untouched);
  });

  test.each(['.tmp', '.new', '.rpmsave'])('with %s at its end is one more live profile', (ending) => {
    expect(read(`ifcfg-eth1${ending}`, () => POLICY.get(IFCFG) ?? '').others).toHaveLength(1);
  });
});
