import { expect, test } from 'vitest';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import { createPublicAddresses } from '../../../src/reconcile/public-addresses.ts';
import { eni } from '../builders.ts';

const NICS = [eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')];

test('a service that asked to be left alone is not asked for what only people read, and is later', async () => {
  const asked: string[] = [];
  let retryAfterMs = 30_000;
  const provider = {
    retryAfterMs: () => retryAfterMs,
    publicAddresses: async ({ mac }: { mac: string }) => {
      asked.push(mac);
      return new Map();
    },
  } as unknown as MetadataProvider;
  const addresses = createPublicAddresses();
  addresses.refresh(provider, NICS, 0);
  await Promise.resolve();
  expect(asked).toEqual([]);
  retryAfterMs = 0;
  addresses.refresh(provider, NICS, 30_000);
  await new Promise(setImmediate);
  expect(asked).toEqual(NICS.map(({ mac }) => mac));
});

test('one that asks for it in between is asked no further', async () => {
  const asked: string[] = [];
  let retryAfterMs = 0;
  const provider = {
    retryAfterMs: () => retryAfterMs,
    publicAddresses: async ({ mac }: { mac: string }) => {
      asked.push(mac);
      retryAfterMs = 30_000;
      return new Map();
    },
  } as unknown as MetadataProvider;
  const addresses = createPublicAddresses();
  addresses.refresh(provider, NICS, 0);
  await new Promise(setImmediate);
  expect(asked).toEqual([NICS[0]?.mac]);
});
