/** Slot n of a NIC gives it table and rule priority tableBase + n. Remembered by MAC, never derived from order or ifindex. */
import type { HostState, Route } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { NicState } from '../model/state.ts';
import type { CloudNic } from './nics.ts';

export const SLOTS = 256;
const PRIMARY_SLOT = 0;

export interface SlotOptions {
  readonly tableBase: number;
  /** Our rtnetlink protocol: what carries it in our window is ours. */
  readonly protocol: number;
}

/** The slot of a NIC, or what of others is in its table. */
export type SlotChoice = { readonly slot: number; readonly inUse: string | null };

/** Chooses for each NIC in turn: the primary has slot 0, a known MAC its old slot, a new one the lowest free. */
export function chooseSlots(
  nics: readonly CloudNic[],
  host: HostState,
  options: SlotOptions,
): ReadonlyMap<MacAddress, SlotChoice> {
  const chosen = new Map<MacAddress, SlotChoice>();
  const taken = new Set<number>([PRIMARY_SLOT]);
  for (const { slot } of Object.values(host.state.nics)) taken.add(slot);
  for (const nic of nics) {
    const slot = knownSlot(nic, host) ?? newSlot(nic, host, taken, options);
    taken.add(slot);
    chosen.set(nic.mac, { slot, inUse: foreignUse(slot, nic, host, options) });
  }
  return chosen;
}

function knownSlot(nic: CloudNic, host: HostState): number | undefined {
  if (nic.role === 'primary') return PRIMARY_SLOT;
  const slot = host.state.nics[nic.mac]?.slot;
  return slot === PRIMARY_SLOT ? undefined : slot;
}

/** A table that the kernel still has for this NIC (the state file was lost), else the lowest free, else the longest detached. */
function newSlot(nic: CloudNic, host: HostState, taken: ReadonlySet<number>, options: SlotOptions): number {
  const free = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => !taken.has(slot));
  return (
    free.find((slot) => servesAlready(options.tableBase + slot, nic, host)) ??
    free.find((slot) => foreignUse(slot, nic, host, options) === null) ??
    longestDetached(host, taken, new Set(free)) ??
    free[0] ??
    SLOTS - 1
  );
}

function servesAlready(table: number, { link }: CloudNic, host: HostState): boolean {
  const byRule = host.rules.some((rule) => rule.table === table && rule.outputInterface === link.ifname);
  return byRule || host.routes.some((route) => route.table === table && leavesBy(route, link.index));
}

function longestDetached(
  host: HostState,
  taken: ReadonlySet<number>,
  free: ReadonlySet<number>,
): number | undefined {
  const detached = Object.values(host.state.nics).filter(
    (nic): nic is NicState & { detachedAt: string } =>
      nic.detachedAt !== null && taken.has(nic.slot) && !free.has(nic.slot) && nic.slot !== PRIMARY_SLOT,
  );
  return detached.toSorted((a, b) => a.detachedAt.localeCompare(b.detachedAt))[0]?.slot;
}

/** What somebody else has in this slot's table or at its priority, in words; null when nothing. */
function foreignUse(
  slot: number,
  nic: CloudNic,
  host: HostState,
  { tableBase, protocol }: SlotOptions,
): string | null {
  const table = tableBase + slot;
  const route = host.routes.find(
    (entry) =>
      entry.table === table &&
      entry.protocol !== protocol &&
      entry.nexthops.length > 0 &&
      !leavesBy(entry, nic.link.index),
  );
  if (route !== undefined) return `table ${table} has a route to ${route.destination} by another interface`;
  const rule = host.rules.find((entry) => entry.priority === table && entry.table !== table);
  return rule === undefined
    ? null
    : `priority ${table} has a rule of somebody else (it looks up ${rule.table})`;
}

function leavesBy(route: Route, linkIndex: number): boolean {
  return route.nexthops.some((nexthop) => nexthop.linkIndex === linkIndex);
}
