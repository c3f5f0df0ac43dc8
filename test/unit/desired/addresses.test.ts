import { describe, expect, test } from 'vitest';
import {
  addressesOf,
  addressesOn,
  type ConfigText,
  cidr,
  configOf,
  eni,
  hostOf,
  instance,
  link,
  macOf,
  owned,
  rulesOf,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const LOOKUP = 'lookup 21001 priority 21001';

interface Case {
  /** On eth1 before. */
  readonly present?: string;
  /** On eth1, added by us. */
  readonly ours?: string;
  /** What the metadata lists for eth1. */
  readonly listed?: string;
  readonly config?: ConfigText['interfaces'];
}

function worldOf({ present = '', ours, listed = '10.0.1.4/24 10.0.1.5/24', config = [] }: Case): World {
  const gateways = listed.includes(':') ? ['10.0.1.1', 'fe80::1'] : ['10.0.1.1'];
  return {
    metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, listed, ...gateways)]),
    host: hostOf({
      links: [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', { addresses: present })],
      nics: ours === undefined ? {} : { [macOf(2)]: owned(1, 'eth1', ours) },
    }),
    config: configOf({ interfaces: config }),
  };
}

const EXCLUDED = [
  { match: { mac: macOf(2) }, excludeAddresses: [cidr('10.0.1.100/32'), cidr('10.0.1.128/25')] },
];

describe('the addresses of a NIC', () => {
  test.each<readonly [string, Case, readonly string[]]>([
    ['what is listed is added', {}, ['10.0.1.4/24', '10.0.1.5/24']],
    [
      'what we added and nobody lists is removed',
      { present: '10.0.1.9/24', ours: '10.0.1.9/24' },
      ['10.0.1.4/24', '10.0.1.5/24'],
    ],
    ['what others added stays', { present: '10.0.1.9/32' }, ['10.0.1.4/24', '10.0.1.5/24', '10.0.1.9/32']],
    [
      'what others added with another prefix length stays, though we had one like it',
      { present: '10.0.1.9/32', ours: '10.0.1.9/24' },
      ['10.0.1.4/24', '10.0.1.5/24', '10.0.1.9/32'],
    ],
    [
      'what is excluded is not added',
      { listed: '10.0.1.4/24 10.0.1.100/24 10.0.1.200/24', config: EXCLUDED },
      ['10.0.1.4/24'],
    ],
    [
      'what is excluded is not removed',
      { present: '10.0.1.200/24', ours: '10.0.1.200/24', config: EXCLUDED, listed: '10.0.1.4/24' },
      ['10.0.1.4/24', '10.0.1.200/24'],
    ],
    [
      'what the configuration lists is added, too',
      {
        listed: '10.0.1.4/24',
        config: [{ match: { mac: macOf(2) }, addresses: addressesOf('10.0.1.7/24 10.0.1.4/24') }],
      },
      ['10.0.1.4/24', '10.0.1.7/24'],
    ],
    [
      'a wrong prefix length of ours is corrected',
      { present: '10.0.1.4/8', ours: '10.0.1.4/8', listed: '10.0.1.4/24' },
      ['10.0.1.4/24'],
    ],
  ])('%s', (_, row, expected) => {
    const { host } = runOnce(worldOf(row));
    expect(addressesOn(host, 'eth1')).toEqual(expected);
  });

  test('are added with the primary one first', () => {
    const { steps } = lookAt(worldOf({ listed: '10.0.1.9/24 10.0.1.4/24 10.0.1.5/24' })).plan;
    const added = steps.flatMap((step) => (step.kind === 'add-address' ? [step.arguments.address] : []));
    expect(added).toEqual(['10.0.1.9', '10.0.1.4', '10.0.1.5']);
  });

  test('of IPv6 beyond the first never become the source of unbound sockets', () => {
    const { interfaces } = lookAt(
      worldOf({ listed: '10.0.1.4/24 10.0.1.5/24 2001:db8::4/64 2001:db8::5/64' }),
    ).desired;
    const flags = interfaces[1]?.addresses.map(({ address, deprecated }) => `${address} ${deprecated}`);
    expect(flags).toEqual(['10.0.1.4 false', '10.0.1.5 false', '2001:db8::4 false', '2001:db8::5 true']);
  });

  test('of the primary NIC do not include its primary one: it is not even put back', () => {
    const world = worldOf({});
    const links = [link(1, 'eth0'), link(2, 'eth1')];
    const { plan } = lookAt({ ...world, host: { ...world.host, links } });
    const touched = plan.steps.filter(({ kind, mac }) => mac === macOf(1) && kind.endsWith('address'));
    expect(touched).toEqual([]);
  });

  test('that stay are neither removed nor added again', () => {
    const first = runOnce(worldOf({}));
    const listed = worldOf({ listed: '10.0.1.4/24 10.0.1.6/24' });
    const { steps } = lookAt({ ...first, metadata: listed.metadata }).plan;
    const about = steps.flatMap((step) =>
      step.kind === 'add-address' || step.kind === 'remove-address'
        ? [`${step.kind} ${step.arguments.address}`]
        : [],
    );
    expect(about).toEqual(['add-address 10.0.1.6', 'remove-address 10.0.1.5']);
  });
});

describe('the rules of a NIC', () => {
  test.each<readonly [string, Case, readonly string[]]>([
    ['one for each address, one for the interface', {}, ['from 10.0.1.4', 'from 10.0.1.5', 'oif eth1']],
    [
      'one for an address that others put there',
      { present: '10.0.1.9/32', listed: '10.0.1.4/24' },
      ['from 10.0.1.4', 'from 10.0.1.9', 'oif eth1'],
    ],
    [
      'one for an excluded address that is there, listed or not',
      { present: '10.0.1.100/32', listed: '10.0.1.4/24 10.0.1.100/24 10.0.1.200/24', config: EXCLUDED },
      ['from 10.0.1.100', 'from 10.0.1.4', 'oif eth1'],
    ],
    [
      'none for what is being removed',
      { present: '10.0.1.9/24', ours: '10.0.1.9/24', listed: '10.0.1.4/24' },
      ['from 10.0.1.4', 'oif eth1'],
    ],
    [
      'none for a zeroconf address',
      { present: '169.254.7.7/16', listed: '10.0.1.4/24' },
      ['from 10.0.1.4', 'oif eth1'],
    ],
    [
      'none for a stray copy of what another NIC lists',
      { present: '10.0.0.4/24', listed: '10.0.1.4/24' },
      ['from 10.0.1.4', 'oif eth1'],
    ],
    [
      'none for IPv6 of others where the NIC has no table for it',
      { present: '2001:db8::9/64', listed: '10.0.1.4/24' },
      ['from 10.0.1.4', 'oif eth1'],
    ],
  ])('%s', (_, row, expected) => {
    const { host } = runOnce(worldOf(row));
    expect(rulesOf(host, 21_001)).toEqual(expected.map((selector) => `${selector} ${LOOKUP}`));
  });

  test.each([
    ['auto', ['from 10.0.0.4 lookup 21000 priority 21000']],
    ['always', ['from 10.0.0.4 lookup 21000 priority 21000']],
    ['never', []],
  ] as const)('of the primary: no oif rule; with primary: %s', (primary, expected) => {
    const world = { ...worldOf({}), config: configOf({ routing: { primary } }) };
    expect(rulesOf(runOnce(world).host, 21_000)).toEqual(expected);
  });

  test('of a primary that is alone are none with auto, and there with always', () => {
    const alone = { ...worldOf({}), metadata: instance([eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1')]) };
    expect(rulesOf(runOnce(alone).host, 21_000)).toEqual([]);
    const config = configOf({ routing: { primary: 'always' } });
    expect(rulesOf(runOnce({ ...alone, config }).host, 21_000)).toHaveLength(2);
  });
});
