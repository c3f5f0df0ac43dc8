import net, { type AddressInfo } from 'node:net';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { parseEndpoint } from '../../../src/metadata/endpoint.ts';
import { createHttpClient, type HttpClient } from '../../../src/metadata/http.ts';
import { ANY_WAY, type PrimaryWay } from '../../../src/metadata/primary-way.ts';
import { createTencentProvider } from '../../../src/metadata/tencent.ts';
import type { IpAddress } from '../../../src/model/net.ts';
import type { FaultMode, MetadataServer } from '../../lab/metadata-server.ts';
import { bound } from '../../lab/until.ts';
import { ip } from '../builders.ts';
import { eventually, MODEL, PRIMARY_MAC, startServer } from './fixture.ts';

/** For answers that come: long enough for a loaded machine. */
const PATIENT_MS = 10_000;
/** For answers that never come. */
const TIMEOUT_MS = 300;
let server: MetadataServer;
let client: HttpClient;

beforeAll(async () => {
  server = await startServer();
  server.setModel(MODEL);
});
afterAll(() => server.close());
beforeEach(() => {
  client = createHttpClient({ timeoutMs: PATIENT_MS });
});
afterEach(() => {
  client.close();
  server.setFault(null);
});

const far = () => performance.now() + 60_000;
const urlOf = (path: string) => new URL(`/latest/meta-data/${path}`, server.endpoint);

/** A server that says exactly these bytes to each connection, then ends it. */
async function sayRaw(...answers: string[]) {
  const listener = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end((answers.length > 1 ? answers.shift() : answers[0]) ?? ''));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const url = new URL(`http://127.0.0.1:${(listener.address() as AddressInfo).port}/`);
  return { url, close: () => listener.close() };
}

test('a request names the host as the URL has it, also an IPv6 address', async () => {
  const heard: string[] = [];
  const listener = net.createServer((socket) =>
    socket.once('data', (bytes) => {
      heard.push(...bytes.toString('latin1').split('\r\n'));
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    }),
  );
  onTestFinished(() => void listener.close());
  await new Promise<void>((resolve) => listener.listen(0, '::1', resolve));
  const host = `[::1]:${(listener.address() as AddressInfo).port}`;
  expect(await client.get(new URL(`http://${host}/a/b?c`), far())).toEqual({ kind: 'body', body: 'ok' });
  expect(heard).toEqual([
    'GET /a/b?c HTTP/1.1',
    `Host: ${host}`,
    'User-Agent: eni-agent',
    'Connection: keep-alive',
    '',
    '',
  ]);
});

describe('the way', () => {
  const asked: string[] = [];
  const way: PrimaryWay = {
    ...ANY_WAY,
    doubt: async ({ remoteAddress = '' }) => void asked.push(remoteAddress),
  };
  const through = async (its: Partial<PrimaryWay>) => {
    const own = createHttpClient({ timeoutMs: PATIENT_MS, way: { ...way, ...its } });
    onTestFinished(() => own.close());
    return own.get(urlOf('mac'), far());
  };

  test('is looked at before an answer is believed', async () => {
    expect(await through({})).toEqual({ kind: 'body', body: PRIMARY_MAC });
    expect(asked).toEqual(['127.0.0.1']);
    expect(await through({ doubt: async () => 'it came by tun0' })).toEqual({
      kind: 'error',
      code: 'metadata-unreachable',
      problem: 'it came by tun0',
    });
  });

  test('begins at the address that the way has, and anywhere when this host does not have it', async () => {
    let source: IpAddress | undefined = ip('192.0.2.1');
    const refused = (): void => {
      source = undefined;
    };
    expect(await through({ source: () => source, refused })).toEqual({ kind: 'body', body: PRIMARY_MAC });
    expect(source).toBeUndefined();
    expect(await through({ source: () => ip('127.0.0.9') })).toEqual({ kind: 'body', body: PRIMARY_MAC });
    expect(server.requests.at(-1)).toMatchObject({ client: '127.0.0.9' });
  });
});

describe('an answer', () => {
  test('is a body, a 404, or an error that says what came back', async () => {
    expect(await client.get(urlOf('instance-id'), far())).toEqual({ kind: 'body', body: 'ins-3g445roi' });
    expect(await client.get(urlOf('nothing'), far())).toEqual({ kind: 'missing' });
    server.setFault({ mode: 'status', status: 502 });
    const problem = { kind: 'error', code: 'metadata-unreachable', problem: 'HTTP 502' };
    expect(await client.get(urlOf('mac'), far())).toEqual(problem);
  });

  test.each<[FaultMode, string]>([
    ['redirect', 'HTTP 302 to "/latest/meta-data/redirected", and redirects are not followed'],
    ['huge', 'a body of more than 65536 bytes'],
    ['garbage', 'bytes that are no UTF-8'],
    ['truncate', 'a body that broke off after'],
    ['close', 'socket hang up (ECONNRESET)'],
    ['reset', 'a body that broke off after'],
    ['drip', `no complete answer within ${TIMEOUT_MS} ms`],
    ['hang', `no complete answer within ${TIMEOUT_MS} ms`],
  ])('%s is an error', async (mode, problem) => {
    server.setFault({ mode });
    const impatient = createHttpClient({ timeoutMs: TIMEOUT_MS });
    const answer = await impatient.get(urlOf('instance-id'), far());
    impatient.close();
    expect(answer).toMatchObject({ kind: 'error', problem: expect.stringContaining(problem) });
    expect(server.requests.some(({ path }) => path.includes('redirected'))).toBe(false);
  });

  test.each([
    [429, '7', 7_000],
    [503, '1', 1_000],
    [403, '3600', 60_000],
    [503, 'Thu, 01 Jan 1970 00:00:20 GMT', 20_000],
    [503, 'Thu, 01 Jan 1970 00:00:00 GMT', undefined],
    [503, '0', undefined],
    [503, '-1', undefined],
    [503, '1e3', undefined],
    [503, 'soon', undefined],
    [503, '', undefined],
  ])('HTTP %i may ask to be left alone: %s', async (status, retryAfter, expected) => {
    const date = 'Thu, 01 Jan 1970 00:00:00 GMT';
    const raw = await sayRaw(
      `HTTP/1.1 ${status} No\r\ndate: ${date}\r\nretry-after: ${retryAfter}\r\ncontent-length: 0\r\n\r\n`,
    );
    expect(client.retryAfterMs(raw.url)).toBe(0);
    const answer = await client.get(raw.url, far());
    expect(answer).toMatchObject({ kind: 'error', problem: expect.stringContaining(`HTTP ${status}`) });
    expect('retryAfterMs' in answer ? answer.retryAfterMs : undefined).toBe(expected);
    const leftMs = client.retryAfterMs(raw.url);
    expect(leftMs).toBeLessThanOrEqual(expected ?? 0);
    expect(leftMs > 0).toBe(expected !== undefined);
    expect(client.retryAfterMs(urlOf('mac'))).toBe(0);
    raw.close();
  });

  test.each([
    ['204 has no value', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP 204'],
    ['206 is a part', 'HTTP/1.1 206 Partial\r\ncontent-length: 1\r\n\r\na', 'HTTP 206'],
    [
      'an encoding nobody asked for',
      'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\na',
      'gzip',
    ],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'no HTTP'],
    [
      'chunks that break off',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n10\r\n',
      'broke off',
    ],
  ])('%s: an error', async (_, bytes, problem) => {
    const raw = await sayRaw(bytes);
    const answer = await client.get(raw.url, far());
    expect(answer).toMatchObject({ kind: 'error', problem: expect.stringContaining(problem) });
    raw.close();
  });

  test('without a length is believed when it comes a second time, and not when it differs', async () => {
    const header = 'HTTP/1.0 200 OK\r\n\r\n';
    const same = await sayRaw(`${header}10.0.1.4/`);
    expect(await client.get(same.url, far())).toEqual({ kind: 'body', body: '10.0.1.4/' });
    same.close();
    const different = await sayRaw(`${header}10.0.1.4/`, `${header}10.0.1.4/\n10.0.1.5/`);
    expect(await client.get(different.url, far())).toMatchObject({ code: 'metadata-malformed' });
    different.close();
  });
});

describe('connections', () => {
  test('are reused, at most four at a time, and one is left at rest', async () => {
    const own = await startServer();
    own.setModel(MODEL);
    const provider = createTencentProvider({ endpoints: [own.endpoint], timeoutMs: 2000 });
    for (let round = 0; round < 5; round += 1) {
      await provider.fetch();
      await eventually(() => own.connections.open === 1);
    }
    expect(own.connections.peak).toBe(4);
    const before = own.requests.length;
    await provider.fetch();
    const earlier = new Set(own.requests.slice(0, before).map(({ connection }) => connection));
    expect(own.requests.slice(before).some(({ connection }) => earlier.has(connection))).toBe(true);
    provider.close();
    await eventually(() => own.connections.open === 0);
    await own.close();
  });

  test('that the server closed in the meantime are replaced without an error', async () => {
    await client.get(urlOf('mac'), far());
    server.setFault({ mode: 'close', times: 1 });
    expect(await client.get(urlOf('instance-id'), far())).toEqual({ kind: 'body', body: 'ins-3g445roi' });
  });

  test('are not given to a request whose deadline passed while it queued', async () => {
    server.setFault({ path: 'mac', mode: 'hang' });
    const hanging = Array.from({ length: 4 }, () => client.get(urlOf('mac'), performance.now() + TIMEOUT_MS));
    const before = server.requests.length;
    const late = await client.get(urlOf('instance-id'), performance.now() + TIMEOUT_MS / 2);
    expect(late).toMatchObject({ code: 'metadata-unreachable' });
    await Promise.all(hanging);
    expect(await client.get(urlOf('network/'), far())).toMatchObject({ kind: 'body' });
    const paths = server.requests.slice(before).map(({ path }) => path);
    expect(paths.filter((path) => path.endsWith('instance-id'))).toEqual([]);
  });

  test('do not go through a proxy that the environment names', async () => {
    const proxy = await startServer();
    for (const name of ['http_proxy', 'HTTP_PROXY', 'all_proxy']) vi.stubEnv(name, proxy.endpoint);
    vi.stubEnv('NODE_USE_ENV_PROXY', '1');
    const fresh = createHttpClient({ timeoutMs: PATIENT_MS });
    expect(await fresh.get(urlOf('mac'), far())).toMatchObject({ kind: 'body' });
    expect(proxy.requests).toHaveLength(0);
    vi.unstubAllEnvs();
    fresh.close();
    await proxy.close();
  });

  test('end with the client: what is under way and what waits are errors at once', async () => {
    server.setFault({ mode: 'hang' });
    const waiting = Array.from({ length: 6 }, () => client.get(urlOf('mac'), far()));
    client.close();
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ kind: 'error' });
  });
});

test('a warm reading of one NIC with ten addresses takes a few milliseconds', async () => {
  const own = await startServer();
  own.setModel(MODEL);
  const provider = createTencentProvider({ endpoints: [own.endpoint], timeoutMs: 2000 });
  const times: number[] = [];
  for (let round = 0; round < 30; round += 1) {
    const start = performance.now();
    await provider.fetch();
    times.push(performance.now() - start);
  }
  // The best of them, since the machine may be loaded; a stall of 40 ms, or a request per address, is in all of them.
  expect(Math.min(...times)).toBeLessThan(bound(30));
  provider.close();
  await own.close();
});

describe('an endpoint', () => {
  test.each([
    ['http://metadata.tencentyun.com', 'http://metadata.tencentyun.com'],
    ['http://169.254.0.23:8080/', 'http://169.254.0.23:8080'],
    ['http://[fd00::1]', 'http://[fd00::1]'],
  ])('%s is one', (text, origin) => expect(parseEndpoint(text)?.origin).toBe(origin));

  test.each([
    'https://metadata.tencentyun.com',
    'http://user:password@host',
    'http://host/latest/meta-data/',
    'http://host?query',
    'http://ho st',
    'http://host\n',
    'http://host:99999',
    'file:///etc/passwd',
    'host',
    '',
  ])('%j is none', (text) => expect(parseEndpoint(text)).toBeUndefined());
});
