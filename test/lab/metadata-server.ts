/**
 * A metadata service that speaks as Tencent's is documented to: upper-case MACs, trailing slashes, a listing with a line
 * twice, HTML bodies for what does not exist, case-sensitive paths, addresses in no order. Models and faults are plain
 * JSON, so that another process can send them. Each answer leaves in one write: a header and a body in two would
 * stall a kept-alive connection by 40 ms (Nagle's algorithm against delayed acknowledgement).
 */
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

const BASE = '/latest/meta-data/';
const NOT_FOUND = '<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>';
const HTML = { 'content-type': 'text/html' };
const DRIP_INTERVAL_MS = 20;
const HUGE_BYTES = 1024 * 1024;
const ANY_CLIENT = '';

export interface ServedNic {
  /** Any case; served in upper case. */
  readonly mac: string;
  readonly primary: string;
  /** The primary included; served in this order. */
  readonly addresses: readonly string[];
  /** Dotted. */
  readonly mask: string;
  readonly gateway: string;
  /** Default: `subnet-ja82n9op`. */
  readonly subnetId?: string;
  /** Private address → public address. */
  readonly publicAddresses?: Readonly<Record<string, string>>;
}

export interface ServedModel {
  /** Null: the key does not exist. */
  readonly instanceId: string | null;
  /** Served as it is spelled here. */
  readonly primaryMac: string;
  readonly nics: readonly ServedNic[];
}

/**
 * What happens instead of the answer. `redirect` answers 302 to the path `redirected` below the base; `garbage` answers
 * `body`, one byte per character (latin1); `truncate` announces the whole body, sends half of it and closes, `reset` the same with a reset at the end; `drip`
 * announces the body and sends a byte now and then; `answers` says something else for some paths;
 * `twice` has each line of the listing twice, `more` has `body` as a further line, `less` lacks the line `body`.
 */
export type FaultMode =
  | 'status'
  | 'empty'
  | 'html'
  | 'truncate'
  | 'drip'
  | 'hang'
  | 'close'
  | 'reset'
  | 'redirect'
  | 'garbage'
  | 'huge'
  | 'answers'
  | 'twice'
  | 'more'
  | 'less';

export interface Fault {
  /** Below the base, a prefix: `mac`, `network/interfaces/macs/`. Without it every path. */
  readonly path?: string;
  /** `path` is the whole path, not a prefix. */
  readonly exact?: boolean;
  /** Only below this ENI's directory; any case. */
  readonly mac?: string;
  readonly mode: FaultMode;
  readonly status?: number;
  /** Of the header Retry-After, with `status`. */
  readonly retryAfter?: string;
  readonly body?: string;
  /** Path below the base → body; only these are hit. */
  readonly answers?: Readonly<Record<string, string>>;
  /** How many requests it hits; all of them without it. */
  readonly times?: number;
  /** How many requests it spares first. */
  readonly from?: number;
  /** It hits only each second one of these. */
  readonly alternately?: boolean;
}

export interface ServedRequest {
  /** As it came, from the root. */
  readonly path: string;
  /** Milliseconds, performance.now(). */
  readonly at: number;
  /** Counts from 1. */
  readonly connection: number;
  /** Address. */
  readonly client: string;
}

export interface MetadataServer {
  /** `http://HOST:PORT` */
  readonly endpoint: string;
  readonly requests: readonly ServedRequest[];
  /** TCP connections now, and the most at one time. */
  readonly connections: { readonly open: number; readonly peak: number };
  /** What the client of that source address is answered; without one, every client that has none of its own. */
  setModel(model: ServedModel, client?: string): void;
  setFault(fault: Fault | null): void;
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export async function startMetadataServer({ host, port }: ServerOptions): Promise<MetadataServer> {
  const answers = new Map<string, ReadonlyMap<string, string>>();
  let fault: Fault | null = null;
  let hits = 0;
  const requests: ServedRequest[] = [];
  const connections = trackConnections();

  const server = http.createServer({ noDelay: true, keepAliveTimeout: 0 }, (request, response) => {
    const path = request.url ?? '';
    const client = request.socket.remoteAddress ?? '';
    const connection = connections.numberOf(request.socket);
    requests.push({ path, at: performance.now(), connection, client });
    const own = answers.get(client) ?? answers.get(ANY_CLIENT);
    const body = path.startsWith(BASE) ? own?.get(path.slice(BASE.length)) : undefined;
    const isMeant = fault !== null && isHit(fault, path);
    if (isMeant) hits += 1;
    if (fault !== null && isMeant && isDue(fault, hits)) {
      const said = fault.answers?.[path.slice(BASE.length)];
      misbehave(fault, response, said ?? body ?? NOT_FOUND);
    } else if (body === undefined) send(response, 404, NOT_FOUND, HTML);
    else send(response, 200, body);
  });
  server.on('connection', (socket) => connections.add(socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });

  const { address, port: actualPort, family } = server.address() as AddressInfo;
  return {
    endpoint: `http://${family === 'IPv6' ? `[${address}]` : address}:${actualPort}`,
    requests,
    connections: connections.count,
    setModel(model, client = ANY_CLIENT) {
      answers.set(client, buildAnswers(model));
    },
    setFault(next) {
      fault = next;
      hits = 0;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function trackConnections() {
  const numbers = new WeakMap<Socket, number>();
  const count = { open: 0, peak: 0 };
  let total = 0;
  return {
    count,
    numberOf: (socket: Socket) => numbers.get(socket) ?? 0,
    add(socket: Socket) {
      total += 1;
      numbers.set(socket, total);
      count.open += 1;
      count.peak = Math.max(count.peak, count.open);
      socket.once('close', () => {
        count.open -= 1;
      });
    },
  };
}

/** Path below the base → body. */
function buildAnswers(model: ServedModel): Map<string, string> {
  const answers = new Map<string, string>([['mac', model.primaryMac]]);
  if (model.instanceId !== null) answers.set('instance-id', model.instanceId);
  answers.set('', lines([...answers.keys(), 'network/']));
  answers.set('network/', lines(['interfaces/']));
  answers.set('network/interfaces/', lines(['macs/']));
  answers.set('network/interfaces/macs/', lines(model.nics.map(({ mac }) => `${mac.toUpperCase()}/`)));
  for (const nic of model.nics) addNic(answers, nic);
  return answers;
}

function addNic(answers: Map<string, string>, nic: ServedNic): void {
  const base = `network/interfaces/macs/${nic.mac.toUpperCase()}/`;
  const publicAddresses = nic.publicAddresses ?? {};
  answers.set(`${base}mac`, nic.mac.toUpperCase());
  answers.set(`${base}primary-local-ipv4`, nic.primary);
  answers.set(`${base}local-ipv4s/`, lines(nic.addresses.map((address) => `${address}/`)));
  // The documented listing of an ENI has local-ipv4s/ twice.
  const keys = [
    'local-ipv4s/',
    'mac',
    'vpc-id',
    'subnet-id',
    'primary-local-ipv4',
    'public-ipv4s',
    'local-ipv4s/',
  ];
  answers.set(base, lines(keys));
  answers.set(`${base}vpc-id`, 'vpc-ja82n9op');
  answers.set(`${base}subnet-id`, nic.subnetId ?? 'subnet-ja82n9op');
  answers.set(`${base}public-ipv4s`, lines(Object.values(publicAddresses)));
  for (const address of nic.addresses) {
    const below = `${base}local-ipv4s/${address}/`;
    const values = { gateway: nic.gateway, 'local-ipv4': address, 'subnet-mask': nic.mask };
    const publicAddress = publicAddresses[address];
    const all = Object.entries(
      publicAddress === undefined
        ? values
        : { ...values, 'public-ipv4': publicAddress, 'public-ipv4-mode': 'NAT' },
    );
    answers.set(below, lines(all.map(([key]) => key)));
    for (const [key, value] of all) answers.set(`${below}${key}`, value);
  }
}

function lines(entries: readonly string[]): string {
  return entries.join('\n');
}

/** `count` from 1. */
function isDue(
  { from = 0, times = Number.POSITIVE_INFINITY, alternately = false }: Fault,
  count: number,
): boolean {
  return count > from && count <= from + times && (!alternately || count % 2 === 1);
}

function isHit({ path = '', exact = false, mac, answers }: Fault, requested: string): boolean {
  const below = requested.slice(BASE.length);
  if (answers !== undefined) return Object.hasOwn(answers, below);
  const isNic = mac === undefined || below.toUpperCase().includes(`/${mac.toUpperCase()}/`);
  return isNic && (exact ? below === path : below.startsWith(path));
}

function send(
  response: http.ServerResponse,
  status: number,
  body: string | Buffer,
  headers: http.OutgoingHttpHeaders = { 'content-type': 'text/plain' },
): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  response.end(bytes);
}

function misbehave(fault: Fault, response: http.ServerResponse, body: string): void {
  switch (fault.mode) {
    case 'status':
      return send(response, fault.status ?? 500, NOT_FOUND, {
        ...HTML,
        ...(fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }),
      });
    case 'empty':
      return send(response, 200, '');
    case 'html':
      return send(response, 200, NOT_FOUND, HTML);
    case 'garbage':
      return send(response, 200, Buffer.from(fault.body ?? '\x00\xff\xfegarbage', 'latin1'));
    case 'huge':
      return send(response, 200, `${body}\n`.repeat(Math.ceil(HUGE_BYTES / (body.length + 1))));
    case 'redirect':
      response.writeHead(302, { location: `${BASE}redirected`, 'content-length': 0 });
      response.end();
      return;
    case 'truncate':
      return breakOff(response, body);
    case 'drip':
      return drip(response, body);
    case 'hang':
      return;
    case 'answers':
      return send(response, 200, body);
    case 'twice':
    case 'more':
    case 'less':
      return send(response, 200, listing(fault, body.split('\n')));
    case 'close':
      response.socket?.destroy();
      return;
    case 'reset':
      return breakOff(response, body, () => response.socket?.resetAndDestroy());
  }
}

function listing({ mode, body: line = '' }: Fault, entries: readonly string[]): string {
  if (mode === 'twice') return lines([...entries, ...entries]);
  return lines(mode === 'more' ? [...entries, line] : entries.filter((entry) => entry !== line));
}

function breakOff(response: http.ServerResponse, body: string, end = () => response.socket?.end()): void {
  const header = `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  response.socket?.write(`${header}${body.slice(0, body.length / 2)}`, () => end());
}

/** Never comes to its end. */
function drip(response: http.ServerResponse, body: string): void {
  response.writeHead(200, { 'content-length': Buffer.byteLength(body) });
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < body.length - 1) response.write(body.charAt(sent));
    sent += 1;
  }, DRIP_INTERVAL_MS);
  response.once('close', () => clearInterval(timer));
}
