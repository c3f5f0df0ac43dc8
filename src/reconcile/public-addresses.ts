/**
 * Public addresses matter to `status` alone and may change at any time (FACTS §1): asked for in the background, one ENI
 * after the other, each at most every ten minutes; no run waits for them, and a service that asked to be left alone is.
 */
import { AgentError } from '../errors.ts';
import type { MetadataProvider } from '../metadata/provider.ts';
import type { NicMetadata } from '../model/metadata.ts';
import type { IpAddress, MacAddress } from '../model/net.ts';

const INTERVAL_MS = 10 * 60_000;

export interface PublicAddresses {
  /** Begins to ask for those that were not asked for lately. What fails leaves what was known, until the next time. */
  refresh(provider: MetadataProvider, nics: readonly NicMetadata[], now: number): void;
  /** By private address. */
  known(): ReadonlyMap<IpAddress, IpAddress>;
}

interface Answer {
  readonly askedAt: number;
  readonly addresses: ReadonlyMap<IpAddress, IpAddress>;
}

export function createPublicAddresses(): PublicAddresses {
  const answers = new Map<MacAddress, Answer>();
  let isBusy = false;

  async function ask(provider: MetadataProvider, nic: NicMetadata, now: number): Promise<void> {
    const before = answers.get(nic.mac)?.addresses ?? new Map<IpAddress, IpAddress>();
    answers.set(nic.mac, { askedAt: now, addresses: before });
    try {
      answers.set(nic.mac, { askedAt: now, addresses: await provider.publicAddresses(nic) });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
    }
  }

  async function askAll(
    provider: MetadataProvider,
    nics: readonly NicMetadata[],
    now: number,
  ): Promise<void> {
    isBusy = true;
    try {
      for (const nic of nics) if (provider.retryAfterMs() === 0) await ask(provider, nic, now);
    } finally {
      isBusy = false;
    }
  }

  return {
    refresh: (provider, nics, now) => {
      const listed = new Set(nics.map(({ mac }) => mac));
      for (const mac of answers.keys()) if (!listed.has(mac)) answers.delete(mac);
      const isDue = ({ mac }: NicMetadata): boolean =>
        now - (answers.get(mac)?.askedAt ?? Number.NEGATIVE_INFINITY) >= INTERVAL_MS;
      if (!isBusy) void askAll(provider, nics.filter(isDue), now);
    },
    known: () => new Map([...answers.values()].flatMap(({ addresses }) => [...addresses])),
  };
}
