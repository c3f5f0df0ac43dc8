/**
 * What the state file says we own, before and after a run. Pure. Written ahead of the kernel (the intent: what we have and what
 * we are about to have), so that whatever a killed run had done is known to be ours by the next one.
 */
import { findLink } from '../desired/nics.ts';
import type { DesiredInterface } from '../model/desired.ts';
import { originalPath } from '../model/files.ts';
import { type HostState, MAIN_TABLE } from '../model/host.ts';
import { compareIpAddresses, formatInterfaceAddress, type InterfaceAddress } from '../model/net.ts';
import type { Step, StepOf } from '../model/plan.ts';
import type { AgentState, NicState, OwnedRoute, OwnedValue } from '../model/state.ts';
import { SYSCTL_NAMES } from '../model/sysctl.ts';

type Nics = AgentState['nics'];

/** Everything that is ours now or would be if every step were done. */
export function intendedNics(
  nics: Nics,
  interfaces: readonly DesiredInterface[],
  steps: readonly Step[],
): Nics {
  return change(nics, interfaces, (desired) => {
    const now = nics[desired.mac];
    const then = ownedAfter(now, desired, steps);
    return now === undefined ? then : { ...then, ...union(now, then) };
  });
}

/**
 * A NIC whose steps were undone: its slot, and what we meant to have and is there after all. Not the rest of an intent, also of
 * that of a run that was killed: it would be taken for ours when somebody else puts it there.
 */
export function unchangedNic(
  { state, links, routes, files }: HostState,
  desired: DesiredInterface,
): NicState {
  const { slot, ifname, mac } = desired;
  const nothing = { detachedAt: null, addresses: [], routes: [], sysctls: {}, mtu: null, files: [] };
  const now: NicState = state.nics[mac] ?? { slot, ifname, ...nothing };
  const link = findLink(mac, links);
  const isThere = (path: string): boolean =>
    files.some((file) => [path, originalPath(path)].includes(file.path));
  const filed = { ...now, files: now.files.filter(isThere) };
  if (link === undefined) return filed;
  const onLink = new Set(link.addresses.map(formatInterfaceAddress));
  const throughLink = routes.filter(({ nexthops }) =>
    nexthops.some(({ linkIndex }) => linkIndex === link.index),
  );
  const ownSysctls = SYSCTL_NAMES.flatMap((name): [string, OwnedValue][] => {
    const owned = now.sysctls[name];
    return owned === undefined || link.sysctls[name] === owned.before ? [] : [[name, owned]];
  });
  return {
    ...filed,
    addresses: now.addresses.filter((entry) => onLink.has(formatInterfaceAddress(entry))),
    routes: now.routes.filter(({ to }) =>
      throughLink.some(({ table, destination }) => table === MAIN_TABLE && destination === to),
    ),
    sysctls: Object.fromEntries(ownSysctls),
    mtu: now.mtu?.before === link.mtu ? null : now.mtu,
  };
}

/** What is ours when every step of this NIC has been done; a NIC that is gone keeps its slot and nothing else. */
export function settledNics(
  nics: Nics,
  interfaces: readonly DesiredInterface[],
  steps: readonly Step[],
  at: string,
): Nics {
  return change(nics, interfaces, (desired) => {
    const then = ownedAfter(nics[desired.mac], desired, steps);
    return desired.attached ? then : { ...then, detachedAt: at };
  });
}

function change(
  nics: Nics,
  interfaces: readonly DesiredInterface[],
  next: (desired: DesiredInterface) => NicState,
): Nics {
  const changed = new Map(Object.entries(nics));
  for (const desired of interfaces) changed.set(desired.mac, next(desired));
  const holders = new Map(interfaces.filter(({ attached }) => attached).map(({ slot, mac }) => [slot, mac]));
  // The slot of a NIC that is gone for good went to another one.
  const kept = [...changed].filter(([mac, { slot }]) => (holders.get(slot) ?? mac) === mac);
  return Object.fromEntries(kept);
}

function ownedAfter(now: NicState | undefined, desired: DesiredInterface, steps: readonly Step[]): NicState {
  const own = steps.filter(({ mac }) => mac === desired.mac);
  const files = desired.files === null ? (now?.files ?? []) : writtenFiles(desired);
  return {
    slot: desired.slot,
    ifname: desired.ifname,
    detachedAt: null,
    addresses: ownedAddresses(now, desired, own),
    routes: ownedRoutes(now, desired, own),
    sysctls: ownedSysctls(now, desired, own),
    mtu: ownedMtu(now, desired, own),
    files,
  };
}

/** The distribution's file lists it for us: what it brings up at boot is ours. */
function isInFiles({ files }: DesiredInterface): boolean {
  return files !== null && files.present.length > 0;
}

/**
 * An address is ours when we added it, or when our file lists it (the distribution added it for us). One that was there before
 * us on the primary is not.
 */
function ownedAddresses(
  now: NicState | undefined,
  desired: DesiredInterface,
  steps: readonly Step[],
): readonly InterfaceAddress[] {
  const ours = new Set((now?.addresses ?? []).map(formatInterfaceAddress));
  for (const step of steps) if (step.kind === 'add-address') ours.add(formatInterfaceAddress(step.arguments));
  return desired.addresses
    .filter((entry) => isInFiles(desired) || ours.has(formatInterfaceAddress(entry)))
    .map(({ address, prefixLength }) => ({ address, prefixLength }))
    .toSorted((a, b) => compareIpAddresses(a.address, b.address));
}

function ownedRoutes(
  now: NicState | undefined,
  desired: DesiredInterface,
  steps: readonly Step[],
): readonly OwnedRoute[] {
  const ours = new Set<string>((now?.routes ?? []).map(({ to }) => to));
  for (const step of steps) {
    if (step.kind === 'add-route' && step.arguments.table === MAIN_TABLE)
      ours.add(step.arguments.destination);
  }
  return desired.mainRoutes.flatMap(({ destination, gateway }) => {
    return gateway === null || !ours.has(destination) ? [] : [{ to: destination, via: gateway }];
  });
}

function ownedSysctls(
  now: NicState | undefined,
  desired: DesiredInterface,
  steps: readonly Step[],
): NicState['sysctls'] {
  const owned: NicState['sysctls'] = Object.fromEntries(
    SYSCTL_NAMES.flatMap((name): [string, OwnedValue][] => {
      const wanted = desired.sysctls.find((entry) => entry.name === name);
      if (wanted === undefined) return [];
      const step = steps.find((entry) => entry.kind === 'set-sysctl' && entry.arguments.name === name) as
        | StepOf<'set-sysctl'>
        | undefined;
      const before = now?.sysctls[name]?.before ?? step?.arguments.before;
      return before === undefined ? [] : [[name, { before, value: wanted.value }]];
    }),
  );
  return owned;
}

function ownedMtu(
  now: NicState | undefined,
  desired: DesiredInterface,
  steps: readonly Step[],
): OwnedValue | null {
  if (desired.mtu === null) return null;
  const step = steps.find((entry) => entry.kind === 'set-mtu');
  const before = now?.mtu?.before ?? step?.arguments.before;
  return before === undefined ? null : { before, value: desired.mtu };
}

function writtenFiles({ files }: DesiredInterface): readonly string[] {
  if (files === null) return [];
  return [
    ...new Set([...files.present.map(({ path }) => path), ...files.displaced, ...files.vacant]),
  ].toSorted();
}

function union(
  now: NicState,
  then: NicState,
): Pick<NicState, 'addresses' | 'routes' | 'sysctls' | 'mtu' | 'files'> {
  const addresses = new Map(
    [...now.addresses, ...then.addresses].map((entry) => [formatInterfaceAddress(entry), entry]),
  );
  const routes = new Map([...now.routes, ...then.routes].map((entry) => [`${entry.to} ${entry.via}`, entry]));
  return {
    addresses: [...addresses.values()].toSorted((a, b) => compareIpAddresses(a.address, b.address)),
    routes: [...routes.values()],
    sysctls: { ...now.sysctls, ...then.sysctls },
    mtu: then.mtu ?? now.mtu,
    files: [...new Set([...now.files, ...then.files])].toSorted(),
  };
}
