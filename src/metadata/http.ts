/**
 * GET for metadata services. It uses no proxy (its agent is its own, and node:http reads no environment for it),
 * follows no redirect, and believes no answer that may be a part of one.
 */
import { Agent, type ClientRequest, type IncomingMessage, get as send } from 'node:http';
import { collectAnswer, type HttpAnswer, unreachable } from './http-answer.ts';
import { createLookup } from './lookup.ts';
import { ANY_WAY, type PrimaryWay } from './primary-way.ts';

/** Enough to read two ENIs at once; few enough to be polite to a service without documented limits. */
const MAX_CONNECTIONS = 4;

export interface HttpClient {
  /** Never rejects. `deadline` is a performance.now(): queueing, repeating and receiving are all over by then. */
  get(url: URL, deadline: number): Promise<HttpAnswer>;
  /** Milliseconds for which the server of that URL wants to be left alone; 0 when it does not. Nothing holds a request back. */
  retryAfterMs(url: URL): number;
  /** Closes all idle connections but one per server. Between the requests of one reading they are all kept. */
  rest(): void;
  close(): void;
}

interface Exchange {
  readonly answer: HttpAnswer;
  /** Why the answer is not the last word: the kept-alive connection was gone already, the body had no length, or our end no address. */
  readonly doubt?: 'stale-connection' | 'no-length' | 'no-such-source';
}

interface Sender {
  /** Made with the first request: a status asks nobody. */
  readonly agent: () => Agent;
  readonly timeoutMs: number;
  readonly way: PrimaryWay;
  /** Cancels each exchange under way. */
  readonly underWay: Set<() => void>;
}

export interface HttpOptions {
  /** Of one request, from the connection that it is given to the last byte of its body, dripping or not. */
  readonly timeoutMs: number;
  readonly way?: PrimaryWay;
}

export function createHttpClient({ timeoutMs, way = ANY_WAY }: HttpOptions): HttpClient {
  let agent: Agent | undefined;
  const sender: Sender = {
    agent: () => (agent ??= createAgent(timeoutMs)),
    timeoutMs,
    way,
    underWay: new Set(),
  };
  const restUntil = new Map<string, number>();
  return {
    get: async (url, deadline) => {
      const answer = await get(sender, url, deadline);
      if (answer.kind === 'error' && answer.retryAfterMs !== undefined)
        restUntil.set(url.origin, performance.now() + answer.retryAfterMs);
      return answer;
    },
    retryAfterMs: ({ origin }) => Math.max(0, (restUntil.get(origin) ?? 0) - performance.now()),
    rest() {
      for (const idle of Object.values(agent?.freeSockets ?? {})) {
        for (const socket of idle?.slice(1) ?? []) socket.destroy();
      }
    },
    close() {
      for (const cancel of sender.underWay) cancel();
      agent?.destroy();
    },
  };
}

function createAgent(timeoutMs: number): Agent {
  return new Agent({
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    lookup: createLookup({ timeoutMs }),
    // The look-up gives one address.
    autoSelectFamily: false,
  });
}

async function get(sender: Sender, url: URL, deadline: number): Promise<HttpAnswer> {
  const first = await exchange(sender, url, deadline);
  // A server may close an idle connection at the moment we use it; the next attempt gets another one.
  if (first.doubt === 'stale-connection') return get(sender, url, deadline);
  // At boot the answer of the last life may know the address before the kernel does.
  if (first.doubt === 'no-such-source') {
    sender.way.refused();
    return get(sender, url, deadline);
  }
  if (first.doubt === undefined) return first.answer;
  // A body that ends where the connection ends cannot be told from one that broke off (RFC 9112, 8): ask twice.
  const { answer } = await exchange(sender, url, deadline);
  if (answer.kind !== 'body' || first.answer.kind !== 'body' || answer.body === first.answer.body)
    return answer;
  return {
    kind: 'error',
    code: 'metadata-malformed',
    problem: 'two answers without a content-length that differ',
  };
}

function exchange(sender: Sender, url: URL, deadline: number): Promise<Exchange> {
  return new Promise((resolve) => {
    const { agent, way } = sender;
    const localAddress = way.source();
    const request = ask(url, agent(), localAddress);
    const settle = (result: Exchange) => {
      clearTimeout(timer);
      sender.underWay.delete(cancel);
      resolve(result);
    };
    const abandon = (answer: HttpAnswer) => {
      settle({ answer });
      request.destroy();
    };
    const cancel = () => abandon(unreachable('the client was closed'));
    const expire = (ms: number) => abandon(unreachable(`no complete answer within ${Math.round(ms)} ms`));
    const arm = (ms: number) => setTimeout(expire, ms, ms);

    let timer = arm(timeUntil(deadline));
    sender.underWay.add(cancel);
    request.once('socket', () => {
      clearTimeout(timer);
      timer = arm(Math.min(sender.timeoutMs, timeUntil(deadline)));
    });
    request.on('error', (error: NodeJS.ErrnoException) =>
      settle(brokenRequest(request, error, localAddress)),
    );
    request.once('response', (response) => {
      // After the last byte the socket may be another request's.
      const { localAddress: here, remoteAddress: there } = response.socket;
      const conclude = async (answer: HttpAnswer): Promise<void> => {
        const problem = await way.doubt({ localAddress: here, remoteAddress: there });
        if (problem === undefined) settle(withDoubt(response, answer));
        else abandon(unreachable(problem));
      };
      collectAnswer(response, (answer) => (response.complete ? void conclude(answer) : abandon(answer)));
    });
  });
}

function ask(url: URL, agent: Agent, localAddress: string | undefined): ClientRequest {
  return send({
    // Of an IPv6 address without its brackets.
    host: url.hostname.replace(/^\[|]$/g, ''),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    agent,
    localAddress,
    // As a list they are sent as they are: a tenth of what a request costs.
    headers: ['Host', url.host, 'User-Agent', 'eni-agent'],
  });
}

function withDoubt({ headers }: IncomingMessage, answer: HttpAnswer): Exchange {
  const hasLength = 'content-length' in headers || 'transfer-encoding' in headers;
  return hasLength || answer.kind !== 'body' ? { answer } : { answer, doubt: 'no-length' };
}

function timeUntil(deadline: number): number {
  return Math.max(0, deadline - performance.now());
}

function brokenRequest(
  request: ClientRequest,
  error: NodeJS.ErrnoException,
  localAddress: string | undefined,
): Exchange {
  const { code = '', message } = error;
  const problem = message.includes(code) ? message : `${message} (${code})`;
  if (error.code?.startsWith('HPE_'))
    return { answer: { kind: 'error', code: 'metadata-malformed', problem: `no HTTP: ${problem}` } };
  const answer = unreachable(problem);
  if (error.code === 'EADDRNOTAVAIL' && localAddress !== undefined)
    return { answer, doubt: 'no-such-source' };
  const isStale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
  return isStale ? { answer, doubt: 'stale-connection' } : { answer };
}
