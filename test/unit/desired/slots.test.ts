import { describe, expect, test } from 'vitest';
import type { HostState } from '../../../src/model/host.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import type { MacAddress } from '../../../src/model/net.ts';
import type { NicState } from '../../../src/model/state.ts';
import { configOf, eni, hostOf, instance, link, macOf, owned, TABLE_BASE } from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const SLOTS = 256;
const PRIMARY = eni(1, '10.0.0.4/24', '10.0.0.1');
const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });

/** NICs by number, each in a subnet of its own. */
function cloud(...numbers: readonly number[]): InstanceMetadata {
  const secondaries = numbers.map((n) => eni(n, `10.0.${n}.4/24`, `10.0.${n}.1`));
  return instance([PRIMARY, ...secondaries]);
}

function links(...numbers: readonly number[]) {
  return [ETH0, ...numbers.map((n) => link(n, `eth${n - 1}`))];
}

function worldOf(metadata: InstanceMetadata, host: HostState): World {
  return { metadata, host, config: configOf() };
}

function slotsOf(world: World): Readonly<Record<string, number>> {
  const { interfaces } = lookAt(world).desired;
  return Object.fromEntries(interfaces.map(({ ifname, slot }) => [ifname, slot]));
}

/** 255 secondaries that are gone; NIC 100 + n has been gone since hour n, in slot n. */
function allTaken(): Record<MacAddress, NicState> {
  const nics: Record<MacAddress, NicState> = { [macOf(1)]: owned(0, 'eth0') };
  for (let slot = 1; slot < SLOTS; slot += 1) {
    const mac = `02:00:00:00:01:${slot.toString(16).padStart(2, '0')}` as MacAddress;
    const detachedAt = new Date(Date.UTC(2026, 0, 1, (slot + SLOTS - 40) % SLOTS)).toISOString();
    nics[mac] = owned(slot, 'eth7', '', { detachedAt });
  }
  return nics;
}

/** By the arithmetic of allTaken(). */
const LONGEST_DETACHED = 40;

describe('the slot of a NIC', () => {
  test('is 0 for the primary and the lowest that is free for a new one', () => {
    const host = hostOf({ links: links(2, 3), nics: { [macOf(8)]: owned(1, 'eth7') } });
    expect(slotsOf(worldOf(cloud(2, 3, 8), host))).toEqual({ eth0: 0, eth1: 2, eth2: 3 });
  });

  test('does not follow the order of the links, their names or the metadata', () => {
    const nics = { [macOf(2)]: owned(2, 'eth1'), [macOf(3)]: owned(1, 'eth2') };
    const renamed = [ETH0, link(3, 'eth1', { index: 3 }), link(2, 'ens7', { index: 12 })];
    expect(slotsOf(worldOf(cloud(2, 3), hostOf({ links: renamed, nics })))).toEqual({
      eth0: 0,
      eth1: 1,
      ens7: 2,
    });
  });

  test('is kept for a NIC that is gone, so that it has its old table when it comes back', () => {
    const first = runOnce(worldOf(cloud(2, 3), hostOf({ links: links(2, 3) })));
    const without = runOnce({ ...first, metadata: cloud(3) });
    const withNew = runOnce({
      ...without,
      metadata: cloud(3, 4),
      host: { ...without.host, links: [...without.host.links, link(4, 'eth3')] },
    });
    expect(slotsOf(withNew)).toEqual({ eth0: 0, eth2: 2, eth3: 3 });
    expect(slotsOf({ ...withNew, metadata: cloud(2, 3, 4) })).toMatchObject({ eth1: 1 });
  });

  test('is new for a former primary: slot 0 belongs to the primary', () => {
    const nics = { [macOf(2)]: owned(0, 'eth1'), [macOf(1)]: owned(1, 'eth0') };
    expect(slotsOf(worldOf(cloud(2), hostOf({ links: links(2), nics })))).toEqual({ eth0: 0, eth1: 2 });
  });
});

describe('when all 256 slots are taken', () => {
  test('a new NIC gets that of the one that has been gone longest', () => {
    const world = worldOf(cloud(2), hostOf({ links: links(2), nics: allTaken() }));
    expect(slotsOf(world)).toEqual({ eth0: 0, eth1: LONGEST_DETACHED });
    expect(Object.keys(runOnce(world).host.state.nics)).toHaveLength(SLOTS);
  });

  test('two new NICs get those of the two that have been gone longest', () => {
    const world = worldOf(cloud(2, 3), hostOf({ links: links(2, 3), nics: allTaken() }));
    expect(slotsOf(world)).toEqual({ eth0: 0, eth1: LONGEST_DETACHED, eth2: LONGEST_DETACHED + 1 });
  });

  test('one that comes back in the same run keeps its slot', () => {
    const nics = allTaken();
    const returning = Object.entries(nics).find(([, { slot }]) => slot === LONGEST_DETACHED);
    const mac = (returning?.[0] ?? '') as MacAddress;
    const metadata = cloud(2);
    const back = { ...eni(9, '10.0.9.4/24', '10.0.9.1'), mac };
    const host = hostOf({ links: [...links(2), link(9, 'eth8', { mac })], nics });
    const world = worldOf({ ...metadata, nics: [...metadata.nics, back] }, host);
    expect(slotsOf(world)).toEqual({ eth0: 0, eth8: LONGEST_DETACHED, eth1: LONGEST_DETACHED + 1 });
  });
});

describe('when the state is lost', () => {
  const table1 = TABLE_BASE + 1;
  const table2 = TABLE_BASE + 2;

  test('the kernel tells the slots: by the oif rule or by the routes of a table', () => {
    const host = hostOf({
      links: links(2, 3),
      rules: [`oif eth1 lookup ${table2} priority ${table2}`],
      routes: [`default via 10.0.3.1 dev eth2 table ${table1} proto 196`],
    });
    expect(slotsOf(worldOf(cloud(2, 3), host))).toEqual({ eth0: 0, eth1: 2, eth2: 1 });
  });

  test('a new NIC does not take the table that another one has in the kernel', () => {
    const settled = runOnce(worldOf(cloud(3), hostOf({ links: links(3) })));
    const host = { ...settled.host, links: links(2, 3), state: { ...settled.host.state, nics: {} } };
    expect(slotsOf(worldOf(cloud(2, 3), host))).toEqual({ eth0: 0, eth1: 2, eth2: 1 });
  });

  test('a new NIC does not take the table of one that is put off', () => {
    const settled = runOnce(worldOf(cloud(3), hostOf({ links: links(3) })));
    const host = { ...settled.host, links: links(2, 3), state: { ...settled.host.state, nics: {} } };
    const metadata = { ...cloud(2), invalid: [{ mac: macOf(3), problem: 'its gateway is nonsense' }] };
    expect(slotsOf(worldOf(metadata, host))).toEqual({ eth0: 0, eth1: 2 });
  });
});

describe('a table or a priority that somebody else uses', () => {
  const table = TABLE_BASE + 1;
  const foreign: readonly (readonly [string, Partial<Parameters<typeof hostOf>[0]>])[] = [
    ['a route by another interface', { routes: [`10.9.0.0/16 dev eth0 table ${table}`] }],
    ['a rule that looks up another table', { rules: [`from 10.9.0.1 lookup 100 priority ${table}`] }],
  ];

  test.each(foreign)('is passed over for a new NIC: %s', (_, text) => {
    expect(slotsOf(worldOf(cloud(2), hostOf({ links: links(2), ...text })))).toEqual({ eth0: 0, eth1: 2 });
  });

  test.each(foreign)('puts a NIC off that has it already: %s', (_, text) => {
    const host = hostOf({ links: links(2), nics: { [macOf(2)]: owned(1, 'eth1') }, ...text });
    const { plan, desired } = lookAt(worldOf(cloud(2), host));
    expect(plan.deferrals).toMatchObject([{ mac: macOf(2), ifname: 'eth1', reason: 'table-in-use' }]);
    expect(plan.deferrals[0]?.detail).toMatch(new RegExp(`${table} has .*choose another routing.tableBase`));
    expect(desired.interfaces.map(({ ifname }) => ifname)).toEqual(['eth0']);
  });

  test('is no such thing when the routes there are ours or have no device', () => {
    const host = hostOf({
      links: links(2),
      nics: { [macOf(2)]: owned(1, 'eth1') },
      routes: [
        `10.9.0.0/16 dev eth0 table ${table} proto 196`,
        `blackhole 10.8.0.0/16 table ${table} proto 4`,
      ],
    });
    expect(lookAt(worldOf(cloud(2), host)).plan.deferrals).toEqual([]);
  });
});
