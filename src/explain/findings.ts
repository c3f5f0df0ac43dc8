/** What was asked and what was found out: everything that a diagnosis and a story are made from. */
import { type Link, MAIN_TABLE, type Route } from '../model/host.ts';
import type { Flow, LookupAnswer, NicFacts, RuleDetails } from '../model/lookup.ts';
import { defaultCidr, FAMILIES, type IpAddress } from '../model/net.ts';
import type { Sysctls } from '../model/sysctl.ts';
import type { Decision } from './decide.ts';

/** One look-up: the question, the kernel's answer, and what decided. */
export interface Lookup {
  readonly flow: Flow;
  readonly answer: LookupAnswer;
  readonly decision: Decision;
}

export interface Findings {
  readonly forward: Lookup;
  /** Of the packet: the one that was asked for, or the kernel's choice; null when it has none. */
  readonly source: IpAddress | null;
  /** The machine takes packets to the source for its own. */
  readonly isSourceHere: boolean;
  /** Of a packet from the source back to the destination; null when there is nobody to reply to. */
  readonly reply: Lookup | null;
  /** The kernel does not take packets of the destination from the link that they come in by. */
  readonly isArrivalRefused: boolean;
  readonly world: World;
}

/** The machine around it. */
export interface World {
  readonly links: readonly Link[];
  readonly rules: readonly RuleDetails[];
  readonly routes: readonly Route[];
  readonly allSysctls: Sysctls;
  /** Those that have a link; empty while no answer of the metadata is known. */
  readonly nics: readonly NicFacts[];
  /** Tables and priorities from here on are the agent's. */
  readonly tableBase: number;
  readonly slots: number;
  /** The configuration lets the primary have rules and a table. */
  readonly isPrimaryRouted: boolean;
}

function linkAt(index: number | null, { links }: World): Link | undefined {
  return links.find((link) => link.index === index);
}

export function linkName(index: number | null, world: World): string {
  return linkAt(index, world)?.ifname ?? `link ${index}`;
}

/** The link that has the address, to be used: `preferred`, where it is one of them. */
export function linkOf(address: IpAddress, world: World, preferred: number | null): Link | undefined {
  const having = world.links.filter(({ addresses }) =>
    addresses.some((entry) => entry.address === address && !entry.duplicate),
  );
  return having.find(({ index }) => index === preferred) ?? having[0];
}

/** The link that the cloud knows the address by: that of the NIC that it is listed on, else the one that has it. */
export function homeOf(address: IpAddress, world: World, preferred: number | null): Link | undefined {
  return world.nics.find(({ listed }) => listed.includes(address))?.link ?? linkOf(address, world, preferred);
}

export function nicAt(index: number | null, { nics }: World): NicFacts | undefined {
  return nics.find(({ link }) => link.index === index);
}

/** By its shape: a rule for a table of the agent's, at the priority that is the table's number. */
export function isOurs({ priority, table }: RuleDetails, { tableBase, slots }: World): boolean {
  return priority === table && table >= tableBase && table < tableBase + slots;
}

/** The device by which the packet leaves; null when it does not. */
export function deviceOf({ answer }: Lookup): number | null {
  return answer.kind === 'way' && answer.type === 'unicast' ? answer.linkIndex : null;
}

/** Who may send by it is the cloud's affair. Before any answer of the metadata: the links that have main's default routes. */
export function isCloudLink(index: number | null, world: World): boolean {
  if (world.nics.length > 0) return nicAt(index, world) !== undefined;
  const defaults = FAMILIES.map(defaultCidr);
  const hasDefault = world.routes.some(
    ({ table, destination, nexthops }) =>
      table === MAIN_TABLE &&
      defaults.includes(destination) &&
      nexthops.some(({ linkIndex }) => linkIndex === index),
  );
  return hasDefault && linkAt(index, world)?.mac !== null;
}

/**
 * By which link a packet to the source comes in, when those to its sender leave by `device`: the cloud brings it to the NIC
 * that it knows the address by; what is behind a bridge or a VPN comes from there.
 */
export function arrivalLink(source: IpAddress, device: number | null, world: World): Link | undefined {
  const home = homeOf(source, world, device);
  if (device === null || home === undefined) return home ?? linkAt(device, world);
  return isCloudLink(device, world) ? home : linkAt(device, world);
}
