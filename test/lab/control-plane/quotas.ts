/**
 * How many ENIs a VM may have, and how many addresses each of them: the table of the product's documentation. The ENIs
 * include the primary one, the addresses each ENI's primary address.
 */

export interface InstanceSize {
  readonly cores: number;
  readonly memoryGb: number;
}

export interface EniQuota {
  readonly interfaces: number;
  readonly addressesPerInterface: number;
}

/**
 * What the table leaves out is taken from the smaller side: 4 cores with exactly 16 GB count as less than 16 GB, and 3 or
 * 5 to 7 cores, of which it says nothing, as 2 and 4.
 */
export function eniQuota({ cores, memoryGb }: InstanceSize): EniQuota {
  if (cores > 12) return { interfaces: 8, addressesPerInterface: 30 };
  if (cores >= 8) return { interfaces: 6, addressesPerInterface: 20 };
  if (cores >= 4) return { interfaces: 4, addressesPerInterface: memoryGb > 16 ? 20 : 10 };
  if (cores >= 2) return { interfaces: 2, addressesPerInterface: 10 };
  return { interfaces: 2, addressesPerInterface: memoryGb > 1 ? 6 : 2 };
}

/** Of an ENI that is attached to no VM: as many as the largest one lets it have. */
export const MOST_ADDRESSES = eniQuota({
  cores: Number.POSITIVE_INFINITY,
  memoryGb: 1,
}).addressesPerInterface;
