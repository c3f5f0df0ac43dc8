/** Whether an answer that is whole is to be believed: it came by the primary NIC, and what never changes has not. */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { AgentError } from '../errors.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import { createLifelong } from './lifelong.ts';
import type { PrimaryWay } from './primary-way.ts';

/** CONTRACT: answers that confirm each other are so far apart. */
const SECOND_LOOK_MS = 1_000;

export interface Belief {
  /** What `read` gives, read again where it says something unheard-of. AgentError `metadata-malformed` when it is not to be believed. */
  in<Answer extends { readonly metadata: InstanceMetadata }>(read: () => Promise<Answer>): Promise<Answer>;
  /** A second look that is waited for fails. */
  close(): void;
}

export interface BeliefOptions {
  readonly way: PrimaryWay;
  /** The last good answer of an earlier process. */
  readonly recall: () => InstanceMetadata | undefined;
  /** Of an ENI's keys, for messages. */
  readonly where: string;
}

export function createBelief({ way, recall, where }: BeliefOptions): Belief {
  const lifelong = createLifelong(recall);
  const closing = new AbortController();

  async function changesOf(metadata: InstanceMetadata): Promise<readonly string[]> {
    const problem = await way.misnamed(metadata);
    if (problem !== undefined) throw new AgentError('metadata-malformed', `mac: ${problem}`);
    return lifelong.departures(metadata);
  }

  async function confirm<Answer extends { readonly metadata: InstanceMetadata }>(
    read: () => Promise<Answer>,
  ): Promise<Answer> {
    const first = await read();
    const changes = await changesOf(first.metadata);
    if (changes.length === 0) return first;
    await delay(SECOND_LOOK_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    if (closing.signal.aborted) throw new AgentError('metadata-unreachable', 'the client was closed');
    const second = await read();
    const changesNow = await changesOf(second.metadata);
    if (changesNow.length === 0 || isDeepStrictEqual(changesNow, changes)) return second;
    const problem = `${changes.join('; ')}, and then ${changesNow.join('; ')}`;
    throw new AgentError('metadata-malformed', `${where}: ${problem}`);
  }

  return {
    in: async (read) => {
      const answer = await confirm(read);
      way.learn(answer.metadata);
      lifelong.learn(answer.metadata);
      return answer;
    },
    // With a reason of ours: the one that Node makes has a stack, which holds whoever called, and that is the next provider.
    close: () => closing.abort('closed'),
  };
}
