/**
 * One reading of the metadata at a time; while it keeps us waiting, we go on by what is known. A service that fails is asked less and
 * less often, and one that asks to be left alone is.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MetadataProvider } from '../metadata/provider.ts';
import type { MacAddress } from '../model/net.ts';
import { asFetched, type Fetched } from './reading.ts';

/** An answer takes milliseconds. One that takes longer must not keep the kernel waiting, where a VIP may have come meanwhile. */
const PATIENCE_MS = 200;
/** After the first failure; after each further one twice as long, up to the interval at which the metadata is asked anyway. */
const FIRST_PAUSE_MS = 1_000;
/** Parts of a pause, by chance, so that many VMs do not ask at the same moment when their service is back. */
const SHORTEST_PART = 0.75;
const LONGEST_PART = 0.9;

export interface Question {
  readonly provider: MetadataProvider;
  /** What was answered before, a failure too; null: nothing yet, and the answer is waited for. */
  readonly known: Fetched | null;
  /** Somebody did something: a failure before is no reason to wait, and an answer that was asked for before is not enough. */
  readonly bringsNews: boolean;
  /** ENIs that may be new. Never rejects. */
  readonly expected?: Promise<readonly MacAddress[]>;
  /** A failure is followed by no longer pause than this. */
  readonly longestPauseMs: number;
}

export interface Inquiry {
  /**
   * What the metadata says; or `known` itself when that takes long, or is not asked for yet. Then it rings when the answer is there or
   * when it is time, for the next `ask`.
   */
  ask(question: Question): Promise<Fetched>;
  /** The provider is another one from now on, or none. */
  forget(): void;
}

export function createInquiry(ring: () => void, random: () => number = Math.random): Inquiry {
  return new PatientInquiry(ring, random);
}

class PatientInquiry implements Inquiry {
  readonly #ring: () => void;
  readonly #random: () => number;
  #reading: Promise<Fetched> | null = null;
  /** performance.now() at which it began. */
  #begunAt = 0;
  #isOutdated = false;
  #failures = 0;
  /** performance.now() */
  #pausedUntil = 0;
  #alarm: NodeJS.Timeout | undefined;

  constructor(ring: () => void, random: () => number) {
    this.#ring = ring;
    this.#random = random;
  }

  async ask(question: Question): Promise<Fetched> {
    const { provider, known, bringsNews } = question;
    if (known !== null && this.#reading === null) {
      const pauseMs = Math.max(
        provider.retryAfterMs(),
        bringsNews ? 0 : this.#pausedUntil - performance.now(),
      );
      if (pauseMs > 0) {
        this.#ringIn(pauseMs);
        return known;
      }
    }
    this.#isOutdated ||= this.#reading !== null && bringsNews;
    if (this.#reading === null) this.#begunAt = performance.now();
    this.#reading ??= asFetched(provider.refresh(question.expected));
    const reading = this.#reading;
    const patience = known === null ? [] : [delay(PATIENCE_MS, known, { ref: false })];
    const fetched = await Promise.race([reading, ...patience]);
    if (fetched === known) {
      const ringIfUntaken = (): void => {
        if (this.#reading === reading) this.#ring();
      };
      void reading.then(ringIfUntaken, ringIfUntaken);
      return known;
    }
    this.#reading = null;
    this.#pause(fetched, question);
    if (this.#isOutdated) this.#ring();
    this.#isOutdated = false;
    return fetched;
  }

  forget(): void {
    clearTimeout(this.#alarm);
    this.#reading = null;
    this.#isOutdated = false;
    this.#failures = 0;
    this.#pausedUntil = 0;
  }

  #pause(fetched: Fetched, { provider, longestPauseMs }: Question): void {
    clearTimeout(this.#alarm);
    this.#failures = 'failure' in fetched ? this.#failures + 1 : 0;
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), longestPauseMs);
    const pauseMs =
      this.#failures === 0 ? 0 : longest * (SHORTEST_PART + (LONGEST_PART - SHORTEST_PART) * this.#random());
    // From the question on: one that hangs is not waited for twice.
    this.#pausedUntil = this.#begunAt + pauseMs;
    const waitMs = Math.max(this.#pausedUntil - performance.now(), provider.retryAfterMs());
    if (this.#failures > 0 || waitMs > 0) this.#ringIn(Math.max(0, waitMs));
  }

  #ringIn(ms: number): void {
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(this.#ring, ms);
  }
}
