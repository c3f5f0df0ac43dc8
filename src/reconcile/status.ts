/** What is, what should be, and what is in between, per NIC and per address. Pure; never asks the metadata service. */
import { findLink } from '../desired/nics.ts';
import type { Backend, Config } from '../model/config.ts';
import type { Deferral, DesiredInterface, DesiredState, Role } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import { gatewayOf, type InstanceMetadata, type NicMetadata, primaryAddress } from '../model/metadata.ts';
import {
  cidrContains,
  compareIpAddresses,
  familyOf,
  formatInterfaceAddress,
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
} from '../model/net.ts';
import type { NicStatusName } from '../model/nic-states.ts';
import type { Plan, Step } from '../model/plan.ts';
import { describeStep } from '../plan/describe.ts';
import { isDegrading } from './outcome.ts';

export type AddressStateName = 'configured' | 'missing' | 'excluded' | 'foreign' | 'stale';

export interface AddressStatus extends InterfaceAddress {
  readonly primary: boolean;
  readonly state: AddressStateName;
}

export interface NicStatus {
  readonly name: string | null;
  readonly mac: MacAddress;
  readonly role: Role;
  readonly state: NicStatusName;
  /** null while it has none. */
  readonly table: number | null;
  readonly gateway: IpAddress | null;
  readonly persistence: Backend;
  readonly addresses: readonly AddressStatus[];
  readonly reason: string | null;
}

export type OverallState = 'in-sync' | 'pending' | 'degraded' | 'failed';

export interface StatusInput {
  readonly answer: InstanceMetadata;
  readonly host: HostState;
  readonly desired: DesiredState;
  readonly plan: Plan;
  readonly config: Config;
  /** What somebody else keeps undoing, in words. */
  readonly fights: ReadonlyMap<MacAddress, string>;
  /** Steps of the plan that are not done since they were rolled back before. */
  readonly lapsed: readonly Step[];
}

/** Every NIC that the last good answer lists, and those that are gone but not cleared; the primary first. */
export function nicStatuses(input: StatusInput): readonly NicStatus[] {
  const listed = new Set([...input.answer.nics, ...input.answer.invalid].map(({ mac }) => mac));
  const gone = input.desired.interfaces.filter(({ mac }) => !listed.has(mac)).map(({ mac }) => mac);
  const awaited = input.desired.deferrals.map(({ mac }) => mac);
  const statuses = [...new Set([...listed, ...gone, ...awaited])].map((mac) => nicStatus(mac, input));
  return statuses.toSorted((a, b) => rank(a) - rank(b));
}

/** The primary, then by table, then those without one. */
function rank({ role, table }: NicStatus): number {
  return role === 'primary' ? -1 : (table ?? Number.MAX_SAFE_INTEGER);
}

export function overallState(nics: readonly NicStatus[]): OverallState {
  const states = new Set(nics.map(({ state }) => state));
  if (states.has('failed') || states.has('degraded')) return 'degraded';
  return states.has('pending') || states.has('detached') ? 'pending' : 'in-sync';
}

function nicStatus(mac: MacAddress, input: StatusInput): NicStatus {
  const { answer, host, desired, config } = input;
  const nic = desired.interfaces.find((entry) => entry.mac === mac);
  const reading = answer.nics.find((entry) => entry.mac === mac);
  const link = findLink(mac, host.links);
  const slot = nic?.slot ?? host.state.nics[mac]?.slot;
  const { state, reason } = stateOf(mac, input);
  return {
    name: link?.ifname ?? host.state.nics[mac]?.ifname ?? null,
    mac,
    role: mac === answer.primaryMac ? 'primary' : 'secondary',
    state,
    table: slot === undefined ? null : config.routing.tableBase + slot,
    gateway: reading === undefined ? null : (gatewayOf(reading, 4) ?? gatewayOf(reading, 6) ?? null),
    persistence: (nic?.files?.present.length ?? 0) > 0 ? desired.backend.backend : 'none',
    addresses: addressStatuses({ reading, nic, link, host }),
    reason,
  };
}

function stateOf(
  mac: MacAddress,
  { desired, plan, host, fights, lapsed }: StatusInput,
): Pick<NicStatus, 'state' | 'reason'> {
  const deferral = desired.deferrals.find((entry) => entry.mac === mac);
  if (deferral !== undefined) return { state: stateOfDeferral(deferral), reason: deferral.detail };
  const steps = plan.steps.filter((step) => step.mac === mac);
  const problem = plan.problems.find((entry) => entry.mac === mac);
  if (problem !== undefined) return { state: 'degraded', reason: problem.message };
  const [first, ...others] = steps;
  if (first === undefined) return { state: 'in-sync', reason: null };
  const own = lapsed.filter((step) => step.mac === mac);
  if (own.length > 0) return { state: 'degraded', reason: reasonOfLapse(own) };
  const fight = fights.get(mac);
  if (fight !== undefined) return { state: 'degraded', reason: fight };
  const failure = host.state.lastRun?.failures.find((entry) => entry.mac === mac);
  if (failure !== undefined) return { state: 'failed', reason: failure.message };
  if (desired.interfaces.some((nic) => nic.mac === mac && !nic.attached)) {
    return {
      state: 'detached',
      reason: 'the metadata does not list it any more; what is left of it is yet to be cleared',
    };
  }
  return { state: 'pending', reason: `to do: ${describeStep(first)}${andMore(others)}` };
}

function reasonOfLapse([first, ...others]: readonly Step[]): string {
  const what = first === undefined ? '' : `${describeStep(first)}${andMore(others)}`;
  return `rolled back since nobody confirmed it: ${what}; left undone until \`eni-agent reconfigure\`, or until the configuration is changed`;
}

function andMore(others: readonly Step[]): string {
  return others.length === 0 ? '' : ` and ${others.length} more`;
}

function stateOfDeferral(deferral: Deferral): NicStatusName {
  if (isDegrading(deferral)) return 'degraded';
  const { reason } = deferral;
  return reason === 'unmanaged' || reason === 'released' || reason === 'foreign-config' ? reason : 'pending';
}

interface Parts {
  readonly reading: NicMetadata | undefined;
  readonly nic: DesiredInterface | undefined;
  readonly link: Link | undefined;
  readonly host: HostState;
}

/** Listed ones in their order, primary first; then what else is on the link. */
function addressStatuses(parts: Parts): readonly AddressStatus[] {
  const { reading, nic, link } = parts;
  const listed: readonly InterfaceAddress[] = [
    ...(reading?.addresses ?? []),
    ...(nic?.addresses ?? []).filter(
      ({ address }) => !reading?.addresses.some((entry) => entry.address === address),
    ),
  ];
  const known = new Set(listed.map(({ address }) => address));
  const others = (link?.addresses ?? []).filter(
    ({ scope, address }) => scope === 'global' && !known.has(address),
  );
  return [
    ...listed.map((entry) => ({
      ...entry,
      primary: isPrimary(entry, reading),
      state: listedState(entry, parts),
    })),
    ...others
      .toSorted((a, b) => compareIpAddresses(a.address, b.address))
      .map(({ address, prefixLength }) => ({
        address,
        prefixLength,
        primary: false,
        state: unlistedState({ address, prefixLength }, parts),
      })),
  ];
}

function isPrimary({ address }: InterfaceAddress, reading: NicMetadata | undefined): boolean {
  return reading !== undefined && primaryAddress(reading, familyOf(address))?.address === address;
}

function listedState(entry: InterfaceAddress, { nic, link, reading }: Parts): AddressStateName {
  const { address } = entry;
  const isUntouchable = nic?.role === 'primary' && isPrimary(entry, reading);
  if (!isUntouchable && isExcluded(address, nic)) return 'excluded';
  return link?.addresses.some((entry) => entry.address === address) === true ? 'configured' : 'missing';
}

function unlistedState(entry: InterfaceAddress, { nic, host }: Parts): AddressStateName {
  if (nic === undefined) return 'foreign';
  if (isExcluded(entry.address, nic)) return 'excluded';
  const owned = host.state.nics[nic.mac]?.addresses.map(formatInterfaceAddress) ?? [];
  return owned.includes(formatInterfaceAddress(entry)) ? 'stale' : 'foreign';
}

function isExcluded(address: IpAddress, nic: DesiredInterface | undefined): boolean {
  return nic?.excluded.some((cidr) => cidrContains(cidr, address)) ?? false;
}
