/** Links that appeared and that the metadata does not list yet: it is asked every second for a while (FACTS §1: up to 30 s). */
import type { Link } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { MacAddress } from '../model/net.ts';

/** After that a link is somebody else's, as far as anybody can tell. */
const NEWCOMER_MS = 60_000;

export interface Newcomers {
  /** Looks at the links there are; answers those that are waited for. */
  update(links: readonly Link[], metadata: InstanceMetadata, now: number): ReadonlySet<MacAddress>;
}

/** What is there at the first look is no newcomer. */
export function createNewcomers(): Newcomers {
  let firstSeen: Map<number, number> | null = null;
  return {
    update: (links, metadata, now) => {
      const before = firstSeen;
      firstSeen = new Map(
        links.map(({ index }) => [index, before === null ? -NEWCOMER_MS : (before.get(index) ?? now)]),
      );
      const listed = new Set([...metadata.nics, ...metadata.invalid].map(({ mac }) => mac));
      const waiting = links.filter(({ index, masterIndex, lowerIndex }) => {
        const isNew = now - (firstSeen?.get(index) ?? now) < NEWCOMER_MS;
        // A port of a bridge and a VLAN are nobody's ENI.
        return isNew && masterIndex === null && lowerIndex === null;
      });
      const macs = waiting.flatMap(({ permanentMac, mac }) => permanentMac ?? mac ?? []);
      return new Set(macs.filter((mac) => !listed.has(mac)));
    },
  };
}
