/** Tencent Cloud: plain GETs of one value or listing each, https://www.tencentcloud.com/document/product/213/4934. */
import { AgentError, type ErrorCode } from '../errors.ts';
import type { InstanceMetadata, InvalidNic, NicMetadata } from '../model/metadata.ts';
import { type IpAddress, type MacAddress, parseMacAddress } from '../model/net.ts';
import { createHttpClient, type HttpClient } from './http.ts';
import { sortByMac } from './order.ts';
import type { MetadataProvider } from './provider.ts';
import { createReader, malformed, parseListing, parseValue, type Reader } from './reader.ts';
import { readNic } from './tencent-nic.ts';
import { readPublicAddresses } from './tencent-public.ts';

const BASE_PATH = '/latest/meta-data/';
const MACS = 'network/interfaces/macs/';
const INSTANCE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** An ENI asks two things at once, and the client has four connections. So no ENI queues behind one that hangs. */
const NICS_AT_A_TIME = 2;

/**
 * One endpoint has at most this many request timeouts in all, however many of its ENIs hang: one for the first three
 * requests, and four for seven of eight ENIs that never answer. What is not read by then is invalid; what was read is kept.
 */
const TIMEOUTS_PER_ENDPOINT = 5;

export interface TencentOptions {
  /** `http://host[:port]`, in the order to try them. */
  readonly endpoints: readonly string[];
  /** Of one request. */
  readonly timeoutMs: number;
}

/** The next endpoint is asked when a reading failed as a whole; the one that worked is the first of the next fetch. */
export function createTencentProvider({ endpoints, timeoutMs }: TencentOptions): MetadataProvider {
  const client = createHttpClient({ timeoutMs });
  let lastGood: string | undefined;
  let spellings: ReadonlyMap<MacAddress, string> = new Map();

  async function fetch(): Promise<InstanceMetadata> {
    const failures: EndpointFailure[] = [];
    for (const endpoint of new Set(lastGood === undefined ? endpoints : [lastGood, ...endpoints])) {
      try {
        const answer = await readEndpoint(client, endpoint, timeoutMs);
        lastGood = endpoint;
        spellings = answer.spellings;
        return answer.metadata;
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        failures.push({ endpoint, error });
      }
    }
    throw everyEndpointFailed(failures);
  }

  async function publicAddresses(nic: NicMetadata): Promise<ReadonlyMap<IpAddress, IpAddress>> {
    const spelling = spellings.get(nic.mac);
    if (lastGood === undefined || spelling === undefined) return new Map();
    const reader = createReader(client, new URL(BASE_PATH, lastGood), performance.now() + timeoutMs);
    return readPublicAddresses(reader, `${MACS}${spelling}/`, nic);
  }

  const fetchAndRest = () => fetch().finally(() => client.rest());
  return { name: 'tencent', fetch: fetchAndRest, publicAddresses, close: () => client.close() };
}

interface EndpointFailure {
  readonly endpoint: string;
  readonly error: AgentError;
}

function everyEndpointFailed(failures: readonly EndpointFailure[]): AgentError {
  const isUnreachable = failures.every(({ error }) => error.code === 'metadata-unreachable');
  const code: ErrorCode = isUnreachable ? 'metadata-unreachable' : 'metadata-malformed';
  const problems = failures.map(({ endpoint, error }) => `${endpoint}: ${error.message}`);
  const advice = isUnreachable
    ? "; look at the primary NIC's default route, and at metadata.endpoint in the configuration"
    : '';
  return new AgentError(code, `reading the instance metadata: ${problems.join('; ')}${advice}`, {
    details: { endpoints: failures.map(({ endpoint }) => endpoint) },
  });
}

interface EndpointAnswer {
  readonly metadata: InstanceMetadata;
  /** Of each MAC, to ask for it again. */
  readonly spellings: ReadonlyMap<MacAddress, string>;
}

async function readEndpoint(
  client: HttpClient,
  endpoint: string,
  timeoutMs: number,
): Promise<EndpointAnswer> {
  const deadline = performance.now() + timeoutMs * TIMEOUTS_PER_ENDPOINT;
  const reader = createReader(client, new URL(BASE_PATH, endpoint), deadline);
  const [primaryMac, instanceId, listing] = await Promise.all([
    readPrimaryMac(reader),
    readInstanceId(reader),
    readMacs(reader),
  ]);
  if (!listing.has(primaryMac)) {
    throw new AgentError('metadata-malformed', `${MACS}: primary MAC ${primaryMac} is not in the list`);
  }
  const nics: NicMetadata[] = [];
  const invalid: InvalidNic[] = [];
  async function sortIn(mac: MacAddress, spelling: string): Promise<void> {
    try {
      nics.push(await readNic(reader, `${MACS}${spelling}/`, mac));
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      invalid.push({ mac, problem: error.message });
    }
  }
  const queue = listing.entries();
  async function work(): Promise<void> {
    for (const [mac, spelling] of queue) await sortIn(mac, spelling);
  }
  await Promise.all(Array.from({ length: NICS_AT_A_TIME }, work));
  return {
    metadata: { instanceId, primaryMac, nics: sortByMac(nics), invalid: sortByMac(invalid) },
    spellings: listing,
  };
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
