import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatInterfaceAddress } from '../../../src/model/net.ts';
import type { AgentState, NicState } from '../../../src/model/state.ts';
import { intendedNics, settledNics, unchangedNic } from '../../../src/reconcile/ownership.ts';
import { AT, configOf, eni, hostOf, instance, link, macOf, owned } from '../builders.ts';
import { anyChange, anyRecipe, changed, FULL_TIMEOUT_MS, RUNS, worldOf } from '../scenarios.ts';
import { type Look, lookAt, runOnce, type World } from '../simulator.ts';

type Nics = AgentState['nics'];

/** Everything that a NIC's state says is ours, one word each. */
function belongings(nics: Nics, mac: string): readonly string[] {
  const nic = (nics as Readonly<Record<string, NicState>>)[mac];
  if (nic === undefined) return [];
  return [
    ...nic.addresses.map(formatInterfaceAddress),
    ...nic.routes.map(({ to, via }) => `${to} via ${via}`),
    ...Object.keys(nic.sysctls),
    ...(nic.mtu === null ? [] : ['mtu']),
    ...nic.files,
  ];
}

function anyLook(law: (before: Nics, look: Look) => void): void {
  const property = fc.property(anyRecipe, fc.option(anyChange), (recipe, change) => {
    const first = worldOf(recipe);
    const world = change === null ? first : changed(runOnce(first), recipe, change);
    law(world.host.state.nics, lookAt(world));
  });
  fc.assert(property, { numRuns: RUNS });
}

describe('the intent, which is written ahead of the kernel', () => {
  test('has what is ours before and what is ours after', { timeout: FULL_TIMEOUT_MS }, () => {
    anyLook((before, { desired, plan }) => {
      const intended = intendedNics(before, desired.interfaces, plan.steps);
      const after = settledNics(before, desired.interfaces, plan.steps, AT);
      for (const { mac } of desired.interfaces) {
        const known = new Set(belongings(intended, mac));
        const either = [...belongings(before, mac), ...belongings(after, mac)];
        expect(either.filter((text) => !known.has(text))).toEqual([]);
      }
    });
  });

  test('gives every NIC the slot that it will have', { timeout: FULL_TIMEOUT_MS }, () => {
    anyLook((before, { desired, plan }) => {
      const intended = intendedNics(before, desired.interfaces, plan.steps);
      for (const { mac, slot } of desired.interfaces)
        expect(intended[mac]).toMatchObject({ slot, detachedAt: null });
    });
  });

  test('does not forget a NIC that the run is not about', { timeout: FULL_TIMEOUT_MS }, () => {
    anyLook((before, { desired, plan }) => {
      const chosen = desired.interfaces.slice(0, 1);
      const intended = intendedNics(before, chosen, plan.steps);
      for (const [mac, nic] of Object.entries(before)) {
        if (chosen.every((entry) => entry.mac !== mac))
          expect((intended as Record<string, NicState>)[mac]).toEqual(nic);
      }
    });
  });

  test('lets a run that was killed half way be finished: what it added is known to be ours', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    anyLook((before, { desired, plan }) => {
      const intended = intendedNics(before, desired.interfaces, plan.steps);
      for (const step of plan.steps) {
        if (step.kind !== 'add-address') continue;
        expect(belongings(intended, step.mac)).toContain(formatInterfaceAddress(step.arguments));
      }
    });
  });
});

const LINKS = [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1')];
const PRIMARY = eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1');
const BOTH = instance([PRIMARY, eni(2, '10.0.1.4/24', '10.0.1.1')]);

function settled(text: Partial<Parameters<typeof hostOf>[0]> = {}, mtu: number | null = null): World {
  const config = configOf({ interfaces: [{ match: { mac: macOf(2) }, mtu }] });
  return runOnce({ metadata: BOTH, host: hostOf({ links: LINKS, ...text }), config });
}

describe('what is settled when a run is over', () => {
  test('is what was added, and not the address that the primary was born with', () => {
    const { nics } = settled().host.state;
    expect(belongings(nics, macOf(1))).toEqual(['10.0.0.5/24']);
    expect(belongings(nics, macOf(2))).toEqual(['10.0.1.4/24']);
  });

  test('is not what somebody else had put there already', () => {
    const links = [link(1, 'eth0', { addresses: '10.0.0.4/24 10.0.0.5/24' }), link(2, 'eth1')];
    expect(belongings(settled({ links }).host.state.nics, macOf(1))).toEqual([]);
  });

  test('is nothing but the slot for a NIC that is gone', () => {
    const gone = runOnce({ ...settled(), metadata: instance([PRIMARY]) }, 'later');
    expect(gone.host.state.nics[macOf(2)]).toEqual(owned(1, 'eth1', '', { detachedAt: 'later' }));
  });

  test('keeps the time since when a NIC is gone', () => {
    const gone = runOnce({ ...settled(), metadata: instance([PRIMARY]) }, 'first');
    expect(runOnce(gone, 'later').host.state.nics[macOf(2)]?.detachedAt).toBe('first');
  });

  test('is attached again for a NIC that came back', () => {
    const gone = runOnce({ ...settled(), metadata: instance([PRIMARY]) });
    expect(runOnce({ ...gone, metadata: BOTH }).host.state.nics[macOf(2)]).toMatchObject({
      slot: 1,
      detachedAt: null,
    });
  });

  test('follows the name of the link', () => {
    const first = settled();
    const links = first.host.links.map((entry) => ({
      ...entry,
      ifname: entry.ifname.replace('eth', 'ens') as never,
    }));
    const second = runOnce({ ...first, host: { ...first.host, links } });
    expect(second.host.state.nics[macOf(2)]?.ifname).toBe('ens1');
  });
});

describe('a NIC whose run failed', () => {
  test('has what it had', () => {
    const first = settled();
    const { desired } = lookAt({ ...first, metadata: instance([PRIMARY]) });
    const gone = desired.interfaces.find(({ mac }) => mac === macOf(2));
    if (gone === undefined) throw new Error('not withdrawn');
    expect(unchangedNic(first.host, gone)).toEqual(first.host.state.nics[macOf(2)]);
  });

  test('that is new has its slot and nothing else', () => {
    const { desired } = lookAt({ metadata: BOTH, host: hostOf({ links: LINKS }), config: configOf() });
    const fresh = desired.interfaces.find(({ mac }) => mac === macOf(2));
    if (fresh === undefined) throw new Error('not desired');
    expect(unchangedNic(hostOf({ links: LINKS }), fresh)).toEqual(owned(1, 'eth1'));
  });

  test('has not what a killed run only meant to do', () => {
    const routes = [{ to: '172.16.0.0/12', via: '10.0.1.9' } as never];
    const config = configOf({ interfaces: [{ match: { mac: macOf(2) }, mtu: 1400, routes }] });
    const before: World = {
      metadata: BOTH,
      host: hostOf({ links: LINKS, allSysctls: { rp_filter: 1 } }),
      config,
    };
    const { desired } = lookAt(before);
    const nic = desired.interfaces.find(({ mac }) => mac === macOf(2));
    const intent = runOnce(before).host.state.nics;
    if (nic === undefined) throw new Error('not desired');
    const words = ['10.0.1.4/24', '172.16.0.0/12 via 10.0.1.9', 'rp_filter', 'mtu'];
    expect(belongings(intent, macOf(2))).toEqual(words);
    const files = ['/etc/sysconfig/network-scripts/ifcfg-eth1'];
    const state = {
      ...before.host.state,
      nics: { ...intent, [macOf(2)]: { ...owned(1, 'eth1'), ...intent[macOf(2)], files } },
    };
    expect(unchangedNic({ ...before.host, state }, nic)).toEqual(owned(1, 'eth1'));
  });
});

describe('a value to give back', () => {
  const mtuOf = ({ host }: World): number | undefined =>
    host.links.find(({ ifname }) => ifname === 'eth1')?.mtu;

  test('survives several runs and another value', () => {
    const first = settled({}, 1400);
    const other = runOnce({ ...first, config: configOf({ interfaces: [{ match: {}, mtu: 1300 }] }) });
    expect(mtuOf(other)).toBe(1300);
    expect(other.host.state.nics[macOf(2)]?.mtu).toEqual({ before: 1500, value: 1300 });
    const back = runOnce({ ...runOnce(other), config: configOf() });
    expect(mtuOf(back)).toBe(1500);
    expect(back.host.state.nics[macOf(2)]?.mtu).toBeNull();
  });

  test('goes with the NIC', () => {
    expect(mtuOf(runOnce({ ...settled({}, 1400), metadata: instance([PRIMARY]) }))).toBe(1500);
  });

  test('is kept by whoever changed it since', () => {
    const first = settled({}, 1400);
    const links = first.host.links.map((entry) => ({ ...entry, mtu: 9000 }));
    const after = runOnce({ ...first, host: { ...first.host, links }, metadata: instance([PRIMARY]) });
    expect(mtuOf(after)).toBe(9000);
  });

  test('is none where the value was right already', () => {
    expect(settled({}, 1500).host.state.nics[macOf(2)]?.mtu).toBeNull();
  });

  test('of a sysctl is remembered from before the first run', () => {
    const sysctls = { rp_filter: 1, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 };
    const links = [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', { sysctls })];
    const twice = runOnce(settled({ links }));
    expect(twice.host.state.nics[macOf(2)]?.sysctls).toEqual({
      rp_filter: { before: 1, value: 2 },
      promote_secondaries: { before: 0, value: 1 },
    });
  });

  test('of a sysctl is still the first one when somebody changed it meanwhile and it was set again', () => {
    const first = settled({ allSysctls: { rp_filter: 1 } });
    const links = first.host.links.map((entry) => ({
      ...entry,
      sysctls: { ...entry.sysctls, rp_filter: 1 },
    }));
    const again = runOnce({ ...first, host: { ...first.host, links } });
    expect(again.host.state.nics[macOf(2)]?.sysctls.rp_filter).toEqual({ before: 0, value: 2 });
  });
});
