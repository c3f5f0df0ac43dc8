/**
 * What a run came to, for the operator's hooks: out of what was ours before it and what is after its verification. Pure. So what was
 * rolled back, and drift that was repaired, is no event; and an address that the kernel took away with its link is one.
 */
import type { EventName, NetworkEvent } from '../model/events.ts';
import { formatInterfaceAddress, type InterfaceAddress, type MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, NicState } from '../model/state.ts';

type Nics = AgentState['nics'];

/** But for what is left undone: it is ours to do, and not yet so. */
export function eventsOfRun(
  before: Nics,
  after: Nics,
  primaryMac: MacAddress | undefined,
  undone: readonly Step[],
): readonly NetworkEvent[] {
  const missing = new Set(
    undone.flatMap((step) => (step.kind === 'add-address' ? [keyOf(step.mac, step.arguments)] : [])),
  );
  return eventsBetween(before, after, primaryMac).filter(
    ({ mac, address }) => address === null || !missing.has(keyOf(mac, address)),
  );
}

function keyOf(mac: MacAddress, address: InterfaceAddress): string {
  return `${mac} ${formatInterfaceAddress(address)}`;
}

/** What goes comes first: an address may move from one NIC to another. The primary NIC is there for life. */
export function eventsBetween(
  before: Nics,
  after: Nics,
  primaryMac: MacAddress | undefined,
): readonly NetworkEvent[] {
  if (before === after) return [];
  const macs = [...new Set([...Object.keys(before), ...Object.keys(after)])] as MacAddress[];
  const nics = macs.toSorted((a, b) => slotOf(a, before, after) - slotOf(b, before, after));
  const gone = nics
    .toReversed()
    .flatMap((mac) => [
      ...addressEvents('address-removed', mac, before[mac], after[mac]),
      ...interfaceEvents('interface-detached', mac, before[mac], after[mac], primaryMac),
    ]);
  const come = nics.flatMap((mac) => [
    ...interfaceEvents('interface-attached', mac, after[mac], before[mac], primaryMac),
    ...addressEvents('address-added', mac, after[mac], before[mac]),
  ]);
  return [...gone, ...come];
}

function slotOf(mac: MacAddress, ...states: readonly Nics[]): number {
  return Math.max(...states.map((nics) => nics[mac]?.slot ?? 0));
}

/** Of the addresses that `one` has, and `other` does not. */
function addressEvents(
  name: EventName,
  mac: MacAddress,
  one: NicState | undefined,
  other: NicState | undefined,
): readonly NetworkEvent[] {
  if (one === undefined) return [];
  const others = new Set((other?.addresses ?? []).map(formatInterfaceAddress));
  return one.addresses
    .filter((address) => !others.has(formatInterfaceAddress(address)))
    .map((address) => ({ name, mac, ifname: one.ifname, address }));
}

function interfaceEvents(
  name: EventName,
  mac: MacAddress,
  one: NicState | undefined,
  other: NicState | undefined,
  primaryMac: MacAddress | undefined,
): readonly NetworkEvent[] {
  if (mac === primaryMac || !isSetUp(one) || isSetUp(other)) return [];
  return [{ name, mac, ifname: one.ifname, address: null }];
}

/** One whose first transaction was rolled back has its slot, and nothing else. */
function isSetUp(nic: NicState | undefined): nic is NicState {
  return nic?.detachedAt === null && nic.addresses.length > 0;
}
