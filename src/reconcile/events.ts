/**
 * What a run came to, for the operator's hooks: out of what was ours before it and what is after its verification. Pure. So what was
 * rolled back, and drift that was repaired, is no event; and an address that the kernel took away with its link is one.
 */
import type { EventName, NetworkEvent } from '../model/events.ts';
import { formatInterfaceAddress, type InterfaceAddress, type MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, NicState } from '../model/state.ts';
import type { View } from './look.ts';
import type { ReconcileOutcome } from './outcome.ts';

type Nics = AgentState['nics'];

/** `nics`: what is ours after it. */
export function eventsOfRun(
  { host, reading }: Pick<View, 'host' | 'reading'>,
  nics: Nics,
  { steps, held, lapsed }: Pick<ReconcileOutcome, 'steps' | 'held' | 'lapsed'>,
): readonly NetworkEvent[] {
  const present = host.links.flatMap(({ permanentMac, mac, addresses }) =>
    addresses.map(({ address, prefixLength }) => ({ mac: permanentMac ?? mac, address, prefixLength })),
  );
  const facts = { present, done: steps, undone: [...held, ...lapsed] };
  return eventsBetween(host.state.nics, nics, reading.metadata.primaryMac, facts);
}

/** Of a change that was confirmed, by its steps. What was on the links before it is taken for granted. */
export function eventsOfTrial(
  before: Nics,
  after: Nics,
  primaryMac: MacAddress | undefined,
  done: readonly Step[],
): readonly NetworkEvent[] {
  const present = Object.entries(before).flatMap(([mac, { addresses }]) =>
    addresses.map((address) => ({ ...address, mac: mac as MacAddress })),
  );
  return eventsBetween(before, after, primaryMac, { present, done, undone: [] });
}

export interface RunFacts {
  /** What was on the links before. */
  readonly present: readonly PresentAddress[];
  /** The steps that were done and stayed. */
  readonly done: readonly Step[];
  /** Those that were not due. */
  readonly undone: readonly Step[];
}

export interface PresentAddress extends InterfaceAddress {
  readonly mac: MacAddress | null;
}

/** But for what became ours and is not there yet, and for what is ours no more and stays (`excludeAddresses`). */
export function eventsBetween(
  before: Nics,
  after: Nics,
  primaryMac: MacAddress | undefined,
  { present, done, undone }: RunFacts,
): readonly NetworkEvent[] {
  const missing = addressKeys('add-address', undone);
  const removed = addressKeys('remove-address', done);
  const staying = new Set(
    present.map(({ mac, ...address }) => keyOf(mac, address)).filter((key) => !removed.has(key)),
  );
  return differences(before, after, primaryMac).filter(({ name, mac, address }) => {
    if (address === null) return true;
    const key = keyOf(mac, address);
    return name === 'address-added' ? !missing.has(key) : !staying.has(key);
  });
}

function addressKeys(kind: 'add-address' | 'remove-address', steps: readonly Step[]): ReadonlySet<string> {
  return new Set(steps.flatMap((step) => (step.kind === kind ? [keyOf(step.mac, step.arguments)] : [])));
}

function keyOf(mac: MacAddress | null, address: InterfaceAddress): string {
  return `${mac} ${formatInterfaceAddress(address)}`;
}

/** What goes comes first: an address may move from one NIC to another. The primary NIC is there for life. */
function differences(before: Nics, after: Nics, primaryMac: MacAddress | undefined): readonly NetworkEvent[] {
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
  return nic?.detachedAt === null && nic.addresses.length + nic.files.length > 0;
}
