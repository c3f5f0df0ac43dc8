/** Tencent Cloud: plain GETs of one value or listing each, https://www.tencentcloud.com/document/product/213/4934. */
import { isDeepStrictEqual } from 'node:util';
import { AgentError, type ErrorCode } from '../errors.ts';
import type { InstanceMetadata, NicMetadata } from '../model/metadata.ts';
import type { IpAddress, MacAddress } from '../model/net.ts';
import { type Belief, createBelief } from './belief.ts';
import { createHttpClient, type HttpClient } from './http.ts';
import { ANY_WAY, type PrimaryWay } from './primary-way.ts';
import type { MetadataProvider } from './provider.ts';
import { createReader } from './reader.ts';
import { BASE_PATH, type EndpointAnswer, type Hints, MACS, readConsistently } from './tencent-endpoint.ts';
import { readPublicAddresses } from './tencent-public.ts';

/** One reading in so many asks for what an ENI keeps for life, too: at the default interval every five minutes. */
const WHOLE_EVERY = 30;

export interface TencentOptions {
  /** `http://host[:port]`, in the order to try them. */
  readonly endpoints: readonly string[];
  /** Of one request. */
  readonly timeoutMs: number;
  readonly way?: PrimaryWay;
  /** The last good answer of an earlier process. */
  readonly recall?: () => InstanceMetadata | undefined;
}

/** The next endpoint is asked when a reading failed as a whole; the one that worked is the first of the next reading. */
export function createTencentProvider(options: TencentOptions): MetadataProvider {
  return new TencentProvider(options);
}

class TencentProvider implements MetadataProvider {
  readonly name = 'tencent';
  readonly #endpoints: readonly string[];
  readonly #timeoutMs: number;
  readonly #client: HttpClient;
  readonly #belief: Belief;
  #lastGood: string | undefined;
  /** The last reading has, or the one under way has not ended yet. */
  #hasFailed = false;
  #latest: EndpointAnswer | undefined;
  /** Readings since the last that asked for everything. */
  #sinceWhole = 0;

  constructor({ endpoints, timeoutMs, way = ANY_WAY, recall = () => undefined }: TencentOptions) {
    this.#endpoints = endpoints;
    this.#timeoutMs = timeoutMs;
    this.#client = createHttpClient({ timeoutMs, way });
    this.#belief = createBelief({ way, recall, where: MACS });
  }

  fetch(): Promise<InstanceMetadata> {
    return this.#read({});
  }

  refresh(expected?: Promise<readonly MacAddress[]>): Promise<InstanceMetadata> {
    const isWhole = this.#hasFailed || this.#sinceWhole + 1 >= WHOLE_EVERY;
    return this.#read({
      known: isWhole ? undefined : this.#latest?.metadata,
      expected: expected?.then((macs) => macs.map((mac) => this.#spell(mac))),
    });
  }

  retryAfterMs(): number {
    const lastGood = this.#hasFailed ? undefined : this.#lastGood;
    const asked = lastGood === undefined ? this.#endpoints : [lastGood];
    return Math.max(...asked.map((endpoint) => this.#client.retryAfterMs(new URL(endpoint))));
  }

  async publicAddresses(nic: NicMetadata): Promise<ReadonlyMap<IpAddress, IpAddress>> {
    const spelling = this.#latest?.spellings.get(nic.mac);
    if (this.#lastGood === undefined || spelling === undefined) return new Map();
    const deadline = performance.now() + this.#timeoutMs;
    const reader = createReader(this.#client, new URL(BASE_PATH, this.#lastGood), deadline);
    return readPublicAddresses(reader, `${MACS}${spelling}/`, nic);
  }

  close(): void {
    this.#belief.close();
    this.#client.close();
  }

  /** As the service spells them: a URL is case-sensitive. */
  #spell(mac: MacAddress): string {
    const [spelling = mac] = this.#latest?.spellings.values() ?? [];
    return spelling === spelling.toUpperCase() ? mac.toUpperCase() : mac;
  }

  async #read(hints: Hints): Promise<InstanceMetadata> {
    const lastGood = this.#lastGood;
    this.#hasFailed = true;
    try {
      const inOrder = new Set(lastGood === undefined ? this.#endpoints : [lastGood, ...this.#endpoints]);
      const { endpoint, answer } = await firstAnswer(inOrder, (each) =>
        this.#readAt(each, each === lastGood ? hints : {}),
      );
      this.#hasFailed = false;
      this.#sinceWhole = hints.known === undefined || endpoint !== lastGood ? 0 : this.#sinceWhole + 1;
      this.#lastGood = endpoint;
      const before = this.#latest?.metadata;
      // The very same objects as long as they say the same, for who compares them next.
      const metadata = isDeepStrictEqual(answer.metadata, before)
        ? (before ?? answer.metadata)
        : answer.metadata;
      this.#latest = { ...answer, metadata };
      return metadata;
    } finally {
      this.#client.rest();
    }
  }

  #readAt(endpoint: string, hints: Hints): Promise<EndpointAnswer> {
    const source = { client: this.#client, endpoint, timeoutMs: this.#timeoutMs };
    return this.#belief.in(() => readConsistently(source, hints));
  }
}

async function firstAnswer(
  endpoints: ReadonlySet<string>,
  read: (endpoint: string) => Promise<EndpointAnswer>,
): Promise<{ readonly endpoint: string; readonly answer: EndpointAnswer }> {
  const failures: EndpointFailure[] = [];
  for (const endpoint of endpoints) {
    try {
      return { endpoint, answer: await read(endpoint) };
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      failures.push({ endpoint, error });
    }
  }
  throw everyEndpointFailed(failures);
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
