/** One reading of Tencent's metadata at one endpoint. */
import { AgentError, type ErrorCode } from '../errors.ts';
import { isSameList } from '../model/memo.ts';
import {
  type InstanceMetadata,
  type InvalidNic,
  type NicMetadata,
  withoutSharedAddresses,
} from '../model/metadata.ts';
import { type MacAddress, parseMacAddress } from '../model/net.ts';
import type { HttpClient } from './http.ts';
import { sortByMac } from './order.ts';
import { createReader, malformed, parseListing, parseValue, type Reader } from './reader.ts';
import { readNic } from './tencent-nic.ts';

export const BASE_PATH = '/latest/meta-data/';
export const MACS = 'network/interfaces/macs/';
const INSTANCE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** A new ENI asks two things at once, and the client has four connections. So no ENI queues behind one that hangs. */
const NICS_AT_A_TIME = 2;
/** One that is known is asked one thing. So many at once as soon as one of them does not answer. */
const CHECKS_AT_A_TIME = 4;
/**
 * One endpoint has at most this many request timeouts in all, however many of its ENIs hang: one for the first three
 * requests, and four for seven of eight ENIs that never answer. What is not read by then is invalid; what was read is kept.
 */
const TIMEOUTS_PER_ENDPOINT = 5;

export interface EndpointAnswer {
  readonly metadata: InstanceMetadata;
  /** Something in it contradicts something else, as when the cloud changed it between two of our requests. */
  readonly isContradictory: boolean;
  /** Of each MAC, to ask for it again. */
  readonly spellings: ReadonlyMap<MacAddress, string>;
}

export interface Source {
  readonly client: HttpClient;
  readonly endpoint: string;
  readonly timeoutMs: number;
}

/** What makes a reading cheaper or faster, and its result no other: `known` itself, when nothing has changed. */
export interface Hints {
  /** Asked for are the ENIs and their addresses alone, and the rest of those that are new or have other ones. */
  readonly known?: InstanceMetadata | undefined;
  /** Spellings of MACs that the listing may have, to ask for them before it is there. Never rejects. */
  readonly expected?: Promise<readonly string[]> | undefined;
}

/** What contradicts itself is read once more: what changed meanwhile is over, and what is broken is broken still. */
export async function readConsistently(source: Source, hints: Hints): Promise<EndpointAnswer> {
  const answer = await readEndpoint(source, hints);
  // Who asked to be left alone is, also when it is by one ENI's key alone.
  if (!answer.isContradictory || source.client.retryAfterMs(new URL(source.endpoint)) > 0) return answer;
  return readEndpoint(source, {}).catch((error: unknown) => {
    if (error instanceof AgentError) return answer;
    throw error;
  });
}

async function readEndpoint(
  { client, endpoint, timeoutMs }: Source,
  { known, expected }: Hints,
): Promise<EndpointAnswer> {
  const deadline = performance.now() + timeoutMs * TIMEOUTS_PER_ENDPOINT;
  const reader = createReader(client, new URL(BASE_PATH, endpoint), deadline);
  const early = expected?.then((spellings) => readEarly(reader, spellings));
  const [primaryMac, instanceId, listing] = await Promise.all([
    known?.primaryMac ?? readPrimaryMac(reader),
    known === undefined ? readInstanceId(reader) : known.instanceId,
    readMacs(reader),
  ]);
  if (!listing.has(primaryMac)) {
    throw new AgentError('metadata-malformed', `${MACS}: primary MAC ${primaryMac} is not in the list`);
  }
  const answers = { known: known?.nics ?? [], early: (await early) ?? new Map() };
  const { nics, invalid, codes } = await readNics(reader, listing, answers);
  const whole = { instanceId, primaryMac, nics: sortByMac(nics), invalid: sortByMac(invalid) };
  const isAsKnown = known !== undefined && invalid.length === 0 && isSameList(whole.nics, known.nics);
  const metadata = isAsKnown && known.invalid.length === 0 ? known : withoutSharedAddresses(whole);
  return {
    metadata,
    spellings: listing,
    // What does not answer would only take its time once more.
    isContradictory: metadata.invalid.length > 0 && !codes.has('metadata-unreachable'),
  };
}

interface NicReadings extends Pick<InstanceMetadata, 'nics' | 'invalid'> {
  /** Of what is invalid. */
  readonly codes: ReadonlySet<ErrorCode>;
}

type Listed = readonly [mac: MacAddress, spelling: string];
/** By the spelling of the MAC; undefined for what could not be read. */
type EarlyAnswers = ReadonlyMap<string, Promise<NicMetadata | undefined>>;

/** Why one could not be read is no matter: then it is not listed, or read again. */
function readEarly(reader: Reader, spellings: readonly string[]): EarlyAnswers {
  const read = async (spelling: string): Promise<NicMetadata | undefined> => {
    const mac = parseMacAddress(spelling);
    return mac && (await readNic(reader, `${MACS}${spelling}/`, mac, undefined).catch(() => undefined));
  };
  return new Map(spellings.map((spelling) => [spelling, read(spelling)]));
}

async function readNics(
  reader: Reader,
  listing: EndpointAnswer['spellings'],
  { known, early }: { readonly known: readonly NicMetadata[]; readonly early: EarlyAnswers },
): Promise<NicReadings> {
  const nics: NicMetadata[] = [];
  const invalid: InvalidNic[] = [];
  const codes = new Set<ErrorCode>();
  const knownOf = new Map(known.map((nic) => [nic.mac, nic]));
  /** Whether it could be read. */
  async function sortIn([mac, spelling]: Listed): Promise<boolean> {
    try {
      const answer = await early.get(spelling);
      nics.push(answer ?? (await readNic(reader, `${MACS}${spelling}/`, mac, knownOf.get(mac))));
      return true;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      invalid.push({ mac, problem: error.message });
      codes.add(error.code);
      return false;
    }
  }
  const workAt = (queue: IterableIterator<Listed>, workers: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: workers }, async () => {
        for (const entry of queue) await sortIn(entry);
      }),
    );
  /** One after the other: while all is well one connection is enough. */
  async function check(queue: IterableIterator<Listed>): Promise<void> {
    for (const entry of queue)
      if (!(await sortIn(entry))) return void (await workAt(queue, CHECKS_AT_A_TIME));
  }
  const isKnown = ([mac]: Listed): boolean => knownOf.has(mac);
  const others = [...listing].filter((entry) => !isKnown(entry));
  await Promise.all([check([...listing].filter(isKnown).values()), workAt(others.values(), NICS_AT_A_TIME)]);
  return { nics, invalid, codes };
}

async function readPrimaryMac(reader: Reader): Promise<MacAddress> {
  return parseValue('mac', await reader.required('mac'), parseMacAddress, 'a MAC');
}

/** Null when the cloud gives none (404); that it could not be read is no such answer. */
async function readInstanceId(reader: Reader): Promise<string | null> {
  const text = await reader.optional('instance-id');
  if (text === null) return null;
  return parseValue('instance-id', text, (id) => (INSTANCE_ID.test(id) ? id : undefined), 'an instance id');
}

/** Each MAC with the spelling to ask for it. One bad entry voids the listing: nobody knows which ENI it stands for. */
async function readMacs(reader: Reader): Promise<Map<MacAddress, string>> {
  const spellings = new Map<MacAddress, string>();
  for (const entry of parseListing(MACS, await reader.required(MACS), 'a list of MACs')) {
    const mac = parseMacAddress(entry);
    if (mac === undefined) throw malformed(MACS, entry, 'a MAC');
    if (!spellings.has(mac)) spellings.set(mac, entry);
  }
  return spellings;
}
