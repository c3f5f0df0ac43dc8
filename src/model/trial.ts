/** A change that is rolled back unless somebody confirms it (`reconfigure --confirm`): all that it takes to be as before. */
import type { MacAddress } from './net.ts';
import type { Step } from './plan.ts';

/** A file that the change writes or removes. */
export interface FileBefore {
  /** As the distribution knows it. */
  readonly path: string;
  /** Base64; null: there was no such file. */
  readonly content: string | null;
  /** Permission bits. */
  readonly mode: number;
}

export interface Trial {
  readonly id: string;
  /** By the clock of that boot, which nobody sets: after another boot it is over. */
  readonly deadline: { readonly bootId: string; readonly monotonicMs: number };
  /** The same as an ISO time, for people. */
  readonly confirmBy: string;
  /** It stays: what it waits for is that the daemon has read the configuration, lest it puts back what the one before says. */
  readonly isConfirmed: boolean;
  /** Text of the configuration that is tried in place of the standing one; null when it is the standing one. */
  readonly configuration: string | null;
  /** Digest of the configuration that every other run goes by. */
  readonly standing: string;
  /** Which link an index in the steps means. */
  readonly links: readonly { readonly index: number; readonly mac: MacAddress }[];
  /** In the order in which they are done. */
  readonly steps: readonly Step[];
  readonly files: readonly FileBefore[];
  /** The state file's text. */
  readonly state: string;
}
