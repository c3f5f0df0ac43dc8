/** Which links are NICs of this cloud: metadata and kernel joined by MAC, and nothing else. */
import type { Config, InterfaceConfig, InterfaceMatch } from '../model/config.ts';
import type { Deferral, Role } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import { type InstanceMetadata, type NicMetadata, primaryAddress } from '../model/metadata.ts';
import { type Cidr, FAMILIES, type MacAddress, networkOf } from '../model/net.ts';

/** A link whose MAC the metadata lists, managed or not. */
export interface CloudNic {
  readonly mac: MacAddress;
  readonly role: Role;
  readonly link: Link;
  /** null when this NIC's reading is invalid. */
  readonly reading: NicMetadata | null;
  readonly config: InterfaceConfig;
  /** From the reading, else from the last good one, else what the link itself is in; and those of the configuration. */
  readonly subnets: readonly Cidr[];
}

export interface CloudNics {
  /** Those with a link: the primary first, then by MAC. */
  readonly nics: readonly CloudNic[];
  /** Those without a link, or whose reading is invalid, or that nobody may touch. */
  readonly deferrals: readonly Deferral[];
}

const DEFAULT_INTERFACE: InterfaceConfig = {
  match: {},
  manage: null,
  mtu: null,
  excludeAddresses: [],
  addresses: [],
  gateway6: null,
  routes: [],
};

/** Joins what the metadata lists with the links; a NIC may be in both results (it has a link but is put off). */
export function joinNics(metadata: InstanceMetadata, host: HostState, config: Config): CloudNics {
  const nics: CloudNic[] = [];
  const deferrals: Deferral[] = [];
  const invalid = new Set(metadata.invalid.map(({ mac }) => mac));
  const listed = [
    ...metadata.nics
      .filter(({ mac }) => !invalid.has(mac))
      .map((reading) => ({ mac: reading.mac, reading, problem: null })),
    ...metadata.invalid.map(({ mac, problem }) => ({ mac, reading: null, problem })),
  ];
  for (const { mac, reading, problem } of listed.toSorted((a, b) => (a.mac < b.mac ? -1 : 1))) {
    const link = findLink(mac, host.links);
    const role = mac === metadata.primaryMac ? 'primary' : 'secondary';
    const ifname = link?.ifname ?? null;
    const subnets = subnetsOf(reading ?? lastGoodReading(mac, host), link);
    const settings = configOf({ mac, role, link, subnets }, config);
    if (link !== undefined) {
      const all = [...new Set([...subnets, ...settings.addresses.map(networkOf)])];
      nics.push({ mac, role, link, reading, config: settings, subnets: all });
    }
    const reason = putOff({ mac, link, problem, settings, host });
    if (reason !== undefined) deferrals.push({ mac, ifname, ...reason });
  }
  return {
    nics: nics.toSorted((a, b) => Number(b.role === 'primary') - Number(a.role === 'primary')),
    deferrals,
  };
}

interface Candidate {
  readonly mac: MacAddress;
  readonly link: Link | undefined;
  readonly problem: string | null;
  readonly settings: InterfaceConfig;
  readonly host: HostState;
}

function putOff({
  mac,
  link,
  problem,
  settings,
  host,
}: Candidate): Pick<Deferral, 'reason' | 'detail'> | undefined {
  if (host.state.released.includes(mac)) return { reason: 'released', detail: releasedDetail(mac, link) };
  if (settings.manage === false) {
    return {
      reason: 'unmanaged',
      detail: 'the configuration says manage: false; what is there stays as it is',
    };
  }
  if (settings.manage === null && host.containerNetwork !== null) {
    return {
      reason: 'unmanaged',
      detail:
        `a container network takes the ENIs of this VM for its pods (${host.containerNetwork}); to have this one managed ` +
        `all the same, put in /etc/eni-agent/config.yaml: interfaces: [{ match: { mac: '${mac}' }, manage: true }]`,
    };
  }
  if (problem !== null)
    return { reason: 'invalid-metadata', detail: `${problem}; left as it is until the metadata is right` };
  if (link === undefined) return { reason: 'no-link', detail: missingLinkDetail(mac, host.links) };
  if (link.masterIndex !== null) {
    const master =
      host.links.find(({ index }) => index === link.masterIndex)?.ifname ?? `link ${link.masterIndex}`;
    return {
      reason: 'unmanaged',
      detail: `${link.ifname} belongs to ${master}; addresses on a member would be dead`,
    };
  }
  if (!link.ready) return { reason: 'not-ready', detail: `udev is not done with ${link.ifname} yet` };
  return undefined;
}

function releasedDetail(mac: MacAddress, link: Link | undefined): string {
  return `released by the operator; \`eni-agent reconfigure ${link?.ifname ?? mac}\` takes it back`;
}

function missingLinkDetail(mac: MacAddress, links: readonly Link[]): string {
  const same = candidates(mac, links);
  if (same.length === 0) return `the metadata lists ${mac}, but no link has this MAC yet`;
  return `more than one link has this MAC: ${same.map(({ ifname }) => ifname).join(', ')}; which one is the ENI cannot be told`;
}

/** The link of an ENI: by permanent MAC, else by MAC; a VLAN, a macvlan or a bridge that borrowed the MAC is not it. */
export function findLink(mac: MacAddress, links: readonly Link[]): Link | undefined {
  const same = candidates(mac, links);
  return same.length === 1 ? same[0] : undefined;
}

function candidates(mac: MacAddress, links: readonly Link[]): readonly Link[] {
  const burntIn = links.filter((link) => link.permanentMac === mac);
  if (burntIn.length > 0) return burntIn;
  const same = links.filter(
    (link) => link.mac === mac && link.permanentMac === null && link.lowerIndex === null,
  );
  const masters = new Set(same.map(({ masterIndex }) => masterIndex));
  return same.filter(({ index }) => !masters.has(index));
}

export function lastGoodReading(mac: MacAddress, host: HostState): NicMetadata | null {
  return host.state.metadata?.answer.nics.find((nic) => nic.mac === mac) ?? null;
}

function subnetsOf(reading: NicMetadata | null, link: Link | undefined): readonly Cidr[] {
  if (reading === null) {
    const own = link?.addresses.filter(({ scope }) => scope === 'global') ?? [];
    return [...new Set(own.map(networkOf))];
  }
  return FAMILIES.flatMap((family) => {
    const primary = primaryAddress(reading, family);
    return primary === undefined ? [] : [networkOf(primary)];
  });
}

type Matchable = Pick<CloudNic, 'mac' | 'role' | 'subnets'> & { readonly link: Link | undefined };

/** Of a secondary NIC that the metadata does not list any more. */
export function formerConfig(mac: MacAddress, host: HostState, config: Config): InterfaceConfig {
  const link = findLink(mac, host.links);
  return configOf(
    { mac, role: 'secondary', link, subnets: subnetsOf(lastGoodReading(mac, host), link) },
    config,
  );
}

function configOf(nic: Matchable, config: Config): InterfaceConfig {
  return config.interfaces.find(({ match }) => matches(match, nic)) ?? DEFAULT_INTERFACE;
}

function matches(match: InterfaceMatch, { mac, role, link, subnets }: Matchable): boolean {
  return (
    (match.mac === undefined || match.mac === mac) &&
    (match.name === undefined || match.name === link?.ifname) &&
    (match.role === undefined || match.role === role) &&
    (match.subnet === undefined || subnets.includes(match.subnet))
  );
}
