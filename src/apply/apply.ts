/** Carries a plan out: one NIC after the other, each as one transaction of kernel steps with its files beside it. */
import { type AgentError, errorMessage } from '../errors.ts';
import type { NicProblem } from '../model/desired.ts';
import type { MacAddress } from '../model/net.ts';
import type { FileStep, KernelStep, Step } from '../model/plan.ts';
import type { Paths } from '../system/paths.ts';
import { isFileStep, isKernelStep, isMarkStep } from './executors.ts';
import { type PreparedFiles, prepareFiles } from './files.ts';
import { type Kernel, rollBack, runTransaction } from './transaction.ts';

export interface Applier {
  readonly kernel: Kernel;
  readonly paths: Paths;
  /** Told of every file of the distribution that was written or removed, where it is below the root. */
  readonly onFile?: (file: string) => void;
}

/** What was done for one NIC, waiting for the verdict of the verification. */
export interface Applied {
  readonly mac: MacAddress;
  readonly done: readonly KernelStep[];
  readonly fileSteps: readonly FileStep[];
  /** The kernel refused: everything of this NIC is as it was. */
  readonly failure: AgentError | null;
  /** The step that it refused. */
  readonly refused: KernelStep | null;
  /** Its files are on the disk, beside their targets, or it is known that they are not. Never rejects. */
  readonly prepared: Promise<unknown>;
  /** Verified: the files take their names. The problem when that fails; the kernel keeps what is right. */
  keep(): Promise<NicProblem | null>;
  /** Not verified: kernel and files as they were. Returns in words what could not be undone. */
  undo(): Promise<readonly string[]>;
}

/**
 * One transaction for each run of steps of one NIC, but for the connection marks (marks.ts). A NIC that fails holds no other up, but for
 * the clearing of the primary. The disk is not waited for: the kernel's work, and the look whether it took everything, go on meanwhile.
 */
export async function applySteps(
  steps: readonly Step[],
  primaryMac: MacAddress,
  applier: Applier,
): Promise<readonly Applied[]> {
  const applied: Applied[] = [];
  for (const group of transactions(steps.filter((step) => !isMarkStep(step)))) {
    const [first] = group;
    if (first === undefined) continue;
    if (first.mac === primaryMac && isClearing(group) && applied.some(({ failure }) => failure !== null))
      continue;
    try {
      applied.push(await applyGroup(first.mac, group, applier));
    } catch (error) {
      // Nothing of them is under way when the next attempt writes the same files.
      await Promise.all(applied.map(({ prepared }) => prepared));
      throw error;
    }
  }
  return applied;
}

/** Takes away what the secondaries' addresses stood on: only when they are where they should be. */
function isClearing(group: readonly Step[]): boolean {
  return group.every(({ kind }) => kind.startsWith('remove-'));
}

function transactions(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const current = groups.at(-1);
    if (current?.[0]?.mac === step.mac) current.push(step);
    else groups.push([step]);
  }
  return groups;
}

async function applyGroup(
  mac: MacAddress,
  steps: readonly Step[],
  { kernel, paths, onFile = () => {} }: Applier,
): Promise<Applied> {
  const fileSteps = steps.filter(isFileStep);
  const kernelSteps = steps.filter(isKernelStep);
  const preparing = prepareFiles(fileSteps, paths, onFile).catch(errorMessage);
  const transaction = await runTransaction(kernel, kernelSteps).catch(async (error: unknown) => {
    discard(await preparing);
    throw error;
  });
  const { done, failure, refused } = transaction;
  if (failure !== null) discard(await preparing);
  return {
    mac,
    done,
    fileSteps,
    failure,
    refused,
    prepared: preparing,
    keep: async () => commit(mac, await preparing),
    undo: async () => {
      discard(await preparing);
      return rollBack(kernel, done);
    },
  };
}

async function commit(mac: MacAddress, files: PreparedFiles | string): Promise<NicProblem | null> {
  const consequence = 'the NIC works now, but would not come up like this after a reboot';
  const about = { mac, isAboutFiles: true, stepKind: 'write-file' } as const;
  if (typeof files === 'string') return { ...about, message: `${files}; ${consequence}` };
  try {
    await files.commit();
    return null;
  } catch (error) {
    return { ...about, message: `${errorMessage(error)}; ${consequence}` };
  }
}

function discard(files: PreparedFiles | string): void {
  if (typeof files !== 'string') files.discard();
}
