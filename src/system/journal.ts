/**
 * /run/eni-agent/journal.json: what a run does to the kernel, written before it does it and removed when it has kept or undone it
 * all. So it is there only while a run is under way, or after one that was killed: then what that one had done is undone as
 * well when the next run fails, and a NIC is as it was before both. In /run, which goes with the kernel that it speaks of.
 */
import { existsSync } from 'node:fs';
import * as v from 'valibot';
import type { KernelStep } from '../model/plan.ts';
import { removeIfThere, writeFileAtomically } from './atomic-file.ts';
import type { Paths } from './paths.ts';
import { readOwnFile } from './read-file.ts';
import { KERNEL_STEP } from './step-schema.ts';

const MODE = 0o600;

const journalFile = v.array(KERNEL_STEP);

export function hasJournal(paths: Paths): boolean {
  return existsSync(paths.journal);
}

/** Only under the lock. [] when there is none, and for what cannot be read or is not of our writing: there is nothing to go by. */
export function readJournal(paths: Paths): readonly KernelStep[] {
  try {
    return v.parse(journalFile, JSON.parse(readOwnFile(paths.journal) ?? '[]'));
  } catch {
    return [];
  }
}

/** Only under the lock. AgentError `file-failed`. */
export async function writeJournal(paths: Paths, steps: readonly KernelStep[]): Promise<void> {
  if (steps.length === 0) removeIfThere(paths.journal);
  else await writeFileAtomically(paths.journal, JSON.stringify(steps), { mode: MODE, durable: false });
}
