import { compareIpAddresses, FAMILIES, familyOf, type InterfaceAddress } from '../model/net.ts';

/** The order of NicMetadata: IPv4, then IPv6; in each the first stays first (the primary), the others are sorted. */
export function orderAddresses(addresses: readonly InterfaceAddress[]): InterfaceAddress[] {
  return FAMILIES.flatMap((family) => {
    const [primary, ...others] = addresses.filter(({ address }) => familyOf(address) === family);
    if (primary === undefined) return [];
    return [primary, ...others.toSorted((a, b) => compareIpAddresses(a.address, b.address))];
  });
}

/** Canonical MACs are equally long lower-case text, so that code unit order is their order. */
export function sortByMac<Nic extends { readonly mac: string }>(nics: readonly Nic[]): Nic[] {
  return nics.toSorted((a, b) => (a.mac < b.mac ? -1 : a.mac > b.mac ? 1 : 0));
}
