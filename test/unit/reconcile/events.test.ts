/** What hooks hear of: the difference between what was ours and what is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findLink } from '../../../src/desired/nics.ts';
import type { NetworkEvent } from '../../../src/model/events.ts';
import { formatInterfaceAddress, type InterfaceAddress } from '../../../src/model/net.ts';
import type { AgentState } from '../../../src/model/state.ts';
import { eventsBetween, eventsOfRun, type RunFacts } from '../../../src/reconcile/events.ts';
import { unchangedNic } from '../../../src/reconcile/ownership.ts';
import { AT, addressesOf, configOf, eni, hostOf, instance, link, macOf, owned } from '../builders.ts';
import { anyChange, anyRecipe, changed, FULL_TIMEOUT_MS, RUNS, worldOf } from '../scenarios.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

type Nics = AgentState['nics'];

const PRIMARY = { [macOf(1)]: owned(0, 'eth0') };
const ONE = { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '10.0.1.4/24') };
const TWO = { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '10.0.1.4/24 10.0.1.5/24') };

function address(text: string): InterfaceAddress {
  const [only] = addressesOf(text);
  if (only === undefined) throw new Error(text);
  return only;
}

function words({ name, ifname, address: of }: NetworkEvent): string {
  return [name, ...(of === null ? [] : [formatInterfaceAddress(of)]), ifname].join(' ');
}

function between(before: Nics, after: Nics): readonly string[] {
  return ofRun(before, after, {});
}

function ofRun(before: Nics, after: Nics, facts: Partial<RunFacts>): readonly string[] {
  const nothing = { present: [], done: [], undone: [] };
  return eventsBetween(before, after, macOf(1), { ...nothing, ...facts }).map(words);
}

describe('an event is', () => {
  test('a NIC that came, before its addresses; and one that went, after them', () => {
    const come = [
      'interface-attached eth1',
      'address-added 10.0.1.4/24 eth1',
      'address-added 10.0.1.5/24 eth1',
    ];
    expect(between(PRIMARY, TWO)).toEqual(come);
    const gone = { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '', { detachedAt: AT }) };
    expect(between(gone, TWO)).toEqual(come);
    expect(between(TWO, gone)).toEqual([
      'address-removed 10.0.1.4/24 eth1',
      'address-removed 10.0.1.5/24 eth1',
      'interface-detached eth1',
    ]);
    // Its slot went to another NIC in the same run.
    expect(between(ONE, PRIMARY)).toEqual(['address-removed 10.0.1.4/24 eth1', 'interface-detached eth1']);
  });

  test('an address that came or went, or has another prefix length', () => {
    expect(between(ONE, TWO)).toEqual(['address-added 10.0.1.5/24 eth1']);
    expect(between(TWO, ONE)).toEqual(['address-removed 10.0.1.5/24 eth1']);
    const wider = { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '10.0.1.4/16') };
    expect(between(ONE, wider)).toEqual([
      'address-removed 10.0.1.4/24 eth1',
      'address-added 10.0.1.4/16 eth1',
    ]);
  });

  test('an address that moves to another NIC: first removed there, then added here', () => {
    const other = { [macOf(3)]: owned(2, 'eth2', '10.0.1.9/24') };
    const otherWithIt = { [macOf(3)]: owned(2, 'eth2', '10.0.1.5/24 10.0.1.9/24') };
    const moved = ['address-removed 10.0.1.5/24 eth1', 'address-added 10.0.1.5/24 eth2'];
    expect(between({ ...TWO, ...other }, { ...ONE, ...otherWithIt })).toEqual(moved);
  });
});

describe('none is', () => {
  test('the primary NIC, whose further addresses are', () => {
    const more = { [macOf(1)]: owned(0, 'eth0', '10.0.0.5/24') };
    expect(between({}, more)).toEqual(['address-added 10.0.0.5/24 eth0']);
    expect(between(more, {})).toEqual(['address-removed 10.0.0.5/24 eth0']);
  });

  test('what stays, under whatever name', () => {
    expect(between(TWO, { ...TWO })).toEqual([]);
    expect(between(ONE, { ...PRIMARY, [macOf(2)]: owned(1, 'eth9', '10.0.1.4/24') })).toEqual([]);
  });

  test('a NIC whose first transaction was rolled back', () => {
    const metadata = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]);
    const links = [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', {})];
    // As the intent is written ahead of the kernel.
    const host = hostOf({ links, nics: ONE });
    const { desired } = lookAt({ metadata, host, config: configOf() });
    const failed = desired.interfaces.find(({ mac }) => mac === macOf(2));
    if (failed === undefined) throw new Error('eth1 is not desired');
    expect(between(PRIMARY, { ...PRIMARY, [macOf(2)]: unchangedNic(host, failed) })).toEqual([]);
  });

  test('what the run left undone', () => {
    const metadata = instance([
      eni(1, '10.0.0.4/24', '10.0.0.1'),
      eni(2, '10.0.1.4/24 10.0.1.5/24', '10.0.1.1'),
    ]);
    const links = [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', {})];
    const { plan } = lookAt({ metadata, host: hostOf({ links }), config: configOf() });
    const undone = plan.steps.filter(
      (step) => step.kind === 'add-address' && step.arguments.address === '10.0.1.5',
    );
    expect(undone).toHaveLength(1);
    expect(ofRun(PRIMARY, TWO, { undone })).toEqual([
      'interface-attached eth1',
      'address-added 10.0.1.4/24 eth1',
    ]);
  });

  test('an address that is no longer ours, and stays; unless it was removed', () => {
    const present = [{ mac: macOf(2), ...address('10.0.1.5/24') }];
    expect(ofRun(TWO, ONE, { present })).toEqual([]);
    const metadata = instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]);
    const links = [
      link(1, 'eth0', { addresses: '10.0.0.4/24' }),
      link(2, 'eth1', { addresses: '10.0.1.4/24 10.0.1.5/24' }),
    ];
    const { plan } = lookAt({ metadata, host: hostOf({ links, nics: TWO }), config: configOf() });
    const done = plan.steps.filter(({ kind }) => kind === 'remove-address');
    expect(ofRun(TWO, ONE, { present, done })).toEqual(['address-removed 10.0.1.5/24 eth1']);
  });

  test('a NIC whose addresses are all left to somebody else', () => {
    const files = ['/etc/sysconfig/network-scripts/ifcfg-eth1'];
    const none = { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '', { files }) };
    expect(between(none, { ...PRIMARY, [macOf(2)]: owned(1, 'eth1', '10.0.1.4/24', { files }) })).toEqual([
      'address-added 10.0.1.4/24 eth1',
    ]);
  });
});

test('what is told of is so: an address that was added is on its NIC, and one that was removed is not', {
  timeout: FULL_TIMEOUT_MS,
}, () => {
  const runAndExpect = (world: World): World => {
    const { host, metadata } = world;
    const after = runOnce(world).host;
    const view = { host, reading: { metadata, failure: null } };
    const events = eventsOfRun(view, after.state.nics, {
      steps: lookAt(world).plan.steps,
      held: [],
      lapsed: [],
    });
    for (const event of events) {
      const { name, mac, address: of } = event;
      const there = (findLink(mac, after.links)?.addresses ?? []).map(formatInterfaceAddress);
      const isThere = of === null ? null : there.includes(formatInterfaceAddress(of));
      const expected = of === null ? null : name === 'address-added';
      expect([words(event), isThere]).toEqual([words(event), expected]);
    }
    return { ...world, host: after };
  };
  const property = fc.property(anyRecipe, anyChange, (recipe, change) => {
    runAndExpect(changed(runAndExpect(worldOf(recipe)), recipe, change));
  });
  fc.assert(property, { numRuns: RUNS });
});

test('whatever a run does, its way back is the opposite, and the next run has none', {
  timeout: FULL_TIMEOUT_MS,
}, () => {
  const opposite = (event: string): string =>
    event.replace(/added|removed|attached|detached/, (word) => OPPOSITES[word] ?? word);
  const property = fc.property(anyRecipe, anyChange, (recipe, change) => {
    const world = runOnce(worldOf(recipe));
    const before = world.host.state.nics;
    const { nics: after } = runOnce(changed(world, recipe, change)).host.state;
    const events = between(before, after);
    expect(between(after, before).map(opposite).toSorted()).toEqual([...events].toSorted());
    expect(between(after, runOnce(runOnce(changed(world, recipe, change))).host.state.nics)).toEqual([]);
  });
  fc.assert(property, { numRuns: RUNS });
});

const OPPOSITES: Readonly<Record<string, string>> = {
  added: 'removed',
  removed: 'added',
  attached: 'detached',
  detached: 'attached',
};
