import { describe, expect, test } from 'vitest';
import type { MacAddress } from '../../../src/model/net.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import {
  addressesOn,
  type ConfigText,
  configOf,
  dumpHost,
  eni,
  type HostText,
  hostOf,
  instance,
  link,
  macOf,
  rulesOf,
  tableOf,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const ETH0 = link(1, 'eth0', {
  addresses: '10.0.0.4/24',
  sysctls: { rp_filter: 1, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 },
});
const ETH1 = link(2, 'eth1', {
  sysctls: { rp_filter: 1, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 },
});
const ETH2 = link(3, 'eth2');
const PRIMARY = eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1');
const SECOND = eni(2, '10.0.1.4/24 10.0.1.5/24', '10.0.1.1');
const THIRD = eni(3, '10.0.2.4/24', '10.0.2.1');
const BY_CLOUD_INIT = '# Created by cloud-init\nDEVICE=eth1\n';
/** What a render makes of it is not what these tests are about: see files.test.ts. */
const NO_FILES = { persistence: { backend: 'none' } } satisfies ConfigText;

function worldOf(text: Partial<HostText> & { config?: ConfigText; nics?: never } = {}): World {
  const { config, ...host } = text;
  return {
    metadata: instance([PRIMARY, SECOND, THIRD]),
    host: hostOf({ links: [ETH0, ETH1, ETH2], routes: ['default via 10.0.0.1 dev eth0'], ...host }),
    config: configOf({ ...NO_FILES, ...config }),
  };
}

function releasing(world: World, ...numbers: readonly number[]): World {
  const released = numbers.map(macOf);
  return { ...world, host: { ...world.host, state: { ...world.host.state, released } } };
}

function slotsOf({ host }: World): Readonly<Record<MacAddress, number>> {
  return Object.fromEntries(Object.entries(host.state.nics).map(([mac, { slot }]) => [mac, slot]));
}

describe('a NIC that is released', () => {
  test('is put off, and says how to take it back', () => {
    const { deferrals } = lookAt(releasing(worldOf(), 2)).plan;
    expect(deferrals).toEqual([
      {
        mac: macOf(2),
        ifname: 'eth1',
        reason: 'released',
        detail: expect.stringContaining('`eni-agent reconfigure eth1` takes it back'),
      },
    ]);
  });

  test.each<readonly [string, (world: World) => World]>([
    [
      'is not to be managed',
      (world) => ({ ...world, config: configOf({ interfaces: [{ manage: false }] }) }),
    ],
    [
      'cannot be read',
      (world) => ({
        ...world,
        metadata: instance([PRIMARY, THIRD], [{ mac: macOf(2), problem: 'nonsense' }]),
      }),
    ],
    ['has no link', (world) => ({ ...world, host: { ...world.host, links: [ETH0, ETH2] } })],
  ])('is released whether or not it %s', (_, change) => {
    const { deferrals } = lookAt(change(releasing(worldOf(), 2))).plan;
    expect(deferrals.find(({ mac }) => mac === macOf(2))?.reason).toBe('released');
  });

  test('gets nothing when it had nothing, and the others are set up beside it', () => {
    const { plan } = lookAt(releasing(worldOf(), 2));
    expect(new Set(plan.steps.map((step) => step.interface))).toEqual(new Set(['eth0', 'eth2']));
  });

  test('gives back what is ours: addresses, rules, table, routes of main, sysctls, MTU; and stays up', () => {
    const config: ConfigText = {
      interfaces: [
        { match: { mac: macOf(2) }, mtu: 1400, routes: [{ to: '172.20.0.0/16', via: '10.0.1.1' } as never] },
      ],
    };
    const before = worldOf({ config });
    const released = runOnce(releasing(runOnce(before), 2, 3, 1));
    expect(dumpHost(released.host)).toEqual(dumpHost(before.host));
    expect(runOnce(before).host.links[1]?.mtu).toBe(1400);
  });

  test('leaves what others put there, and what is excluded', () => {
    const done = runOnce(worldOf());
    const links = done.host.links.map((entry) =>
      entry.ifname === 'eth1'
        ? {
            ...entry,
            addresses: [...entry.addresses, ...link(2, 'eth1', { addresses: '10.0.1.99/24' }).addresses],
          }
        : entry,
    );
    const config = configOf({
      ...NO_FILES,
      interfaces: [{ match: { mac: macOf(2) }, excludeAddresses: ['10.0.1.5/32' as never] }],
    });
    const released = runOnce(releasing({ ...done, config, host: { ...done.host, links } }, 2));
    expect(addressesOn(released.host, 'eth1')).toEqual(['10.0.1.5/24', '10.0.1.99/24']);
  });

  test('puts back the files that were there before', () => {
    const path = `${SCRIPTS}/ifcfg-eth1`;
    const files = { [path]: '# Managed by eni-agent. …\n', [`${path}.orig`]: BY_CLOUD_INIT };
    const world = worldOf();
    const known = runOnce(world).host.state.nics;
    const nics = { ...known, [macOf(2)]: { ...known[macOf(2)], files: [path] } } as never;
    const host = hostOf({ links: [ETH0, ETH1, ETH2], files, nics });
    const released = runOnce(releasing({ ...world, host }, 2));
    expect(released.host.files).toEqual([{ path, content: BY_CLOUD_INIT }]);
  });

  test('waits for no confirmation, and each step says why', () => {
    const { steps } = lookAt(releasing(runOnce(worldOf()), 2)).plan;
    expect(steps.length).toBeGreaterThan(5);
    expect(steps.filter(({ withdrawal }) => withdrawal)).toEqual([]);
    expect(new Set(steps.map(({ reason }) => reason))).toEqual(new Set(['released']));
  });

  test('is cleared when the metadata does not list it, too, and when its link is gone', () => {
    const done = releasing(runOnce(worldOf()), 2);
    const unlisted = runOnce({ ...done, metadata: instance([PRIMARY, THIRD]) });
    expect(addressesOn(unlisted.host, 'eth1')).toEqual([]);
    expect(rulesOf(unlisted.host, 21_001)).toEqual([]);
    const links = done.host.links.filter(({ ifname }) => ifname !== 'eth1');
    const { steps } = lookAt({ ...done, host: { ...done.host, links } }).plan;
    expect(steps.some(({ kind, withdrawal }) => kind === 'remove-rule' && !withdrawal)).toBe(true);
  });

  test('leaves no step on any later run, whatever the metadata says', () => {
    const released = runOnce(releasing(runOnce(worldOf()), 2));
    expect(lookAt(released).plan.steps).toEqual([]);
    const moved = instance([PRIMARY, eni(2, '10.0.1.9/24', '10.0.1.1'), THIRD]);
    expect(lookAt({ ...released, metadata: moved }).plan.steps).toEqual([]);
    expect(
      lookAt({ ...released, metadata: instance([PRIMARY, SECOND, THIRD]) }).desired.interfaces,
    ).toHaveLength(2);
  });

  test('stays a NIC of the cloud: its subnet is routed by the others, and nothing is thrown to it', () => {
    const released = runOnce(releasing(runOnce(worldOf()), 2));
    expect(tableOf(released.host, 21_002)).toContain('10.0.1.0/24 via 10.0.2.1 dev eth2');
    expect(tableOf(released.host, 21_002).filter((line) => line.includes('throw 10.0.1'))).toEqual([]);
  });

  test('keeps its slot, and has it again when it is taken back', () => {
    const done = runOnce(worldOf());
    const released = runOnce(releasing(done, 2));
    expect(slotsOf(released)).toEqual(slotsOf(done));
    const back = runOnce(releasing(released));
    expect(dumpHost(back.host)).toEqual(dumpHost(done.host));
  });
});

describe("the primary's routing", () => {
  test('stays while another secondary needs it', () => {
    const released = runOnce(releasing(runOnce(worldOf()), 2));
    expect(rulesOf(released.host, 21_000)).toHaveLength(2);
  });

  test('goes with the last secondary, without a confirmation', () => {
    const last = releasing(runOnce(worldOf()), 2, 3);
    const { steps } = lookAt(last).plan;
    const ofPrimary = steps.filter((step) => step.interface === 'eth0');
    expect(ofPrimary.some(({ kind }) => kind === 'remove-rule')).toBe(true);
    expect(ofPrimary.filter(({ withdrawal }) => withdrawal)).toEqual([]);
    expect(rulesOf(runOnce(last).host, 21_000)).toEqual([]);
    expect(tableOf(runOnce(last).host, 21_000)).toEqual([]);
  });

  test('waits for the confirmation when it goes because a secondary is not listed any more', () => {
    const world = { ...releasing(runOnce(worldOf()), 2), metadata: instance([PRIMARY, SECOND]) };
    const ofPrimary = lookAt(world).plan.steps.filter(
      (step) => step.interface === 'eth0' && step.kind === 'remove-rule',
    );
    expect(ofPrimary.length).toBeGreaterThan(0);
    expect(ofPrimary.every(({ withdrawal }) => withdrawal)).toBe(true);
  });

  test('goes when the primary is released; its own address stays, the one that we added does not', () => {
    const done = runOnce(worldOf());
    expect(addressesOn(done.host, 'eth0')).toEqual(['10.0.0.4/24', '10.0.0.5/24']);
    const released = runOnce(releasing(done, 1));
    expect(addressesOn(released.host, 'eth0')).toEqual(['10.0.0.4/24']);
    expect(rulesOf(released.host, 21_000)).toEqual([]);
    expect(rulesOf(released.host, 21_002)).toHaveLength(2);
    expect(lookAt(released).plan.steps).toEqual([]);
  });

  test('goes last when all are released, and each step is done once', () => {
    const { steps } = lookAt(releasing(runOnce(worldOf()), 1, 2, 3)).plan;
    const lines = steps.map(describeStep);
    expect(lines).toEqual([...new Set(lines)]);
    const names: readonly string[] = steps.map((step) => step.interface);
    expect(names.indexOf('eth0')).toBeGreaterThan(
      Math.max(names.lastIndexOf('eth1'), names.lastIndexOf('eth2')),
    );
  });

  test('an address of ours that has become the primary one stays as well', () => {
    const done = releasing(runOnce(worldOf()), 1);
    const metadata = instance([eni(1, '10.0.0.5/24 10.0.0.4/24', '10.0.0.1'), SECOND, THIRD]);
    expect(addressesOn(runOnce({ ...done, metadata }).host, 'eth0')).toContain('10.0.0.5/24');
  });
});
