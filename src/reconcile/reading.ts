/** The metadata, or the last good answer when there is none: a failure is never read as "no addresses". */
import { AgentError } from '../errors.ts';
import type { MetadataProvider } from '../metadata/provider.ts';
import type { HostState } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';

/** What one fetch gave. */
export type Fetched = { readonly metadata: InstanceMetadata } | { readonly failure: AgentError };

export interface Reading {
  readonly metadata: InstanceMetadata;
  /** Why it is the last good answer and not a new one; null for a new one. */
  readonly failure: AgentError | null;
}

export async function fetchMetadata(provider: MetadataProvider): Promise<Fetched> {
  return asFetched(provider.fetch());
}

/** A failure too is an answer. */
export async function asFetched(reading: Promise<InstanceMetadata>): Promise<Fetched> {
  try {
    return { metadata: await reading };
  } catch (error) {
    if (error instanceof AgentError) return { failure: error };
    throw error;
  }
}

/** The same provider, whose first answer is one that is there already. */
export function startingWith(fetched: Fetched, provider: MetadataProvider): MetadataProvider {
  let known: Fetched | undefined = fetched;
  return {
    ...provider,
    fetch: async () => {
      const first = known;
      known = undefined;
      if (first === undefined) return provider.fetch();
      if ('failure' in first) throw first.failure;
      return first.metadata;
    },
  };
}

/** Throws the failure when there is no good answer to fall back to. */
export function readingOf(fetched: Fetched, host: HostState): Reading {
  if ('metadata' in fetched) return { metadata: fetched.metadata, failure: null };
  const { failure } = fetched;
  const answer = host.state.metadata?.answer;
  if (answer === undefined) {
    const message = `${failure.message}; there is no earlier answer to go by, so nothing was touched`;
    throw new AgentError(failure.code, message, { cause: failure });
  }
  if (!isOfThisMachine(answer, host)) {
    const message = `${failure.message}; the last good answer is of another machine (${answer.primaryMac} is no link of this one)`;
    throw new AgentError(failure.code, message, { cause: failure });
  }
  return { metadata: trusted(answer), failure };
}

export function isOfThisMachine({ primaryMac }: InstanceMetadata, { links }: HostState): boolean {
  return links.some(({ mac, permanentMac }) => (permanentMac ?? mac) === primaryMac);
}

/** Where the last answer was broken for a NIC, the good one before it is still there: `rememberedAnswer()` kept it. */
export function trusted(answer: InstanceMetadata): InstanceMetadata {
  const known = new Set(answer.nics.map(({ mac }) => mac));
  return { ...answer, invalid: answer.invalid.filter(({ mac }) => !known.has(mac)) };
}

/** What to remember of a new answer: for a NIC whose reading is broken, the last good one beside the problem. */
export function rememberedAnswer(
  metadata: InstanceMetadata,
  before: InstanceMetadata | undefined,
): InstanceMetadata {
  const broken = new Set(metadata.invalid.map(({ mac }) => mac));
  const kept = (before?.nics ?? []).filter(({ mac }) => broken.has(mac));
  const nics = [...metadata.nics, ...kept].toSorted((a, b) => (a.mac < b.mac ? -1 : 1));
  return { ...metadata, nics };
}
