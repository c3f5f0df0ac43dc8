import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import { createTencentProvider } from '../../../src/metadata/tencent.ts';
import { formatInterfaceAddress, type MacAddress } from '../../../src/model/net.ts';
import type { Fault, FaultMode, MetadataServer } from '../../lab/metadata-server.ts';
import { bound } from '../../lab/until.ts';
import { MODEL, PRIMARY_MAC, SECONDARY_MAC, startServer } from './fixture.ts';

const BASE = '/latest/meta-data/';
const MACS = 'network/interfaces/macs/';
const SECONDARY = `${MACS}${SECONDARY_MAC.toUpperCase()}/`;
/** Of one whole reading: three, and four for each of the two ENIs. */
const REQUESTS = 3 + 2 * 4;
/** For answers that come: long enough for a loaded machine. */
const PATIENT_MS = 10_000;
/** For answers that never come. */
const TIMEOUT_MS = 400;
const RUNS = process.env['ENI_TEST_SIZE'] === 'full' ? 500 : 50;

let server: MetadataServer;
let provider: MetadataProvider;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

beforeEach(() => {
  server.setModel(MODEL);
  server.setFault(null);
  provider = createTencentProvider({ endpoints: [server.endpoint], timeoutMs: PATIENT_MS });
});
afterEach(() => provider.close());

function loseNoTimeOn(mode: FaultMode | 'missing'): void {
  if (mode !== 'hang' && mode !== 'drip') return;
  provider.close();
  provider = createTencentProvider({ endpoints: [server.endpoint], timeoutMs: TIMEOUT_MS });
}

async function rejection(promise: Promise<unknown>): Promise<AgentError> {
  const error = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof AgentError)) throw error;
  return error;
}

async function secondaryReading() {
  const { nics, invalid } = await provider.fetch();
  expect(nics.some(({ mac }) => mac === PRIMARY_MAC)).toBe(true);
  return { nic: nics.find(({ mac }) => mac === SECONDARY_MAC), problem: invalid[0]?.problem ?? '', invalid };
}

/** The paths that were asked for meanwhile. */
async function requestsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
  const before = server.requests.length;
  await work();
  return server.requests.slice(before).map(({ path }) => path.slice(BASE.length));
}

function secondaryModel(change: object) {
  const [secondary, primary] = MODEL.nics;
  return { ...MODEL, nics: [{ ...secondary, ...change }, primary] } as typeof MODEL;
}

describe('a good answer', () => {
  test('becomes the neutral model: primary address first, the others and the NICs sorted', async () => {
    const metadata = await provider.fetch();
    expect(metadata).toMatchObject({ instanceId: 'ins-3g445roi', primaryMac: PRIMARY_MAC, invalid: [] });
    expect(metadata.nics.map(({ mac, gateway }) => [mac, gateway])).toEqual([
      [PRIMARY_MAC, '10.0.0.1'],
      [SECONDARY_MAC, '10.0.1.1'],
    ]);
    expect(metadata.nics.map(({ addresses }) => addresses.map(formatInterfaceAddress))).toEqual([
      ['10.0.0.4/26'],
      [9, 3, 4, 5, 7, 8, 21, 22, 30, 100].map((host) => `10.0.1.${host}/24`),
    ]);
  });

  test('is asked for with the spelling of the listing, mask and gateway once per ENI', async () => {
    const before = server.requests.length;
    await provider.fetch();
    const paths = server.requests.slice(before).map(({ path }) => path);
    expect(paths.filter((path) => path.includes(SECONDARY_MAC.toUpperCase())).toSorted()).toEqual(
      [
        `${BASE}${SECONDARY}local-ipv4s/`,
        `${BASE}${SECONDARY}local-ipv4s/10.0.1.9/gateway`,
        `${BASE}${SECONDARY}local-ipv4s/10.0.1.9/subnet-mask`,
        `${BASE}${SECONDARY}primary-local-ipv4`,
      ].toSorted(),
    );
    expect(paths).toHaveLength(3 + 2 * 4);
  });

  test('may list an entry twice, end lines with CRLF and have empty lines', async () => {
    const body = '\r\n10.0.1.9/\r\n10.0.1.3/\r\n\r\n10.0.1.3/\n10.0.1.9\n \n';
    server.setFault({ path: `${SECONDARY}local-ipv4s/`, mode: 'garbage', body, exact: true });
    const { nic } = await secondaryReading();
    expect(nic?.addresses.map(({ address }) => address)).toEqual(['10.0.1.9', '10.0.1.3']);
  });

  test('may list a MAC in two spellings: it is one ENI, asked for as first spelled', async () => {
    const body = `${SECONDARY_MAC.toUpperCase()}/\n${PRIMARY_MAC.toUpperCase()}/\n${SECONDARY_MAC}/\n`;
    server.setFault({ path: MACS, mode: 'garbage', body, exact: true });
    expect((await provider.fetch()).nics).toHaveLength(2);
  });

  test('without an instance id has none', async () => {
    server.setModel({ ...MODEL, instanceId: null });
    expect((await provider.fetch()).instanceId).toBeNull();
  });
});

const UNREACHABLE: readonly FaultMode[] = ['status', 'truncate', 'drip', 'hang', 'close', 'reset'];
const MALFORMED: readonly FaultMode[] = ['empty', 'html', 'redirect', 'garbage', 'huge'];
const WHOLE = ['mac', 'instance-id', MACS];

describe('a fault in what everything hangs on fails the whole reading', () => {
  test.each(WHOLE.flatMap((path) => UNREACHABLE.map((mode) => [path, mode] as const)))(
    '%s: %s is unreachable',
    async (path, mode) => {
      loseNoTimeOn(mode);
      server.setFault({ path, mode, exact: true });
      const error = await rejection(provider.fetch());
      expect(error.code).toBe('metadata-unreachable');
      expect(error.message).toContain(`reading the instance metadata: ${server.endpoint}: ${path}: `);
    },
  );

  test.each(WHOLE.flatMap((path) => MALFORMED.map((mode) => [path, mode] as const)))(
    '%s: %s is malformed',
    async (path, mode) => {
      loseNoTimeOn(mode);
      server.setFault({ path, mode, exact: true });
      const error = await rejection(provider.fetch());
      expect(error.code).toBe('metadata-malformed');
      expect(error.message).toContain(`${server.endpoint}: ${path}: `);
    },
  );

  test.each(['mac', MACS])('%s: 404 is malformed', async (path) => {
    server.setFault({ path, mode: 'status', status: 404, exact: true });
    const { code, message } = await rejection(provider.fetch());
    expect(code).toBe('metadata-malformed');
    expect(message).toContain(`${path}: HTTP 404`);
  });

  test.each([
    ['a bad MAC among good ones', `${PRIMARY_MAC}/\n52:54:00:00:00/\n`],
    ['the null MAC', `${PRIMARY_MAC}/\n00:00:00:00:00:00/\n`],
    ['no primary MAC', `${SECONDARY_MAC}/\n`],
    ['a path', `${PRIMARY_MAC}/\n../../${SECONDARY_MAC}/\n`],
  ])('the list of MACs has %s: malformed', async (_, body) => {
    server.setFault({ path: MACS, mode: 'garbage', body, exact: true });
    expect(await rejection(provider.fetch())).toMatchObject({ code: 'metadata-malformed' });
  });

  test('nobody listens: unreachable, and the message says so', async () => {
    const gone = await startServer();
    await gone.close();
    const lonely = createTencentProvider({ endpoints: [gone.endpoint], timeoutMs: TIMEOUT_MS });
    const error = await rejection(lonely.fetch());
    expect(error.code).toBe('metadata-unreachable');
    expect(error.message).toContain('ECONNREFUSED');
  });
});

const NIC_PATHS = [
  'local-ipv4s/',
  'primary-local-ipv4',
  'local-ipv4s/10.0.1.9/subnet-mask',
  'local-ipv4s/10.0.1.9/gateway',
];

describe('a fault in one ENI makes that ENI invalid and no other', () => {
  const modes = [...UNREACHABLE, ...MALFORMED, 'missing'] as const;
  test.each(NIC_PATHS.flatMap((path) => modes.map((mode) => [path, mode] as const)))(
    '%s: %s',
    async (path, mode) => {
      const kind: Fault = mode === 'missing' ? { mode: 'status', status: 404 } : { mode };
      loseNoTimeOn(mode);
      server.setFault({ ...kind, path: `${SECONDARY}${path}`, exact: true });
      const { nic, invalid, problem } = await secondaryReading();
      expect(nic).toBeUndefined();
      expect(invalid.map(({ mac }) => mac)).toEqual([SECONDARY_MAC]);
      expect(problem).toMatch(new RegExp(`^${SECONDARY}${path}: .+`));
    },
  );

  test.each([
    [
      'its primary is not in the list',
      { primary: '10.0.1.77' },
      'primary address 10.0.1.77 is not in the list',
    ],
    [
      'its gateway is outside of its subnet',
      { gateway: '10.0.2.1' },
      'gateway 10.0.2.1 is not in subnet 10.0.1.0/24',
    ],
    [
      'an address is outside of its subnet',
      { addresses: ['10.0.1.9', '10.0.7.9'] },
      '10.0.7.9/24 is not in subnet',
    ],
    ['its mask has a hole', { mask: '255.0.255.0' }, '"255.0.255.0" instead of a subnet mask'],
    ['its mask is zero', { mask: '0.0.0.0' }, '"0.0.0.0" instead of a subnet mask'],
    [
      'an address has a leading zero',
      { addresses: ['10.0.1.9', '10.0.1.010'] },
      '"10.0.1.010" instead of an IPv4',
    ],
    ['an address is IPv6', { addresses: ['10.0.1.9', 'fe80::1'] }, '"fe80::1" instead of an IPv4 address'],
    [
      'an address is that of the metadata service',
      { addresses: ['10.0.1.9', '169.254.0.23'] },
      'it lists 169.254.0.23, which is no address of a NIC',
    ],
    ['it has no address', { addresses: [] }, 'an empty answer instead of a list of IPv4 addresses'],
  ])('%s', async (_, change, expected) => {
    server.setModel(secondaryModel(change));
    const { nic, problem } = await secondaryReading();
    expect(nic).toBeUndefined();
    expect(problem).toContain(expected);
  });

  test('all requests of an ENI hang: the others are read, in bounded time', async () => {
    loseNoTimeOn('hang');
    server.setFault({ mac: SECONDARY_MAC, mode: 'hang' });
    const start = performance.now();
    const { problem } = await secondaryReading();
    expect(problem).toContain(`no complete answer within ${TIMEOUT_MS} ms`);
    expect(performance.now() - start).toBeLessThan(bound(2 * TIMEOUT_MS));
  });

  const hanging = Array.from({ length: 16 }, (_, index) => ({
    mac: `52:54:00:ff:00:${(index + 16).toString(16)}`,
    primary: '10.0.9.9',
    addresses: ['10.0.9.9'],
    mask: '255.255.255.0',
    gateway: '10.0.9.1',
  }));

  test.each([
    [
      'seven of nine ENIs hang: the last two of the list are read',
      [...hanging.slice(0, 7), ...MODEL.nics],
      7,
    ],
    ['more hang than there is time for: it ends after five timeouts', [...MODEL.nics, ...hanging], 16],
  ])('%s', async (_, nics, expectedInvalid) => {
    server.setModel({ ...MODEL, nics });
    loseNoTimeOn('hang');
    server.setFault({ path: `${MACS}52:54:00:FF`, mode: 'hang' });
    const start = performance.now();
    const metadata = await provider.fetch();
    expect(performance.now() - start).toBeLessThan(bound(6 * TIMEOUT_MS));
    expect(metadata.nics.map(({ mac }) => mac)).toEqual([PRIMARY_MAC, SECONDARY_MAC]);
    expect(metadata.invalid).toHaveLength(expectedInvalid);
  });
});

describe('refreshed', () => {
  const LISTS = [`${MACS}${PRIMARY_MAC.toUpperCase()}/local-ipv4s/`, `${SECONDARY}local-ipv4s/`];
  const whole = async (): Promise<number> => (await requestsOf(() => provider.fetch())).length;

  test('it asks for the ENIs and their addresses alone, and everything else is as it was', async () => {
    const before = await provider.fetch();
    const asked = await requestsOf(async () => expect(await provider.refresh()).toEqual(before));
    expect(asked.toSorted()).toEqual([MACS, ...LISTS].toSorted());
  });

  test('each thirtieth time it asks for everything', async () => {
    const all = await whole();
    const counts: number[] = [];
    for (let time = 1; time <= 60; time += 1)
      counts.push((await requestsOf(() => provider.refresh())).length);
    const cycle = [...Array.from({ length: 29 }, () => 3), all];
    expect(counts).toEqual([...cycle, ...cycle]);
  });

  test('what says the same is the very same object, also when everything was asked for', async () => {
    const before = await provider.fetch();
    expect(await provider.refresh()).toBe(before);
    expect(await provider.fetch()).toBe(before);
    expect(await provider.refresh()).toBe(before);
  });

  test('an ENI that is broken is in the answer, and out of it when it is not listed any more', async () => {
    const { nics } = await provider.fetch();
    const [known] = MODEL.nics;
    const broken = {
      ...known,
      mac: '52:54:00:ff:00:20',
      primary: '10.0.9.4',
      addresses: ['10.0.9.4'],
      gateway: 'none',
    };
    server.setModel({ ...MODEL, nics: [...MODEL.nics, broken] } as typeof MODEL);
    server.setFault({ path: `${MACS}52:54:00:FF:00:20`, mode: 'status', status: 503 });
    expect(await provider.refresh()).toMatchObject({ nics, invalid: [{ mac: broken.mac }] });
    server.setModel(MODEL);
    expect(await provider.refresh()).toMatchObject({ nics, invalid: [] });
  });

  test('a list in another order is the same', async () => {
    const before = await provider.fetch();
    const [secondary, primary] = MODEL.nics;
    const turned = { ...secondary, addresses: secondary?.addresses.toReversed() };
    server.setModel({ ...MODEL, nics: [turned, primary] } as typeof MODEL);
    const asked = await requestsOf(async () => expect(await provider.refresh()).toBe(before));
    expect(asked).toHaveLength(3);
  });

  test('of an ENI with other addresses it asks for everything', async () => {
    await provider.fetch();
    const [secondary] = MODEL.nics;
    server.setModel(secondaryModel({ addresses: [...(secondary?.addresses ?? []), '10.0.1.77'] }));
    const asked = await requestsOf(async () => {
      const nic = (await provider.refresh()).nics.find(({ mac }) => mac === SECONDARY_MAC);
      expect(nic?.addresses.map(({ address }) => address)).toContain('10.0.1.77');
    });
    expect(asked).toEqual(
      expect.arrayContaining([`${SECONDARY}primary-local-ipv4`, `${SECONDARY}local-ipv4s/10.0.1.9/gateway`]),
    );
    expect(asked).not.toContain('mac');
  });

  test('after a failure it asks for everything', async () => {
    const all = await whole();
    server.setFault({ path: MACS, mode: 'status', status: 503, times: 1 });
    await rejection(provider.refresh());
    expect((await requestsOf(() => provider.refresh())).length).toBe(all);
  });

  test('it fails as a whole reading does: a listing without the primary is none', async () => {
    await provider.fetch();
    const [secondary] = MODEL.nics;
    server.setModel({ ...MODEL, nics: [secondary] } as typeof MODEL);
    expect(await rejection(provider.refresh())).toMatchObject({ code: 'metadata-malformed' });
  });

  test('when seven of nine ENIs hang, the last two of the list are read', async () => {
    const hanging = Array.from({ length: 7 }, (_, index) => {
      const primary = `10.0.9.${index + 4}`;
      const rest = { addresses: [primary], mask: '255.255.255.0', gateway: '10.0.9.1' };
      return { mac: `52:54:00:ff:00:1${index}`, primary, ...rest };
    });
    server.setModel({ ...MODEL, nics: [...hanging, ...MODEL.nics] });
    loseNoTimeOn('hang');
    expect((await provider.fetch()).nics).toHaveLength(9);
    server.setFault({ path: `${MACS}52:54:00:FF`, mode: 'hang' });
    const start = performance.now();
    const metadata = await provider.refresh();
    // After five timeouts nobody is asked any more.
    expect(performance.now() - start).toBeLessThan(bound(5 * TIMEOUT_MS));
    expect(metadata.nics.map(({ mac }) => mac)).toEqual([PRIMARY_MAC, SECONDARY_MAC]);
    expect(metadata.invalid).toHaveLength(7);
  });

  describe('with an ENI that is expected', () => {
    const expected = Promise.resolve([SECONDARY_MAC as MacAddress]);
    const [, primary] = MODEL.nics;
    const without = { ...MODEL, nics: [primary] } as typeof MODEL;

    test('it is asked for whatever the listing will say', async () => {
      server.setModel(without);
      await provider.fetch();
      server.setModel(MODEL);
      server.setFault({ mode: 'answers', answers: { [MACS]: '' } });
      const before = server.requests.length;
      await rejection(provider.refresh(expected));
      const asked = (): readonly string[] => server.requests.slice(before).map(({ path }) => path);
      await expect.poll(asked).toContain(`${BASE}${SECONDARY}primary-local-ipv4`);
    });

    test('it is the same, and each of its keys is asked for once', async () => {
      const all = await provider.fetch();
      server.setModel(without);
      await provider.fetch();
      server.setModel(MODEL);
      const asked = await requestsOf(async () => expect(await provider.refresh(expected)).toEqual(all));
      expect(asked).toHaveLength(new Set(asked).size);
    });

    test('it is none when it is not listed', async () => {
      server.setModel(without);
      const before = await provider.fetch();
      expect(await provider.refresh(expected)).toEqual(before);
    });

    test('it is read again when that has failed', async () => {
      const all = await provider.fetch();
      server.setModel(without);
      await provider.fetch();
      server.setModel(MODEL);
      server.setFault({ path: `${SECONDARY}primary-local-ipv4`, mode: 'status', status: 503, times: 1 });
      expect(await provider.refresh(expected)).toEqual(all);
    });
  });

  test('one after the other, over one connection', async () => {
    await provider.fetch();
    await provider.refresh();
    const connections = new Set(server.requests.slice(-3).map(({ connection }) => connection));
    expect(connections.size).toBe(1);
  });
});

describe('what contradicts itself', () => {
  const readings = (paths: readonly string[]): number => paths.filter((path) => path === MACS).length;

  test('since the cloud changed it between two requests is read once more, and is right then', async () => {
    server.setFault({ path: `${SECONDARY}local-ipv4s/10.0.1.9/`, mode: 'status', status: 404, times: 1 });
    const asked = await requestsOf(async () => expect((await provider.fetch()).invalid).toEqual([]));
    expect(readings(asked)).toBe(2);
  });

  test('is invalid when it still does, and is not asked for ever', async () => {
    server.setModel(secondaryModel({ gateway: '10.0.2.1' }));
    const asked = await requestsOf(async () => expect((await provider.fetch()).invalid).toHaveLength(1));
    expect(readings(asked)).toBe(2);
  });

  test('is taken as it was when the second reading fails as a whole', async () => {
    server.setModel(secondaryModel({ gateway: '10.0.2.1' }));
    server.setFault({ path: 'mac', mode: 'status', from: 1 });
    expect((await provider.fetch()).invalid.map(({ mac }) => mac)).toEqual([SECONDARY_MAC]);
  });

  test('is no reason to ask once more what does not answer', async () => {
    server.setFault({ mac: SECONDARY_MAC, mode: 'status', status: 503 });
    const asked = await requestsOf(async () => expect((await provider.fetch()).invalid).toHaveLength(1));
    expect(readings(asked)).toBe(1);
  });

  test('is no reason to ask once more who asked to be left alone', async () => {
    server.setFault({
      path: `${SECONDARY}primary-local-ipv4`,
      mode: 'status',
      status: 403,
      retryAfter: '30',
    });
    const asked = await requestsOf(async () => expect((await provider.fetch()).invalid).toHaveLength(1));
    expect(readings(asked)).toBe(1);
  });

  test('an address of two ENIs: both are invalid, and each names the other', async () => {
    const [secondary, primary] = MODEL.nics;
    const third = {
      ...secondary,
      mac: '52:54:00:00:00:0c',
      primary: '10.0.1.200',
      addresses: ['10.0.1.200', '10.0.1.30'],
    };
    server.setModel({ ...MODEL, nics: [secondary, primary, third] } as typeof MODEL);
    const { nics, invalid } = await provider.fetch();
    expect(nics.map(({ mac }) => mac)).toEqual([PRIMARY_MAC]);
    expect(invalid).toEqual([
      { mac: SECONDARY_MAC, problem: '10.0.1.30 is listed for 52:54:00:00:00:0c as well' },
      { mac: '52:54:00:00:00:0c', problem: `10.0.1.30 is listed for ${SECONDARY_MAC} as well` },
    ]);
  });

  test('two ENIs in one subnet do not', async () => {
    const [secondary, primary] = MODEL.nics;
    const third = {
      ...secondary,
      mac: '52:54:00:00:00:0c',
      primary: '10.0.1.200',
      addresses: ['10.0.1.200'],
    };
    server.setModel({ ...MODEL, nics: [secondary, primary, third] } as typeof MODEL);
    expect((await provider.fetch()).invalid).toEqual([]);
  });
});

describe('what an ENI keeps for life', () => {
  const gatewayOf = async (): Promise<string | undefined> =>
    (await provider.fetch()).nics.find(({ mac }) => mac === SECONDARY_MAC)?.gateway;
  const RIGHT = '10.0.1.1';
  const WRONG = '10.0.1.77';
  const GATEWAY = `${SECONDARY}local-ipv4s/10.0.1.9/gateway`;

  test('and is otherwise in one answer is read again, and not believed', async () => {
    expect(await gatewayOf()).toBe(RIGHT);
    server.setFault({ mode: 'garbage', path: GATEWAY, exact: true, body: WRONG, times: 1 });
    const startedAt = performance.now();
    expect(await gatewayOf()).toBe(RIGHT);
    expect(performance.now() - startedAt).toBeGreaterThan(990);
  });

  test.each([{ gateway: WRONG }, { mask: '255.255.0.0' }, { primary: '10.0.1.30' }])(
    'and is otherwise in two is believed, and what was before is right again at once: %o',
    async (change) => {
      const before = await provider.fetch();
      server.setModel(secondaryModel(change));
      const changed = await provider.fetch();
      expect(changed).not.toEqual(before);
      server.setModel(MODEL);
      const asked = await requestsOf(async () => {
        expect(await provider.fetch()).toEqual(before);
        server.setModel(secondaryModel(change));
        expect(await provider.fetch()).toEqual(changed);
      });
      // Neither was read a second time.
      expect(asked).toHaveLength(2 * REQUESTS);
    },
  );

  test('and is otherwise each time is a failure', async () => {
    await provider.fetch();
    server.setFault({ mode: 'garbage', path: GATEWAY, exact: true, body: WRONG });
    const failing = rejection(provider.fetch());
    await sleep(300);
    server.setFault({ mode: 'garbage', path: GATEWAY, exact: true, body: '10.0.1.78' });
    expect((await failing).message).toMatch(/via 10\.0\.1\.77 instead of .* and then .* via 10\.0\.1\.78/);
  });

  test('is known from an earlier process, and an address that is added is none of it', async () => {
    const recalled = await provider.fetch();
    provider.close();
    let asked = 0;
    const recall = () => {
      asked += 1;
      return recalled;
    };
    provider = createTencentProvider({ endpoints: [server.endpoint], timeoutMs: PATIENT_MS, recall });
    server.setFault({ mode: 'garbage', path: GATEWAY, exact: true, body: WRONG, times: 1 });
    expect(await gatewayOf()).toBe(RIGHT);
    server.setModel(secondaryModel({ addresses: [...(MODEL.nics[0]?.addresses ?? []), '10.0.1.99'] }));
    expect(await requestsOf(() => provider.fetch())).toHaveLength(REQUESTS);
    expect(asked).toBe(1);
  });

  test('is not waited for when the client is closed', async () => {
    await provider.fetch();
    server.setFault({ mode: 'garbage', path: GATEWAY, exact: true, body: WRONG });
    const failing = rejection(provider.fetch());
    await sleep(200);
    const closedAt = performance.now();
    provider.close();
    expect((await failing).code).toBe('metadata-unreachable');
    // The look would come 800 ms later.
    expect(performance.now() - closedAt).toBeLessThan(700);
  });
});

describe('a service that asks to be left alone', () => {
  test('is said to, whichever key it was', async () => {
    expect(provider.retryAfterMs()).toBe(0);
    server.setFault({ mac: SECONDARY_MAC, mode: 'status', status: 429, retryAfter: '30' });
    const { problem } = await secondaryReading();
    expect(problem).toContain('HTTP 429 (Retry-After: "30")');
    expect(provider.retryAfterMs()).toBeGreaterThan(20_000);
  });

  test('is none when another endpoint answers instead', async () => {
    const fallback = await startServer();
    fallback.setModel(MODEL);
    const endpoints = [server.endpoint, fallback.endpoint];
    const both = createTencentProvider({ endpoints, timeoutMs: PATIENT_MS });
    server.setFault({ mode: 'status', status: 503, retryAfter: '30' });
    await both.fetch();
    expect(both.retryAfterMs()).toBe(0);
    fallback.setFault({ mode: 'status', status: 503 });
    await rejection(both.fetch());
    expect(both.retryAfterMs()).toBeGreaterThan(20_000);
    both.close();
    await fallback.close();
  });
});

describe('fallback endpoints', () => {
  test('are asked in order when the first fails as a whole, and the one that worked goes first next time', async () => {
    const fallback = await startServer();
    const both = createTencentProvider({
      endpoints: [server.endpoint, fallback.endpoint],
      timeoutMs: PATIENT_MS,
    });
    fallback.setModel(MODEL);
    server.setFault({ path: 'mac', mode: 'html' });
    expect((await both.fetch()).nics).toHaveLength(2);
    const asked = server.requests.length;
    expect((await both.fetch()).nics).toHaveLength(2);
    expect(server.requests).toHaveLength(asked);
    server.setFault(null);
    fallback.setFault({ mode: 'status' });
    expect((await both.fetch()).nics).toHaveLength(2);
    both.close();
    await fallback.close();
  });

  test('do not come in for one bad ENI', async () => {
    const fallback = await startServer();
    const both = createTencentProvider({
      endpoints: [server.endpoint, fallback.endpoint],
      timeoutMs: PATIENT_MS,
    });
    server.setFault({ mac: SECONDARY_MAC, mode: 'status' });
    expect((await both.fetch()).invalid).toHaveLength(1);
    expect(fallback.requests).toHaveLength(0);
    both.close();
    await fallback.close();
  });

  test('that all fail are all named, with what came back', async () => {
    const fallback = await startServer();
    fallback.setFault({ mode: 'status', status: 503 });
    server.setFault({ mode: 'redirect' });
    const both = createTencentProvider({
      endpoints: [server.endpoint, fallback.endpoint],
      timeoutMs: PATIENT_MS,
    });
    const error = await rejection(both.fetch());
    expect(error.code).toBe('metadata-malformed');
    expect(error.message).toContain(`${server.endpoint}: mac: HTTP 302 to "/latest/meta-data/redirected"`);
    expect(error.message).toContain(`; ${fallback.endpoint}: mac: HTTP 503`);
    both.close();
    await fallback.close();
  });
});

describe('whatever the listings hold', () => {
  const line = fc.oneof(
    fc.constantFrom('10.0.1.9/', '10.0.1.3/', '10.0.1.3', '10.0.1.300/', '', ' ', `${SECONDARY_MAC}/`),
    fc.constantFrom(`${PRIMARY_MAC}/`, PRIMARY_MAC.toUpperCase(), '<html>', '52:54:00:00:00:0C/'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const body = fc
    .array(line, { maxLength: 6 })
    .map((lines) => Buffer.from(lines.join('\n')).toString('latin1'));

  test('an ENI has every address that its listing had, or it is invalid', async () => {
    await fc.assert(
      fc.asyncProperty(body, async (listing) => {
        server.setFault({ path: `${SECONDARY}local-ipv4s/`, mode: 'garbage', body: listing, exact: true });
        const { nic, invalid } = await secondaryReading();
        if (nic === undefined) {
          expect(invalid).toHaveLength(1);
          return;
        }
        const text = Buffer.from(listing, 'latin1').toString('utf8');
        const entries = text.split('\n').map((entry) => entry.trim().replace(/\/$/, ''));
        const listed = new Set(entries.filter((entry) => entry !== ''));
        expect(new Set<string>(nic.addresses.map(({ address }) => address))).toEqual(listed);
      }),
      { numRuns: RUNS },
    );
  });

  test('every ENI of the listing is there or invalid, or the whole is refused', async () => {
    await fc.assert(
      fc.asyncProperty(body, async (listing) => {
        server.setFault({ path: MACS, mode: 'garbage', body: listing, exact: true });
        const result = await provider.fetch().catch((error: unknown) => error);
        if (result instanceof AgentError) return;
        const { nics, invalid } = result as Awaited<ReturnType<MetadataProvider['fetch']>>;
        const macs = new Set(listing.toLowerCase().match(/52:54:00:00:00:0[a-c]/g));
        expect(new Set<string>([...nics, ...invalid].map(({ mac }) => mac))).toEqual(macs);
      }),
      { numRuns: RUNS },
    );
  });
});
