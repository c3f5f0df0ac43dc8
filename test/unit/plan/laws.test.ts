/** What holds for every host, cloud and configuration: the invariants of the contract, over a simulated kernel. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DesiredInterface, DesiredRoute } from '../../../src/model/desired.ts';
import { isOurs } from '../../../src/model/files.ts';
import { type HostState, MAIN_TABLE, type Route, type Rule } from '../../../src/model/host.ts';
import { isSameMark } from '../../../src/model/mark.ts';
import { gatewayOf, type NicMetadata, primaryAddress } from '../../../src/model/metadata.ts';
import {
  type Cidr,
  cidrContains,
  defaultCidr,
  familyOf,
  formatInterfaceAddress,
  hostCidr,
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
  networkOf,
  splitCidr,
} from '../../../src/model/net.ts';
import type { Plan, Step } from '../../../src/model/plan.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import { settledNics } from '../../../src/reconcile/ownership.ts';
import { dumpHost, OUR_PROTOCOL, TABLE_BASE } from '../builders.ts';
import { anyChange, anyRecipe, changed, FULL_TIMEOUT_MS, RUNS, worldOf } from '../scenarios.ts';
import { applyToHost, lookAt, replay, runOnce, type World } from '../simulator.ts';

const SLOTS = 256;

function isInWindow(table: number): boolean {
  return table >= TABLE_BASE && table < TABLE_BASE + SLOTS;
}

function lines({ steps }: Plan): readonly string[] {
  return steps.map(describeStep);
}

/** From any state of the host; and once set up, after a change in the cloud, on the host and in the configuration. */
function forAll(holds: (world: World) => void): void {
  const property = fc.property(anyRecipe, fc.option(anyChange), (recipe, change) => {
    const world = worldOf(recipe);
    holds(change === null ? world : changed(runOnce(world), recipe, change));
  });
  fc.assert(property, { numRuns: RUNS });
}

describe('a second run', () => {
  test('has no step and nothing new to remember', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const after = runOnce(world);
      const { plan, desired } = lookAt(after);
      expect(lines(plan)).toEqual([]);
      const { nics } = after.host.state;
      expect(settledNics(nics, desired.interfaces, [], 'later')).toEqual(nics);
    });
  });
});

describe('one answer that lists less', () => {
  test('changes nothing before another one agrees', { timeout: FULL_TIMEOUT_MS }, () => {
    const property = fc.property(anyRecipe, anyChange, (recipe, change) => {
      const before = runOnce(worldOf(recipe));
      const counts = recipe.nics.map(({ count }, index) => Math.min(count, change.counts[index] ?? count));
      const detached = change.detached.map((how) =>
        how === 'no' ? ('no' as const) : ('link-stays' as const),
      );
      const { primary } = recipe;
      const less = changed(before, recipe, { counts, detached, isRenamed: false, released: [], primary });
      const { steps } = lookAt(less).plan;
      expect(steps.filter(({ withdrawal }) => !withdrawal).map(describeStep)).toEqual([]);
    });
    fc.assert(property, { numRuns: RUNS });
  });
});

describe('what is not ours', () => {
  test('no step is about another table, another priority or a default of main', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { steps } = lookAt(world).plan;
      const astray = steps.filter((step) => {
        if (step.kind === 'add-route' || step.kind === 'remove-route') return !isOurRoute(step, world);
        if (step.kind !== 'add-rule' && step.kind !== 'remove-rule') return false;
        return !isInWindow(step.arguments.priority) || step.arguments.table !== step.arguments.priority;
      });
      expect(astray.map(describeStep)).toEqual([]);
    });
  });

  function isOurRoute(
    { mac, arguments: route }: Step & { readonly arguments: Route },
    world: World,
  ): boolean {
    if (route.table !== MAIN_TABLE) return isInWindow(route.table);
    const settings = world.config.interfaces.find(({ match }) => match.mac === mac);
    const known = [...(settings?.routes ?? []), ...(world.host.state.nics[mac]?.routes ?? [])];
    return (
      route.destination !== defaultCidr(route.family) && known.some(({ to }) => to === route.destination)
    );
  }

  test('only listed addresses are added, only owned ones removed, excluded ones neither', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { steps } = lookAt(world).plan;
      const astray = steps.filter((step) => {
        if (step.kind !== 'add-address' && step.kind !== 'remove-address') return false;
        const known = step.kind === 'add-address' ? listedOn(step.mac, world) : ownedBy(step.mac, world.host);
        const text = formatInterfaceAddress(step.arguments);
        return (
          !known.map(formatInterfaceAddress).includes(text) ||
          isExcluded(step.mac, step.arguments.address, world) ||
          text === primaryAddressText(world)
        );
      });
      expect(astray.map(describeStep)).toEqual([]);
    });
  });

  test('everything of others is there afterwards as it was before', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const { plan } = lookAt(world);
      const after = applyToHost(world.host, plan.steps);
      expect(ofOthers(after, world)).toEqual(ofOthers(world.host, world));
    });
  });

  test('a NIC that is put off has no step, unless it gives back what was ours', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { plan } = lookAt(world);
      const { released } = world.host.state;
      const putOff = new Set(plan.deferrals.map(({ mac }) => mac));
      const steps = plan.steps.filter(({ mac }) => putOff.has(mac));
      expect(steps.filter(({ mac }) => !released.includes(mac))).toEqual([]);
      for (const { kind, reason, withdrawal } of steps) {
        expect(kind).toMatch(/^remove-|^set-(mtu|sysctl)$/);
        expect({ reason, withdrawal }).toEqual({ reason: 'released', withdrawal: false });
      }
    });
  });

  /** Rules and routes outside of the window (main's connected ones go with our own addresses), and addresses. */
  function ofOthers(host: HostState, { host: before, metadata }: World): readonly string[] {
    const ours = new Set([
      ...metadata.nics.flatMap(({ addresses }) => addresses.map(formatInterfaceAddress)),
      ...Object.values(before.state.nics).flatMap(({ addresses }) => addresses.map(formatInterfaceAddress)),
    ]);
    const ownedRoutes = new Set<string>(
      Object.values(before.state.nics).flatMap(({ routes }) => routes.map(({ to }) => to)),
    );
    const kept = {
      ...host,
      links: host.links.map((link) => ({
        ...link,
        up: true,
        mtu: 0,
        sysctls: before.allSysctls,
        addresses: link.addresses.filter((entry) => !ours.has(formatInterfaceAddress(entry))),
      })),
      routes: host.routes.filter(
        ({ table, protocol, destination }) =>
          !isInWindow(table) && protocol !== 2 && protocol !== OUR_PROTOCOL && !ownedRoutes.has(destination),
      ),
      rules: host.rules.filter(({ priority, foreign }) => foreign || !isInWindow(priority)),
      // All of one table, and that is ours.
      marks: [],
      files: host.files.filter((file) => !isOurs(file)),
    };
    return dumpHost(kept);
  }
});

describe('order without a gap', () => {
  test('an address that is added is answered by its NIC from its first instant', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { desired, plan } = lookAt(world);
      for (const [index, step] of plan.steps.entries()) {
        if (step.kind !== 'add-address') continue;
        const nic = desired.interfaces.find(({ mac }) => mac === step.mac);
        if (nic === undefined || nic.rules.length === 0) continue;
        const host = applyToHost(world.host, plan.steps.slice(0, index));
        expect(gapOf(step.arguments.address, nic, host, world)).toBeNull();
      }
    });
  });

  test('an address that is answered stays so until it is gone', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const { desired, plan } = lookAt(world);
      const states = replay(world.host, plan.steps);
      for (const nic of desired.interfaces) {
        // A primary that needs no table any more answers by main.
        if (nic.role === 'primary' && nic.rules.length === 0) continue;
        for (const entry of watched(nic, world)) {
          // It outlives the table of a NIC that is given back: nobody removes what is excluded.
          if (!nic.attached && isExcluded(nic.mac, entry.address, world)) continue;
          if (gapOf(entry.address, nic, world.host, world) !== null) continue;
          const gaps = states
            .filter((host) => isOnLink(entry, nic, host))
            .map((host) => gapOf(entry.address, nic, host, world));
          expect(gaps.filter((gap) => gap !== null)).toEqual([]);
        }
      }
    });
  });

  test('the routes of a table are there as long as a rule leads to it', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const { plan, desired } = lookAt(world);
      const states = replay(world.host, plan.steps);
      for (const { table } of desired.interfaces.filter((nic) => hasDefault(nic.table, world.host))) {
        const last = plan.steps[states.findIndex((host) => !hasDefault(table, host)) - 1];
        // One that others left there, without a refusal beside it, goes with the last address, by the kernel's hand.
        if (last?.kind === 'remove-address') continue;
        const bare = states.filter(
          (host) =>
            !hasDefault(table, host) && host.rules.some((rule) => rule.table === table && !rule.foreign),
        );
        expect(bare).toEqual([]);
      }
    });
  });

  test('the primary answers from before the first address of a secondary', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { desired, plan } = lookAt(world);
      const primary = desired.interfaces.find(({ role }) => role === 'primary');
      const first = plan.steps.findIndex(({ kind, mac }) => kind === 'add-address' && mac !== primary?.mac);
      if (primary === undefined || primary.rules.length === 0 || first < 0) return;
      const host = applyToHost(world.host, plan.steps.slice(0, first));
      for (const { address } of listedOn(primary.mac, world)) {
        if (isExcluded(primary.mac, address, world)) continue;
        expect(gapOf(address, primary, host, world)).toBeNull();
      }
    });
  });

  test('the primary answers until after the last address of a secondary', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { plan } = lookAt(world);
      const { primaryMac } = world.metadata;
      const last = plan.steps.findLastIndex(
        ({ kind, mac }) => kind === 'remove-address' && mac !== primaryMac,
      );
      const isAsked = world.config.routing.primary === 'never';
      const early = plan.steps
        .slice(0, last + 1)
        .filter(({ mac, kind, withdrawal }) => mac === primaryMac && kind.startsWith('remove-') && withdrawal)
        .filter(({ arguments: args }) => 'table' in args && args.table === TABLE_BASE)
        .filter((step) => !isReplaced(step, plan));
      expect(isAsked ? [] : early.map(describeStep)).toEqual([]);
    });
  });

  test('a rule that moves is deleted before it is added', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const { steps } = lookAt(world).plan;
      for (const [index, step] of steps.entries()) {
        if (step.kind !== 'add-rule') continue;
        const late = steps
          .slice(index)
          .filter(
            (later) => later.kind === 'remove-rule' && hasSameSelector(later.arguments, step.arguments),
          );
        expect(late.map(describeStep)).toEqual([]);
      }
    });
  });

  test('a link is up before anything goes through it, and no step ever takes one down', {
    timeout: FULL_TIMEOUT_MS,
  }, () => {
    forAll((world) => {
      const { steps } = lookAt(world).plan;
      for (const [index, step] of steps.entries()) {
        if (step.kind !== 'set-link-up') continue;
        const early = steps
          .slice(0, index)
          .filter(({ kind, mac }) => mac === step.mac && (kind === 'add-route' || kind === 'add-address'));
        expect(early.map(describeStep)).toEqual([]);
      }
    });
  });

  /** Another route to the same destination is added in its place. */
  function isReplaced(step: Step, { steps }: Plan): boolean {
    if (step.kind !== 'remove-route') return false;
    const { table, destination } = step.arguments;
    return steps.some(
      ({ kind, arguments: args }) =>
        kind === 'add-route' && args.table === table && args.destination === destination,
    );
  }

  function hasSameSelector(a: Omit<Rule, 'foreign'>, b: Omit<Rule, 'foreign'>): boolean {
    return (
      a.family === b.family &&
      a.source === b.source &&
      a.outputInterface === b.outputInterface &&
      isSameMark(a.mark, b.mark)
    );
  }

  function hasDefault(table: number, host: HostState): boolean {
    return host.routes.some((route) => route.table === table && route.destination === defaultCidr(4));
  }

  /** Addresses of a NIC that we have a say in: what it should have, and what we put there. */
  function watched(nic: DesiredInterface, { host }: World): readonly InterfaceAddress[] {
    const known = [...nic.addresses, ...ownedBy(nic.mac, host)];
    const link = host.links.find(({ index }) => index === nic.linkIndex);
    return known.filter((entry) => link?.addresses.some((present) => present.address === entry.address));
  }

  function isOnLink({ address }: InterfaceAddress, nic: DesiredInterface, host: HostState): boolean {
    const link = host.links.find(({ index }) => index === nic.linkIndex);
    return link?.addresses.some((entry) => entry.address === address) ?? false;
  }

  /** What keeps replies of the address from leaving by its NIC; null when nothing does. */
  function gapOf(
    address: IpAddress,
    { mac, table, linkIndex }: DesiredInterface,
    host: HostState,
    { metadata }: World,
  ): string | null {
    const family = familyOf(address);
    const first = host.rules
      .filter((rule) => !rule.foreign && rule.source === hostCidr(address) && isInWindow(rule.priority))
      .toSorted((a, b) => a.priority - b.priority)[0];
    if (first?.table !== table) return `${address}: first rule is ${first?.table ?? 'none'}, not ${table}`;
    const reading = metadata.nics.find((entry) => entry.mac === mac);
    const gateway = reading === undefined ? undefined : gatewayOf(reading, family);
    const best = host.routes
      .filter((route) => route.table === table && route.destination === defaultCidr(family))
      .toSorted((a, b) => a.metric - b.metric)[0];
    const leg = best?.nexthops[0];
    if (leg?.linkIndex !== linkIndex) return `${address}: no default by its NIC in ${table}`;
    return gateway === undefined || leg.gateway === gateway ? null : `${address}: default via ${leg.gateway}`;
  }
});

describe('the table of each NIC', () => {
  test('throws exactly what main routes beyond the NICs of the cloud', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      for (const nic of lookAt(world).desired.interfaces.filter(({ routes }) => routes.length > 0)) {
        const routes = nic.routes.filter(({ family }) => family === 4);
        const own = new Set<string>(routes.filter(({ type }) => type !== 'throw').map(destinationOf));
        const throws = routes.filter(({ type }) => type === 'throw').map(destinationOf);
        const expected = beyondTheCloud(world, nic).filter((destination) => !own.has(destination));
        expect(throws.toSorted()).toEqual([...new Set(expected)].toSorted());
      }
    });
  });

  /** Longer than /1, and by no NIC of the cloud; or by this very NIC (but for zeroconf, which would hide the metadata). */
  function beyondTheCloud(world: World, { mac }: DesiredInterface): readonly string[] {
    if (world.config.routing.localRoutes === 'off') return [];
    const clouds = cloudLinks(world);
    return world.host.routes
      .filter(({ table, family, type }) => table === MAIN_TABLE && family === 4 && type !== 'other')
      .filter(({ destination }) => Number(destination.split('/')[1]) > 1)
      .filter(({ nexthops: [leg] }) => {
        const owner = clouds.get(leg?.linkIndex ?? 0);
        return owner === undefined || owner === mac;
      })
      .map(destinationOf)
      .filter((destination) => destination !== '169.254.0.0/16');
  }

  function destinationOf({ destination }: { readonly destination: string }): string {
    return destination;
  }

  test('leads to the subnet of every other NIC by its own gateway', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      for (const nic of lookAt(world).desired.interfaces.filter(({ routes }) => routes.length > 0)) {
        const reading = world.metadata.nics.find(({ mac }) => mac === nic.mac);
        for (const family of [4, 6] as const) {
          const own = reading && subnetOf(reading, family);
          if (reading === undefined || own === undefined) continue;
          const expected = world.metadata.nics
            .flatMap((other) => subnetOf(other, family) ?? [])
            .filter((subnet) => subnet !== own);
          const found = nic.routes
            .filter(
              (route) =>
                route.gateway === gatewayOf(reading, family) && route.destination !== defaultCidr(family),
            )
            .map(({ destination }) => destination);
          const needless = found.filter(
            (one) => !expected.includes(one) && longestMatch(nic, one, 'throw') === undefined,
          );
          expect(found).toEqual(expect.arrayContaining(expected));
          expect(needless).toEqual([]);
        }
      }
    });
  });

  test('throws nothing to what main sends by another NIC of the cloud', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const after = runOnce(world);
      const listed = new Set(after.metadata.nics.map(({ mac }) => mac));
      const clouds = cloudLinks(after);
      for (const nic of lookAt(after).desired.interfaces) {
        const astray = after.host.routes
          .filter(({ table, nexthops: [leg] }) => {
            const owner = clouds.get(leg?.linkIndex ?? 0);
            return table === MAIN_TABLE && owner !== undefined && listed.has(owner) && owner !== nic.mac;
          })
          .filter(({ destination }) => longestMatch(nic, destination)?.type === 'throw');
        expect(astray.map(destinationOf)).toEqual([]);
      }
    });
  });

  /** As the kernel looks up the first address of a network. */
  function longestMatch({ routes }: DesiredInterface, destination: Cidr, type?: DesiredRoute['type']) {
    const { address } = splitCidr(destination);
    return routes
      .filter((route) => type === undefined || route.type === type)
      .filter((route) => cidrContains(route.destination, address))
      .toSorted((a, b) => splitCidr(b.destination).prefixLength - splitCidr(a.destination).prefixLength)[0];
  }

  test('has one way out for each family, and refuses the rest', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      for (const { routes } of lookAt(world).desired.interfaces) {
        const defaults = routes.filter(({ destination }) => destination === '0.0.0.0/0');
        expect(defaults.map(({ type }) => type)).toEqual(
          routes.length === 0 ? [] : ['unicast', 'unreachable'],
        );
      }
    });
  });

  function subnetOf(reading: NicMetadata, family: 4 | 6) {
    const primary = primaryAddress(reading, family);
    return primary === undefined ? undefined : networkOf(primary);
  }
});

describe('slots', () => {
  test('are unique, and 0 is the primary alone', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const { interfaces } = lookAt(world).desired;
      const slots = interfaces.map(({ slot }) => slot);
      expect(new Set(slots).size).toBe(slots.length);
      const zero = interfaces.filter(({ slot, attached }) => slot === 0 && attached);
      expect(zero.every(({ role }) => role === 'primary')).toBe(true);
    });
  });

  test('stay with their NICs whatever comes, goes and is renamed', { timeout: FULL_TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(anyRecipe, anyChange, (recipe, change) => {
        const first = runOnce(worldOf(recipe));
        const second = runOnce(changed(first, recipe, change));
        const back = {
          ...second,
          metadata: first.metadata,
          host: { ...second.host, links: first.host.links },
        };
        const third = runOnce(back);
        for (const [mac, { slot }] of Object.entries(first.host.state.nics)) {
          expect(third.host.state.nics[mac as MacAddress]?.slot).toBe(slot);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('are found again in the kernel when the state is lost', { timeout: FULL_TIMEOUT_MS }, () => {
    forAll((world) => {
      const clean = { ...world, config: { ...world.config, interfaces: [] } };
      const first = runOnce(runOnce(clean));
      const { nics } = first.host.state;
      const forgetful = { ...first, host: { ...first.host, state: { ...first.host.state, nics: {} } } };
      for (const { mac, slot } of lookAt(forgetful).desired.interfaces) expect(slot).toBe(nics[mac]?.slot);
    });
  });
});

/** Links that are, or were until now, NICs of the cloud: by index, with their MAC. */
function cloudLinks({ host, metadata }: World): ReadonlyMap<number, MacAddress> {
  const macs = [...metadata.nics.map(({ mac }) => mac), ...(Object.keys(host.state.nics) as MacAddress[])];
  const links = host.links.flatMap(({ index, mac }): [number, MacAddress][] =>
    mac !== null && macs.includes(mac) ? [[index, mac]] : [],
  );
  return new Map(links);
}

function listedOn(mac: MacAddress, { metadata }: World): readonly InterfaceAddress[] {
  return metadata.nics.find((nic) => nic.mac === mac)?.addresses ?? [];
}

function ownedBy(mac: MacAddress, { state }: HostState): readonly InterfaceAddress[] {
  return state.nics[mac]?.addresses ?? [];
}

function isExcluded(mac: MacAddress, address: IpAddress, { config }: World): boolean {
  const settings = config.interfaces.find(({ match }) => match.mac === mac);
  return settings?.excludeAddresses.some((network) => cidrContains(network, address)) ?? false;
}

function primaryAddressText({ metadata }: World): string {
  const [first] = metadata.nics.find(({ mac }) => mac === metadata.primaryMac)?.addresses ?? [];
  return first === undefined ? '' : formatInterfaceAddress(first);
}
