/** Slot n of a NIC gives it table and rule priority tableBase + n. Remembered by MAC, never derived from order or ifindex. */
import type { HostState, Link, Route } from '../model/host.ts';
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

/** The primary has slot 0, a known MAC its old slot, a new one that which the kernel has for it, or the lowest free. */
export function chooseSlots(
  nics: readonly CloudNic[],
  host: HostState,
  options: SlotOptions,
): ReadonlyMap<MacAddress, SlotChoice> {
  const slots = new Map<MacAddress, number>();
  for (const nic of nics) {
    const slot = knownSlot(nic, host);
    if (slot !== undefined) slots.set(nic.mac, slot);
  }
  for (const nic of nics) {
    if (!slots.has(nic.mac)) slots.set(nic.mac, newSlot(nic, host, new Set(slots.values()), options));
  }
  return new Map(
    nics.map((nic) => {
      const slot = slots.get(nic.mac) ?? PRIMARY_SLOT;
      return [nic.mac, { slot, inUse: foreignUse(slot, nic, host, options) }];
    }),
  );
}

function knownSlot(nic: CloudNic, host: HostState): number | undefined {
  if (nic.role === 'primary') return PRIMARY_SLOT;
  const slot = host.state.nics[nic.mac]?.slot;
  return slot === PRIMARY_SLOT ? undefined : slot;
}

/** A table that the kernel still has for this NIC (the state file was lost), else the lowest free, else the longest detached. */
function newSlot(nic: CloudNic, host: HostState, chosen: ReadonlySet<number>, options: SlotOptions): number {
  const remembered = new Set(Object.values(host.state.nics).map(({ slot }) => slot));
  const free = Array.from({ length: SLOTS }, (_, slot) => slot).filter(
    (slot) => slot !== PRIMARY_SLOT && !chosen.has(slot) && !remembered.has(slot),
  );
  const mentioned = mentionedTables(host);
  return (
    free.find((slot) => {
      const table = options.tableBase + slot;
      return mentioned.has(table) && servesAlready(table, nic.link, host);
    }) ??
    free.find(
      (slot) => !mentioned.has(options.tableBase + slot) || !isUsedByAnother(slot, nic, host, options),
    ) ??
    longestDetached(host, chosen) ??
    free[0] ??
    SLOTS - 1
  );
}

/** Whether a table serves or is used by anybody is asked of these alone, not of all two hundred. */
function mentionedTables({ routes, rules }: HostState): ReadonlySet<number> {
  const mentioned = new Set(routes.map(({ table }) => table));
  for (const { table, priority } of rules) mentioned.add(table).add(priority);
  return mentioned;
}

function servesAlready(table: number, link: Link, host: HostState): boolean {
  const byRule = host.rules.some((rule) => rule.table === table && rule.outputInterface === link.ifname);
  return byRule || host.routes.some((route) => route.table === table && leavesBy(route, link.index));
}

/** By somebody else, or by a NIC of ours that the state does not know any more. */
function isUsedByAnother(slot: number, nic: CloudNic, host: HostState, options: SlotOptions): boolean {
  const others = host.links.filter(({ index }) => index !== nic.link.index);
  const isServing = others.some((link) => servesAlready(options.tableBase + slot, link, host));
  return isServing || foreignUse(slot, nic, host, options) !== null;
}

function longestDetached(host: HostState, chosen: ReadonlySet<number>): number | undefined {
  const detached = Object.values(host.state.nics).filter(
    (nic): nic is NicState & { detachedAt: string } =>
      nic.detachedAt !== null && !chosen.has(nic.slot) && nic.slot !== PRIMARY_SLOT,
  );
  return detached.toSorted((a, b) => (a.detachedAt < b.detachedAt ? -1 : 1))[0]?.slot;
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
