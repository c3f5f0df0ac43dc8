/** Public addresses: asked of a real server, seldom, and never in anybody's way. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import { createTencentProvider } from '../../../src/metadata/tencent.ts';
import type { NicMetadata } from '../../../src/model/metadata.ts';
import { createPublicAddresses } from '../../../src/reconcile/public-addresses.ts';
import type { MetadataServer } from '../../lab/metadata-server.ts';
import { until } from '../../lab/until.ts';
import { MODEL, SECONDARY_MAC, startServer } from './fixture.ts';

const INTERVAL_MS = 10 * 60_000;
const PUBLIC = { '10.0.1.7': '139.199.11.29', '10.0.1.4': '139.199.11.30' };

let server: MetadataServer;
let provider: MetadataProvider;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.setModel(MODEL);
  server.setFault(null);
  provider = createTencentProvider({ endpoints: [server.endpoint], timeoutMs: 10_000 });
});
afterEach(() => provider.close());

/** The ENI with ten addresses. */
function serve(publicAddresses: Readonly<Record<string, string>>): void {
  const nics = MODEL.nics.map((nic) =>
    nic.mac.toLowerCase() === SECONDARY_MAC ? { ...nic, publicAddresses } : nic,
  );
  server.setModel({ ...MODEL, nics });
}

async function fetchSecondary(): Promise<NicMetadata> {
  const nic = (await provider.fetch()).nics.find(({ mac }) => mac === SECONDARY_MAC);
  if (nic === undefined) throw new Error('the fixture has no secondary ENI');
  return nic;
}

describe('the public addresses of an ENI', () => {
  test('are found by private address', async () => {
    serve(PUBLIC);
    const nic = await fetchSecondary();
    expect(Object.fromEntries(await provider.publicAddresses(nic))).toEqual(PUBLIC);
  });

  test('cost one request where there are none, in the spelling of the listing', async () => {
    const nic = await fetchSecondary();
    const before = server.requests.length;
    expect(await provider.publicAddresses(nic)).toEqual(new Map());
    const paths = server.requests.slice(before).map(({ path }) => path);
    expect(paths).toEqual([
      `/latest/meta-data/network/interfaces/macs/${SECONDARY_MAC.toUpperCase()}/public-ipv4s`,
    ]);
  });

  test('that are none are refused', async () => {
    serve(PUBLIC);
    const nic = await fetchSecondary();
    server.setFault({ mode: 'html' });
    await expect(provider.publicAddresses(nic)).rejects.toMatchObject({ code: 'metadata-malformed' });
  });
});

describe('the background', () => {
  test('asks again after ten minutes and not before, keeps what it knew when that fails, forgets an ENI that is gone', async () => {
    serve(PUBLIC);
    const nic = await fetchSecondary();
    const addresses = createPublicAddresses();
    const known = () => Object.fromEntries(addresses.known());
    addresses.refresh(provider, [nic], 0);
    await until({ what: 'both are known', read: known, holds: (seen) => Object.keys(seen).length === 2 });
    expect(known()).toEqual(PUBLIC);

    const before = server.requests.length;
    addresses.refresh(provider, [nic], INTERVAL_MS - 1);
    server.setFault({ mode: 'status', status: 500, times: 1 });
    addresses.refresh(provider, [nic], INTERVAL_MS);
    await until({
      what: 'it asked once',
      read: () => server.requests.length,
      holds: (n) => n === before + 1,
    });
    expect(known()).toEqual(PUBLIC);

    serve({});
    await until({
      what: 'it asked once more',
      read: () => {
        addresses.refresh(provider, [nic], 2 * INTERVAL_MS);
        return known();
      },
      holds: (seen) => Object.keys(seen).length === 0,
    });
    expect(server.requests.length).toBe(before + 2);

    serve(PUBLIC);
    addresses.refresh(provider, [nic], 3 * INTERVAL_MS);
    await until({ what: 'both are known', read: known, holds: (seen) => Object.keys(seen).length === 2 });
    addresses.refresh(provider, [], 3 * INTERVAL_MS);
    expect(known()).toEqual({});
  });
});
