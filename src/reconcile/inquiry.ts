/** One reading of the metadata at a time; while it keeps us waiting, we go on by what is known. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MetadataProvider } from '../metadata/provider.ts';
import { type Fetched, fetchMetadata } from './reading.ts';

/** An answer takes milliseconds. One that takes longer must not keep the kernel waiting, where a VIP may have come meanwhile. */
const PATIENCE_MS = 200;

export interface Inquiry {
  /**
   * What the metadata says, or `known` itself when that takes long: then it rings when the answer is there, for the next `ask`.
   * With null nothing is known, and the answer is waited for. `bringsNews`: an answer that was asked for before is not enough.
   */
  ask(provider: MetadataProvider, known: Fetched | null, bringsNews: boolean): Promise<Fetched>;
  /** The provider is another one from now on. */
  forget(): void;
}

export function createInquiry(ring: () => void): Inquiry {
  let reading: Promise<Fetched> | null = null;
  let isOutdated = false;
  return {
    ask: async (provider, known, bringsNews) => {
      isOutdated ||= reading !== null && bringsNews;
      reading ??= fetchMetadata(provider);
      const current = reading;
      const patience = known === null ? [] : [delay(PATIENCE_MS, known, { ref: false })];
      const fetched = await Promise.race([current, ...patience]);
      if (fetched === known) {
        const ringIfUntaken = (): void => {
          if (reading === current) ring();
        };
        void current.then(ringIfUntaken, ringIfUntaken);
        return known;
      }
      reading = null;
      if (isOutdated) ring();
      isOutdated = false;
      return fetched;
    },
    forget: () => {
      reading = null;
      isOutdated = false;
    },
  };
}
