/** Which addresses a NIC should have, and which of those it has are nobody's business here. */
import type { DesiredAddress } from '../model/desired.ts';
import { oncePer } from '../model/memo.ts';
import { primaryAddress } from '../model/metadata.ts';
import {
  type Cidr,
  cidrContains,
  FAMILIES,
  familyOf,
  formatInterfaceAddress,
  hostCidr,
  type InterfaceAddress,
  type IpAddress,
  isLinkLocal,
} from '../model/net.ts';
import type { CloudNic } from './nics.ts';

/** A NIC whose reading is valid. */
export type KnownNic = CloudNic & { readonly reading: NonNullable<CloudNic['reading']> };

function isExcluded(nic: CloudNic, address: IpAddress): boolean {
  return nic.config.excludeAddresses.some((cidr) => cidrContains(cidr, address));
}

/** Everything that the metadata and the configuration list, less what is excluded; primary first. */
export const listedAddresses = oncePer((nic: KnownNic): readonly DesiredAddress[] => {
  const listed = new Map<string, DesiredAddress>();
  const seenFamily = new Set<number>();
  const add = (entry: InterfaceAddress, reason: string): void => {
    if (listed.has(entry.address) || isExcluded(nic, entry.address)) return;
    const family = familyOf(entry.address);
    const { address, prefixLength } = entry;
    listed.set(address, {
      address,
      prefixLength,
      reason,
      deprecated: family === 6 && seenFamily.has(family),
    });
    seenFamily.add(family);
  };
  for (const entry of nic.reading.addresses) add(entry, 'assigned in metadata');
  for (const entry of nic.config.addresses) add(entry, 'listed in the configuration');
  return [...listed.values()];
});

/** The addresses to be set: all that are listed, except the primary NIC's primary address, which is never touched. */
export function addressesToSet(nic: KnownNic): readonly DesiredAddress[] {
  const untouchable = new Set(untouchableAddresses(nic));
  return listedAddresses(nic).filter(({ address }) => !untouchable.has(address));
}

/** What is neither added nor removed: what the configuration excludes, and the primary NIC's primary address. */
export function excludedNetworks(nic: KnownNic): readonly Cidr[] {
  return [...nic.config.excludeAddresses, ...untouchableAddresses(nic).map(hostCidr)];
}

/** Invariant 2. */
function untouchableAddresses(nic: KnownNic): readonly IpAddress[] {
  if (nic.role === 'secondary') return [];
  return FAMILIES.flatMap((family) => primaryAddress(nic.reading, family)?.address ?? []);
}

/** Addresses that others put on the link (a VIP, also an excluded one): not listed, and not among those we own. */
export function foreignAddresses(nic: KnownNic, owned: readonly InterfaceAddress[]): readonly IpAddress[] {
  const listed = new Set<string>(listedAddresses(nic).map(({ address }) => address));
  const ours = new Set(owned.map(formatInterfaceAddress));
  const foreign = nic.link.addresses.filter(
    (entry) =>
      entry.scope === 'global' &&
      !isLinkLocal(entry.address) &&
      !listed.has(entry.address) &&
      (isExcluded(nic, entry.address) || !ours.has(formatInterfaceAddress(entry))),
  );
  return [...new Set(foreign.map(({ address }) => address))];
}
