import { describe, expect, test } from 'vitest';
import type { Link } from '../../../src/model/host.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import {
  type ConfigText,
  cidr,
  configOf,
  eni,
  hostOf,
  instance,
  link,
  macOf,
  otherLink,
  owned,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });
const ETH1 = link(2, 'eth1');
const TWO_NICS = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]);
const IFCFG = '/etc/sysconfig/network-scripts/ifcfg-eth1';

interface Case {
  readonly links?: readonly Link[];
  readonly metadata?: InstanceMetadata;
  readonly config?: ConfigText;
  readonly files?: Readonly<Record<string, string>>;
  readonly containerNetwork?: string;
}

function worldOf({ links, metadata, config, files, containerNetwork }: Case): World {
  const host = hostOf({
    links: links ?? [ETH0, ETH1],
    ...(files === undefined ? {} : { files }),
    ...(containerNetwork === undefined ? {} : { containerNetwork }),
  });
  return { metadata: metadata ?? TWO_NICS, host, config: configOf(config) };
}

function deferralsOf(row: Case) {
  return lookAt(worldOf(row)).plan.deferrals;
}

/** The names of the NICs that are set up. */
function setUpIn(row: Case): readonly string[] {
  return lookAt(worldOf(row)).desired.interfaces.map(({ ifname }) => ifname);
}

const BRIDGE = otherLink(30, 'br0', { kind: 'bridge' });
const BOND = otherLink(31, 'bond0', { kind: 'bond', mac: macOf(2) });

describe('a NIC is put off', () => {
  test.each<readonly [string, string, RegExp, Case]>([
    ['no-link', 'no link has its MAC', /no link has this MAC yet/, { links: [ETH0] }],
    [
      'no-link',
      'two links have its MAC',
      /more than one link has this MAC: eth1, eth5/,
      { links: [ETH0, ETH1, link(2, 'eth5', { index: 9 })] },
    ],
    [
      'not-ready',
      'udev is not done with it',
      /udev is not done with eth1/,
      { links: [ETH0, { ...ETH1, ready: false }] },
    ],
    [
      'unmanaged',
      'the configuration says so',
      /manage: false/,
      { config: { interfaces: [{ match: { mac: macOf(2) }, manage: false }] } },
    ],
    [
      'unmanaged',
      'a container network takes the ENIs',
      /takes the ENIs of this VM for its pods \(aws-cni, \/opt\/cni\/bin\/aws-cni\).*manage: true/,
      {
        containerNetwork: 'aws-cni, /opt/cni/bin/aws-cni',
        config: { interfaces: [{ match: { role: 'primary' }, manage: true }] },
      },
    ],
    [
      'unmanaged',
      'it belongs to a bridge',
      /eth1 belongs to br0/,
      { links: [ETH0, { ...ETH1, masterIndex: 30 }, BRIDGE] },
    ],
    [
      'unmanaged',
      'it belongs to a bond, which has its MAC',
      /eth1 belongs to bond0/,
      { links: [ETH0, { ...ETH1, masterIndex: 31 }, BOND] },
    ],
    [
      'invalid-metadata',
      'its reading is broken',
      /its mask is nonsense; left as it is/,
      {
        metadata: {
          ...instance([eni(1, '10.0.0.4/24', '10.0.0.1')]),
          invalid: [{ mac: macOf(2), problem: 'its mask is nonsense' }],
        },
      },
    ],
    [
      'foreign-config',
      'somebody wrote its ifcfg',
      /ifcfg-eth1 was not written by eni-agent.*existingFiles: replace/s,
      { files: { [IFCFG]: 'DEVICE=eth1\nBOOTPROTO=dhcp\n' } },
    ],
    [
      'foreign-config',
      'somebody wrote an ifcfg of another name with its MAC',
      /ifcfg-storage/,
      { files: { '/etc/sysconfig/network-scripts/ifcfg-storage': `HWADDR="${macOf(2).toUpperCase()}"\n` } },
    ],
    [
      'foreign-config',
      'somebody wrote its route file',
      /route-eth1/,
      { files: { '/etc/sysconfig/network-scripts/route-eth1': '10.9.0.0/16 via 10.0.1.9\n' } },
    ],
  ])('%s: %s', (reason, _, detail, row) => {
    const deferrals = deferralsOf(row);
    expect(deferrals).toMatchObject([{ mac: macOf(2), reason }]);
    expect(deferrals[0]?.detail).toMatch(detail);
    expect(setUpIn(row)).toEqual(['eth0']);
    expect(lookAt(worldOf(row)).plan.steps).toEqual([]);
  });

  test('when it is the primary and it is down: nobody but its owner sets that up', () => {
    const links = [{ ...ETH0, up: false }, ETH1];
    expect(deferralsOf({ links })).toMatchObject([{ mac: macOf(1), reason: 'not-ready' }]);
    expect(setUpIn({ links })).toEqual(['eth1']);
  });
});

describe('a broken reading', () => {
  test('keeps everything of its NIC as it is, and the others go on', () => {
    const first = runOnce(worldOf({}));
    const broken: InstanceMetadata = {
      ...instance([eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1')]),
      invalid: [{ mac: macOf(2), problem: 'it lists nothing' }],
    };
    const { steps } = lookAt({ ...first, metadata: broken }).plan;
    expect(steps.map(({ interface: ifname, kind }) => `${ifname} ${kind}`)).toEqual([
      'eth0 add-rule',
      'eth0 add-address',
    ]);
  });

  test('of a NIC that is listed a second time as good is still broken', () => {
    const metadata = { ...TWO_NICS, invalid: [{ mac: macOf(2), problem: 'half of it failed' }] };
    expect(setUpIn({ metadata })).toEqual(['eth0']);
    expect(deferralsOf({ metadata })).toMatchObject([{ reason: 'invalid-metadata' }]);
  });
});

describe('what is put off for now', () => {
  test.each<readonly [string, Case]>([
    ['by the configuration', { config: { interfaces: [{ match: { name: ETH1.ifname }, manage: false }] } }],
    ['by udev', { links: [ETH0, { ...ETH1, ready: false }] }],
    ['by a broken reading', { metadata: { ...TWO_NICS, invalid: [{ mac: macOf(2), problem: 'broken' }] } }],
  ])('keeps the table that the primary has for its sake: %s', (_, row) => {
    const first = runOnce(worldOf({}));
    const { metadata, config } = worldOf(row);
    const links =
      (row.links ?? []).length === 0
        ? first.host.links
        : first.host.links.map((entry) => ({ ...entry, ready: entry.ifname !== 'eth1' }));
    expect(lookAt({ metadata, config, host: { ...first.host, links } }).plan.steps).toEqual([]);
  });

  test('asks for no table on the primary when it never had an address of ours', () => {
    const world = worldOf({ links: [ETH0, { ...ETH1, ready: false }] });
    expect(lookAt(world).desired.interfaces).toMatchObject([{ ifname: 'eth0', routes: [], rules: [] }]);
  });
});

describe('the link of a NIC', () => {
  const permanent = { ...ETH1, permanentMac: macOf(2), mac: macOf(7) };
  const vlan = link(2, 'eth1.5', { index: 40, kind: 'vlan', lowerIndex: ETH1.index });
  const vlanElsewhere = { ...vlan, permanentMac: null };
  const bridge = link(2, 'br0', { index: 41, kind: 'bridge' });

  test.each<readonly [string, string | null, readonly Link[]]>([
    ['is the one with its MAC', 'eth1', [ETH0, ETH1]],
    ['is the one with its permanent MAC, whatever its MAC is now', 'eth1', [ETH0, permanent]],
    ['is not one that merely took its MAC', null, [ETH0, { ...ETH1, permanentMac: macOf(7) }]],
    [
      'by permanent MAC wins over one that took its MAC',
      'eth1',
      [ETH0, permanent, link(2, 'fake', { index: 8 })],
    ],
    ['is not a VLAN on top of it', 'eth1', [ETH0, ETH1, vlanElsewhere]],
    ['is not a VLAN, even alone', null, [ETH0, vlanElsewhere]],
    ['is not the bridge that borrowed its MAC', null, [ETH0, { ...ETH1, masterIndex: 41 }, bridge]],
    ['may be of any kind: drivers decide nothing', 'eth1', [ETH0, { ...ETH1, kind: 'veth' }]],
  ])('%s', (_, ifname, links) => {
    const found = setUpIn({ links }).find((name) => name !== 'eth0') ?? null;
    expect(found).toBe(ifname);
  });
});

describe('the configuration of a NIC', () => {
  const excluded = (text: string) => [cidr(text)];

  test('is the first entry whose keys all hold', () => {
    const config: ConfigText = {
      interfaces: [
        { match: { mac: macOf(2), role: 'primary' }, excludeAddresses: excluded('10.9.1.0/24') },
        { match: { subnet: cidr('10.0.1.0/24') }, excludeAddresses: excluded('10.9.2.0/24') },
        { match: { role: 'secondary' }, excludeAddresses: excluded('10.9.3.0/24') },
        { match: {}, excludeAddresses: excluded('10.9.4.0/24') },
      ],
    };
    const { interfaces } = lookAt(worldOf({ config })).desired;
    expect(interfaces.map((nic) => nic.excluded)).toEqual([['10.9.4.0/24', '10.0.0.4/32'], ['10.9.2.0/24']]);
  });
});

test('a NIC that the metadata does not know is nobody: no step, no deferral', () => {
  const row: Case = { links: [ETH0, ETH1, link(5, 'eth5', { addresses: '10.5.0.4/24' })] };
  expect(setUpIn(row)).toEqual(['eth0', 'eth1']);
  expect(deferralsOf(row)).toEqual([]);
});

test('a NIC that is listed no more is cleared, whatever the configuration says of others', () => {
  const first = runOnce(worldOf({}));
  const metadata = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);
  const { interfaces } = lookAt({ ...first, metadata }).desired;
  expect(interfaces.map(({ ifname, attached }) => [ifname, attached])).toEqual([
    ['eth0', true],
    ['eth1', false],
  ]);
  const forgotten = {
    ...first.host.state,
    nics: { [macOf(2)]: owned(1, 'eth1', '', { detachedAt: 'then' }) },
  };
  const again = lookAt({ ...first, metadata, host: { ...first.host, state: forgotten } }).desired;
  expect(again.interfaces.map(({ ifname }) => ifname)).toEqual(['eth0']);
});
