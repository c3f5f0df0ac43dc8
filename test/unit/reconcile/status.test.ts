import { describe, expect, test } from 'vitest';
import type { Link } from '../../../src/model/host.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import type { MacAddress } from '../../../src/model/net.ts';
import type { NicStatusName } from '../../../src/model/nic-states.ts';
import type { NicState } from '../../../src/model/state.ts';
import { type NicStatus, nicStatuses, overallState } from '../../../src/reconcile/status.ts';
import {
  AT,
  type ConfigText,
  cidr,
  configOf,
  eni,
  hostOf,
  instance,
  link,
  macOf,
  owned,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });
const ETH1 = link(2, 'eth1');
const PRIMARY = eni(1, '10.0.0.4/24', '10.0.0.1');
const BOTH = instance([PRIMARY, eni(2, '10.0.1.9/24 10.0.1.4/24 10.0.1.5/24', '10.0.1.1')]);

interface Case {
  readonly links?: readonly Link[];
  readonly metadata?: InstanceMetadata;
  readonly config?: ConfigText;
  readonly files?: Readonly<Record<string, string>>;
  readonly nic?: NicState;
}

function worldOf({ links, metadata, config, files, nic }: Case): World {
  const host = hostOf({
    links: links ?? [ETH0, ETH1],
    ...(files === undefined ? {} : { files }),
    nics: nic === undefined ? {} : { [macOf(2)]: nic },
  });
  return { metadata: metadata ?? BOTH, host, config: configOf(config) };
}

function statusesOf(world: World, fights = new Map<MacAddress, string>()): readonly NicStatus[] {
  const { metadata: answer, host, config } = world;
  return nicStatuses({ answer, host, config, fights, lapsed: [], ...lookAt(world) });
}

function secondaryOf(world: World): NicStatus {
  const found = statusesOf(world).find(({ mac }) => mac === macOf(2));
  if (found === undefined) throw new Error('no such NIC');
  return found;
}

describe('the state of a NIC', () => {
  const settled = runOnce(worldOf({}));
  const dual = runOnce(
    worldOf({
      metadata: instance([PRIMARY, eni(2, '10.0.1.4/24 2001:db8:1::4/64', '10.0.1.1', 'fe80::1')]),
    }),
  );
  const failure = { at: AT, trigger: 'command', outcome: 'degraded', steps: 0, durationMs: 1 } as const;
  const failed = worldOf({});
  const failures = [{ mac: macOf(2), message: 'adding address 10.0.1.9/24 on eth1: no' }];

  test.each<readonly [NicStatusName, string, World, RegExp | null]>([
    ['in-sync', 'all is as it should be', settled, null],
    ['pending', 'there is something to do', worldOf({}), /^to do: .* and \d+ more$/],
    [
      'failed',
      'the last run could not do it',
      {
        ...failed,
        host: { ...failed.host, state: { ...failed.host.state, lastRun: { ...failure, failures } } },
      },
      /adding address/,
    ],
    [
      'in-sync',
      'the last run failed, and somebody has put it right since',
      {
        ...settled,
        host: { ...settled.host, state: { ...settled.host.state, lastRun: { ...failure, failures } } },
      },
      null,
    ],
    [
      'detached',
      'the metadata lists it no more',
      { ...settled, metadata: instance([PRIMARY]) },
      /yet to be cleared/,
    ],
    ['pending', 'it has no link yet', worldOf({ links: [ETH0] }), /no link has this MAC/],
    ['pending', 'udev is not done with it', worldOf({ links: [ETH0, { ...ETH1, ready: false }] }), /udev/],
    [
      'unmanaged',
      'the configuration says so',
      worldOf({ config: { interfaces: [{ match: { mac: macOf(2) }, manage: false }] } }),
      /manage: false/,
    ],
    [
      'foreign-config',
      'somebody wrote its files',
      worldOf({ files: { '/etc/sysconfig/network-scripts/ifcfg-eth1': 'DEVICE=eth1\n' } }),
      /existingFiles: replace/,
    ],
    [
      'degraded',
      'its reading is broken',
      worldOf({ metadata: { ...BOTH, invalid: [{ mac: macOf(2), problem: 'broken' }] } }),
      /broken/,
    ],
    [
      'degraded',
      'its table is in use',
      {
        ...settled,
        host: {
          ...settled.host,
          rules: hostOf({ links: [], rules: ['from 10.9.9.9 lookup 100 priority 21001'] }).rules,
        },
      },
      /priority 21001/,
    ],
    [
      'degraded',
      'another host has its IPv6 address',
      {
        ...dual,
        host: {
          ...dual.host,
          links: dual.host.links.map((link) => ({
            ...link,
            addresses: link.addresses.map((entry) => ({ ...entry, duplicate: entry.address.includes(':') })),
          })),
        },
      },
      /^address 2001:db8:1::4\/64 on eth1: another host of the subnet has it/,
    ],
    ['degraded', 'a template fails', worldOf({ files: {} }), /ifcfg\.eta/],
  ])('is %s when %s', (state, _, world, reason) => {
    const nic = secondaryOf(world);
    expect(nic.state).toBe(state);
    if (reason === null) expect(nic.reason).toBeNull();
    else expect(nic.reason).toMatch(reason);
  });
});

test('what somebody else keeps undoing degrades a NIC only while it is undone', () => {
  const settled = runOnce(worldOf({}));
  const fights = new Map([[macOf(2), 'somebody else keeps undoing it']]);
  const statesOf = (world: World) => statusesOf(world, fights).map(({ state, reason }) => [state, reason]);
  expect(statesOf(settled)).toEqual([
    ['in-sync', null],
    ['in-sync', null],
  ]);
  const undone = { ...settled, host: { ...settled.host, rules: [] } };
  expect(statesOf(undone)[1]).toEqual(['degraded', 'somebody else keeps undoing it']);
});

describe('the state of an address', () => {
  const excluding: ConfigText = {
    interfaces: [
      { match: { mac: macOf(2) }, excludeAddresses: [cidr('10.0.1.128/25'), cidr('10.0.1.5/32')] },
    ],
  };

  test('is told of each: the primary one first, then those listed, then what else is there', () => {
    const nic = secondaryOf(
      worldOf({
        links: [ETH0, link(2, 'eth1', { addresses: '10.0.1.9/24 10.0.1.200/32 10.0.1.77/32 10.0.1.33/24' })],
        nic: owned(1, 'eth1', '10.0.1.33/24'),
        config: excluding,
      }),
    );
    expect(
      nic.addresses.map(({ address, primary, state }) => `${address} ${primary ? 'primary ' : ''}${state}`),
    ).toEqual([
      '10.0.1.9 primary configured',
      '10.0.1.4 missing',
      '10.0.1.5 excluded',
      '10.0.1.33 stale',
      '10.0.1.77 foreign',
      '10.0.1.200 excluded',
    ]);
  });

  test('is excluded also for the primary one of a secondary: nobody will ever add it', () => {
    const config: ConfigText = {
      interfaces: [{ match: { mac: macOf(2) }, excludeAddresses: [cidr('10.0.1.9/32')] }],
    };
    expect(secondaryOf(worldOf({ config })).addresses[0]).toMatchObject({
      address: '10.0.1.9',
      primary: true,
      state: 'excluded',
    });
  });

  test('is configured for the primary one of the primary, though nobody touches it', () => {
    expect(statusesOf(worldOf({}))[0]?.addresses).toEqual([
      { address: '10.0.0.4', prefixLength: 24, primary: true, state: 'configured' },
    ]);
  });

  test('is stale for all that is left of a NIC that is gone', () => {
    const first = runOnce(worldOf({}));
    const nic = secondaryOf({ ...first, metadata: instance([PRIMARY]) });
    expect(nic.addresses.map(({ state }) => state)).toEqual(['stale', 'stale', 'stale']);
  });

  test('is missing for a NIC that has no link', () => {
    expect(secondaryOf(worldOf({ links: [ETH0] })).addresses.map(({ state }) => state)).toEqual([
      'missing',
      'missing',
      'missing',
    ]);
  });
});

describe('a status', () => {
  test('lists the primary first, then by table, with name, role, gateway and table', () => {
    const metadata = instance([
      eni(3, '10.0.0.4/24', '10.0.0.1'),
      eni(1, '10.0.2.4/24', '10.0.2.1'),
      eni(2, '10.0.1.4/24', '10.0.1.1'),
    ]);
    const links = [link(3, 'eth0', { addresses: '10.0.0.4/24' }), link(1, 'eth2'), link(2, 'eth1')];
    const host = hostOf({ links, nics: { [macOf(2)]: owned(1, 'eth1'), [macOf(1)]: owned(2, 'eth2') } });
    const found = statusesOf({ metadata, host, config: configOf() });
    expect(found.map(({ name, role, table, gateway }) => [name, role, table, gateway])).toEqual([
      ['eth0', 'primary', 21_000, '10.0.0.1'],
      ['eth1', 'secondary', 21_001, '10.0.1.1'],
      ['eth2', 'secondary', 21_002, '10.0.2.1'],
    ]);
  });

  test('knows the name that a NIC without a link had', () => {
    expect(secondaryOf(worldOf({ links: [ETH0], nic: owned(4, 'eth7') }))).toMatchObject({
      name: 'eth7',
      table: 21_004,
    });
  });

  const withStates = (...states: readonly NicStatusName[]): readonly NicStatus[] => {
    const [nic] = statusesOf(worldOf({}));
    if (nic === undefined) throw new Error('no NIC');
    return states.map((state) => ({ ...nic, state }));
  };

  test.each<readonly [string, readonly NicStatusName[]]>([
    ['in-sync', ['in-sync', 'unmanaged', 'released', 'foreign-config']],
    ['pending', ['in-sync', 'pending']],
    ['pending', ['detached', 'unmanaged']],
    ['degraded', ['pending', 'degraded']],
    ['degraded', ['in-sync', 'failed']],
  ])('is %s over %s', (overall, states) => {
    expect(overallState(withStates(...states))).toBe(overall);
  });
});
