/** Connection marks: by nftables, where that cannot be had by iptables; by one process for all NICs (docs/decisions/0013). */

import { isDeepStrictEqual } from 'node:util';
import { AgentError, errorMessage } from '../errors.ts';
import { readRuleComments } from '../kernel/nftables.ts';
import {
  type ConnectionMark,
  isSamePlace,
  isTagOf,
  marksOfNft,
  marksOfXtables,
  markTag,
  NFT_TABLE,
} from '../model/mark.ts';
import { FAMILIES, type Family } from '../model/net.ts';
import type { MarkStep } from '../model/plan.ts';
import { run } from '../system/run.ts';
import { readListNames } from '../system/xtables.ts';

import { renderIptables } from './iptables-script.ts';
import { renderNft } from './nft-script.ts';

/** It takes milliseconds, unless somebody else holds the firewall. */
const TIMEOUT_MS = 5_000;

interface Firewall {
  /** What of ours it has. */
  read(): Promise<readonly ConnectionMark[]>;
  /** These and no others. AgentError `command-failed` or `file-failed`: then all is as it was. */
  load(marks: readonly ConnectionMark[]): Promise<void>;
}

const NFTABLES: Firewall = {
  read: async () => marksOfNft(await readRuleComments(NFT_TABLE)),
  // By name: old versions do not know `-f -`.
  load: (marks) => feed('nft', ['-f', '/dev/stdin'], renderNft(marks)),
};

const IPTABLES: Firewall = {
  read: () => Promise.resolve(marksOfXtables(readListNames())),
  load: async (marks) => {
    for (const family of FAMILIES)
      await loadFamily(
        family,
        marks.filter((mark) => mark.family === family),
      );
  },
};

const PROGRAMS = { 4: 'iptables-restore', 6: 'ip6tables-restore' } as const satisfies Record<Family, string>;

async function loadFamily(family: Family, marks: readonly ConnectionMark[]): Promise<void> {
  const tags = readListNames();
  const isOursThere = tags.some((tag) => isTagOf(family, tag));
  if (marks.length === 0 && !isOursThere) return;
  await feed(PROGRAMS[family], ['--noflush'], renderIptables(family, marks, tags));
}

async function feed(program: string, args: readonly string[], input: string): Promise<void> {
  const { exitCode, stderr } = await run(program, args, { timeoutMs: TIMEOUT_MS, input });
  if (exitCode === 0) return;
  const cameBack = stderr.split('\n').find((line) => line.trim() !== '') ?? `exit code ${exitCode}`;
  throw new AgentError('command-failed', `running ${program}: ${cameBack}`, { details: { stderr } });
}

/**
 * All of the steps or none (by iptables: of those of a family). Returns whether any marks are there then. AgentError
 * `command-failed`: what each of the programs said.
 */
export async function applyMarks(steps: readonly MarkStep[]): Promise<boolean> {
  const nft = await NFTABLES.read();
  const iptables = await IPTABLES.read();
  const wanted = marksAfter(nft.length > 0 ? nft : iptables, steps);
  const isByIptables = nft.length === 0 && iptables.length > 0;
  const choices = isByIptables ? [IPTABLES, NFTABLES] : [NFTABLES, IPTABLES];
  if (wanted.length > 0) await loadFirst(choices, wanted);
  else {
    if (nft.length > 0) await NFTABLES.load([]);
    if (iptables.length > 0) await IPTABLES.load([]);
  }
  return wanted.length > 0;
}

/** By the first that can. */
async function loadFirst(choices: readonly Firewall[], marks: readonly ConnectionMark[]): Promise<void> {
  const problems: string[] = [];
  for (const firewall of choices) {
    try {
      await firewall.load(marks);
      if (isDeepStrictEqual(tagsOf(await firewall.read()), tagsOf(marks))) return;
      problems.push('the firewall took it, but it does not show');
    } catch (error) {
      problems.push(errorMessage(error));
    }
  }
  throw new AgentError('command-failed', `${problems.join('; ')}; one of the two has to work`);
}

function marksAfter(
  present: readonly ConnectionMark[],
  steps: readonly MarkStep[],
): readonly ConnectionMark[] {
  const added = steps.filter(({ kind }) => kind === 'add-mark').map((step) => step.arguments);
  const removed = tagsOf(steps.filter(({ kind }) => kind === 'remove-mark').map((step) => step.arguments));
  const kept = present
    .filter((mark) => mark.value !== 0 && !removed.includes(markTag(mark)))
    .filter((mark) => !added.some((other) => isSamePlace(other, mark)));
  return [...kept, ...added].toSorted((a, b) => (markTag(a) < markTag(b) ? -1 : 1));
}

function tagsOf(marks: readonly ConnectionMark[]): readonly string[] {
  return marks.map(markTag).toSorted();
}
