/**
 * Links that came and that the metadata does not list yet, and links that went and that it still lists: it lags behind the
 * kernel (FACTS §1: up to 30 s), and is asked every second for a while.
 */
import type { Link } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { MacAddress } from '../model/net.ts';

/** After that a link is somebody else's, and a listing is as it is, as far as anybody can tell. */
const LAG_MS = 60_000;

/** MACs of which the metadata is expected to say something new soon. */
export interface Lag {
  /** There, and not listed. */
  readonly newcomers: ReadonlySet<MacAddress>;
  /** Listed, and gone. */
  readonly departed: ReadonlySet<MacAddress>;
}

/** What tells a link from another one. */
type Identity = Pick<Link, 'mac' | 'permanentMac' | 'masterIndex' | 'lowerIndex'>;

export interface LagTracker {
  /** Looks at the links there are. */
  update(links: readonly Link[], metadata: InstanceMetadata, now: number): Lag;
  /** Those that may be ENIs and were not there at the last update. */
  unseen(links: readonly Identity[]): readonly MacAddress[];
}

/** What is there at the first look is no newcomer, and what is not there never departed. */
export function createLagTracker(): LagTracker {
  let firstSeen: ReadonlyMap<number, number> | null = null;
  let present: ReadonlySet<MacAddress> = new Set();
  let goneSince: ReadonlyMap<MacAddress, number> = new Map();
  return {
    unseen: (links) =>
      links
        .filter(mayBeEni)
        .flatMap(macsOf)
        .filter((mac) => !present.has(mac)),
    update: (links, metadata, now) => {
      firstSeen = noteLinks(links, firstSeen, now);
      const macs = new Set(links.flatMap((link) => macsOf(link)));
      const left = [...goneSince, ...[...present].map((mac) => [mac, now] as const)];
      // What is no ENI comes and goes as well, each container with another MAC: without an end to it they would pile up.
      goneSince = new Map(left.toReversed().filter(([mac, since]) => !macs.has(mac) && now - since < LAG_MS));
      present = macs;
      const listed = new Set([...metadata.nics, ...metadata.invalid].map(({ mac }) => mac));
      const isRecent = (since: number | undefined): boolean => now - (since ?? now) < LAG_MS;
      const fresh = links.filter((link) => mayBeEni(link) && isRecent(firstSeen?.get(link.index)));
      return {
        newcomers: new Set(fresh.flatMap(macsOf).filter((mac) => !listed.has(mac))),
        departed: new Set([...listed].filter((mac) => goneSince.has(mac))),
      };
    },
  };
}

function noteLinks(
  links: readonly Link[],
  before: ReadonlyMap<number, number> | null,
  now: number,
): ReadonlyMap<number, number> {
  const first = (index: number): number => (before === null ? -LAG_MS : (before.get(index) ?? now));
  return new Map(links.map(({ index }) => [index, first(index)]));
}

/** A port of a bridge and a VLAN are nobody's ENI. */
function mayBeEni({ masterIndex, lowerIndex }: Identity): boolean {
  return masterIndex === null && lowerIndex === null;
}

function macsOf({ permanentMac, mac }: Identity): readonly MacAddress[] {
  const identity = permanentMac ?? mac;
  return identity === null ? [] : [identity];
}
