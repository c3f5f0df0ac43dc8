/**
 * Metadata is asked for from the primary NIC's own address, and believed only when the way leads by the primary NIC: a route that a VPN, a
 * neighbour or a zeroconf script brought would let whoever is at its end give the VM any address. Which NIC is the primary is known from
 * the last good answer; before the first one there is nothing to compare with.
 */
import { AgentError } from '../errors.ts';
import { dumpLinks } from '../kernel/links.ts';
import { lookUp } from '../kernel/lookup.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import { type InstanceMetadata, primaryAddress } from '../model/metadata.ts';
import { type IpAddress, type MacAddress, parseIpAddress } from '../model/net.ts';

/** The two ends of a connection, as node:net names them. */
export interface Ends {
  readonly localAddress?: string | undefined;
  readonly remoteAddress?: string | undefined;
}

export interface PrimaryWay {
  /** To ask from; undefined while it is not known, or is no address of this host. */
  source(): IpAddress | undefined;
  /** The kernel says that it is no address of this host (yet, or any more). */
  refused(): void;
  /** Why what came over the connection is not to be believed; undefined when it is. Never rejects. */
  doubt(ends: Ends): Promise<string | undefined>;
  /**
   * Why the primary NIC that an answer names cannot be it; undefined when it can. One wrong `mac` would make a secondary of the NIC that
   * carries the operator's session, and have its file taken over. Never rejects.
   */
  misnamed(answer: InstanceMetadata): Promise<string | undefined>;
  /** An answer that was believed. */
  learn(answer: InstanceMetadata): void;
}

/** For a service that is not the cloud's own. */
export const ANY_WAY: PrimaryWay = {
  source: () => undefined,
  refused: () => undefined,
  doubt: async () => undefined,
  misnamed: async () => undefined,
  learn: () => undefined,
};

/** One reading is some dozen requests within a few milliseconds. */
const FRESH_MS = 50;

interface Path {
  readonly source: IpAddress;
  readonly destination: IpAddress;
}

interface Primary {
  readonly mac: MacAddress;
  readonly address: IpAddress | undefined;
}

/** `recall` gives the last good answer of an earlier process, if there is one. */
export function createPrimaryWay(
  rtnetlink: Rtnetlink,
  recall: () => InstanceMetadata | undefined,
): PrimaryWay {
  let primary: Primary | undefined;
  let isRecalled = false;
  let latest: Ends = {};
  let last:
    | { readonly ends: string; readonly at: number; readonly doubt: Promise<string | undefined> }
    | undefined;
  const known = (): Primary | undefined => {
    if (!isRecalled) primary ??= primaryOf(recall());
    isRecalled = true;
    return primary;
  };
  return {
    source: () => known()?.address,
    refused: () => {
      if (primary !== undefined) primary = { mac: primary.mac, address: undefined };
    },
    doubt: async (ends) => {
      latest = ends;
      const mac = known()?.mac;
      if (mac === undefined) return undefined;
      const at = performance.now();
      const key = `${ends.localAddress} ${ends.remoteAddress}`;
      if (last?.ends !== key || at - last.at > FRESH_MS)
        last = { ends: key, at, doubt: findDetour(rtnetlink, mac, ends) };
      return last.doubt;
    },
    misnamed: async (answer) =>
      known()?.mac === answer.primaryMac ? undefined : findMisnaming(rtnetlink, answer, latest),
    learn: (answer) => {
      isRecalled = true;
      primary = primaryOf(answer);
    },
  };
}

function pathBetween({ localAddress = '', remoteAddress = '' }: Ends): Path | undefined {
  const source = parseIpAddress(localAddress);
  const destination = parseIpAddress(remoteAddress);
  return source === undefined || destination === undefined ? undefined : { source, destination };
}

function primaryOf(answer: InstanceMetadata | undefined): Primary | undefined {
  if (answer === undefined) return undefined;
  const nic = answer.nics.find(({ mac }) => mac === answer.primaryMac);
  return { mac: answer.primaryMac, address: nic && primaryAddress(nic, 4)?.address };
}

async function findDetour(rtnetlink: Rtnetlink, mac: MacAddress, ends: Ends): Promise<string | undefined> {
  const path = pathBetween(ends);
  if (path === undefined) return undefined;
  const { source, destination } = path;
  try {
    const way = await lookUp(rtnetlink, { destination, source, input: null });
    if (way.kind === 'refusal') return `an answer from ${destination}, to which no way leads: ${way.text}`;
    if (way.type === 'local') return undefined;
    const links = await dumpLinks(rtnetlink);
    const own = links.filter((link) => link.mac === mac || link.permanentMac === mac);
    // A bond or a bridge that the primary NIC is a member of has its place.
    const indexes = own.flatMap(({ index, masterIndex }) => [index, masterIndex]);
    if (own.length === 0 || indexes.includes(way.linkIndex)) return undefined;
    const name = links.find(({ index }) => index === way.linkIndex)?.ifname ?? `link ${way.linkIndex}`;
    const names = own.map(({ ifname }) => ifname).join(', ');
    return `an answer that came by ${name}, and metadata is believed only over the primary NIC (${names}); look at the route to ${destination}`;
  } catch (error) {
    if (error instanceof AgentError) return error.message;
    throw error;
  }
}

/** The primary NIC is the one by which the metadata comes: the service answers no other. */
async function findMisnaming(
  rtnetlink: Rtnetlink,
  { primaryMac, nics, invalid }: InstanceMetadata,
  ends: Ends,
): Promise<string | undefined> {
  const path = pathBetween(ends);
  if (path === undefined) return undefined;
  try {
    const way = await lookUp(rtnetlink, { ...path, input: null });
    if (way.kind === 'refusal' || way.type === 'local') return undefined;
    const links = await dumpLinks(rtnetlink);
    const carriers = links.filter(
      ({ index, masterIndex }) => index === way.linkIndex || masterIndex === way.linkIndex,
    );
    const isOf = (link: (typeof links)[number], mac: MacAddress): boolean =>
      (link.permanentMac ?? link.mac) === mac;
    if (carriers.some((link) => isOf(link, primaryMac))) return undefined;
    const secondary = carriers.find((link) => [...nics, ...invalid].some(({ mac }) => isOf(link, mac)));
    if (secondary === undefined) return undefined;
    return `${primaryMac} is named as the primary NIC, in an answer that came by another one (${secondary.ifname})`;
  } catch (error) {
    if (error instanceof AgentError) return error.message;
    throw error;
  }
}
