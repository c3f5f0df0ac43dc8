/** File steps of one NIC: written beside their targets while the kernel works, given their names when it has verified. */
import { renameSync } from 'node:fs';
import path from 'node:path';
import { isKeyfile, originalPath } from '../model/files.ts';
import type { FileStep, FileStepKind, StepArguments } from '../model/plan.ts';
import {
  isMissing,
  keepAs,
  type PreparedFile,
  prepareFile,
  removeIfThere,
  syncDirectory,
} from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';

/** The distribution's tools read them as root; nothing in them is secret. NetworkManager refuses a keyfile that others may read. */
const SCRIPT_MODE = 0o644;
const KEYFILE_MODE = 0o600;

type Prepare<Kind extends FileStepKind> = (args: StepArguments[Kind], paths: Paths) => Promise<PreparedFile>;

const PREPARERS: { readonly [Kind in FileStepKind]: Prepare<Kind> } = {
  'write-file': ({ path: target, content, keepOriginal }, paths) =>
    prepareFile(paths.below(target), content, {
      mode: isKeyfile(target) ? KEYFILE_MODE : SCRIPT_MODE,
      ...(keepOriginal ? { keepOriginalAs: paths.below(originalPath(target)) } : {}),
    }),
  'remove-file': async ({ path: target, original }, paths) => ({
    commit: async () => removeFile(paths.below(target), original),
    discard: () => {},
  }),
};

export interface PreparedFiles {
  /** Gives all files their names and makes that durable. */
  commit(): Promise<void>;
  /** Leaves everything as it was. */
  discard(): void;
}

export async function prepareFiles(
  steps: readonly FileStep[],
  paths: Paths,
  onFile: (file: string) => void,
): Promise<PreparedFiles> {
  const settled = await Promise.allSettled(steps.map((step) => prepare(step, paths)));
  const prepared = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const discard = (): void => {
    for (const file of prepared) file.discard();
  };
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    discard();
    throw failed.reason;
  }
  return {
    discard,
    commit: async () => {
      try {
        for (const file of prepared) await file.commit();
      } catch (error) {
        discard();
        throw error;
      } finally {
        for (const step of steps) onFile(paths.below(step.arguments.path));
      }
      const directories = new Set(steps.map((step) => path.dirname(paths.below(step.arguments.path))));
      for (const directory of directories) await syncDirectory(directory);
    },
  };
}

function prepare(step: FileStep, paths: Paths): Promise<PreparedFile> {
  return step.kind === 'write-file'
    ? PREPARERS['write-file'](step.arguments, paths)
    : PREPARERS['remove-file'](step.arguments, paths);
}

/** Throws what node:fs throws. */
export function removeFile(target: string, original: StepArguments['remove-file']['original']): void {
  if (original === 'keep') keepAs(target, originalPath(target));
  if (original === 'restore') {
    try {
      return renameSync(originalPath(target), target);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  removeIfThere(target);
}
