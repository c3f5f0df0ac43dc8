/** Takes back a change that nobody confirmed: the kernel first, since it is what cuts people off, then the files. */
import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';
import { originalPath } from '../model/files.ts';
import type { Link } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { MarkStep, Step } from '../model/plan.ts';
import type { FileBefore, Trial } from '../model/trial.ts';
import { isMissing, removeIfThere, syncDirectory, writeFileAtomically } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import type { Applier } from './apply.ts';
import { isFileStep, isKernelStep, isMarkStep } from './executors.ts';
import { applyMarks } from './marks.ts';
import { relink } from './relink.ts';
import { undo } from './transaction.ts';

const PERMISSION_BITS = 0o7777;

/** What could not be taken back, by NIC. */
export type LeftBehind = readonly { readonly mac: MacAddress; readonly message: string }[];

/** Also of a change that was begun and not ended; may be done again. AgentError `answer-lost`: look, and try again. */
export async function undoTrial(
  { kernel, paths, onFile = () => {} }: Applier,
  trial: Trial,
  links: readonly Link[],
): Promise<LeftBehind> {
  const steps = relink(trial.steps.filter(isKernelStep), trial.links, links);
  const refused = await undo(kernel, steps);
  return [
    ...refused.map((step) => ({ mac: step.mac, message: `the kernel would not undo ${kernel.words(step)}` })),
    ...(await undoMarks(trial.steps.filter(isMarkStep))),
    ...(await restoreFiles(trial, paths, onFile)),
  ];
}

async function undoMarks(steps: readonly MarkStep[]): Promise<LeftBehind> {
  if (steps.length === 0) return [];
  const opposite = { 'add-mark': 'remove-mark', 'remove-mark': 'add-mark' } as const;
  try {
    await applyMarks(steps.map((step): MarkStep => ({ ...step, kind: opposite[step.kind] })));
    return [];
  } catch (error) {
    return steps.slice(0, 1).map(({ mac }) => ({ mac, message: errorMessage(error) }));
  }
}

/** The files that the steps write or remove, as they are. AgentError `file-failed` for what could not be put back like that. */
export async function readFilesBefore(steps: readonly Step[], paths: Paths): Promise<readonly FileBefore[]> {
  const touched = steps
    .filter(isFileStep)
    .flatMap((step) => [step.arguments.path, originalPath(step.arguments.path)]);
  return Promise.all([...new Set(touched)].map((file) => readFileBefore(file, paths)));
}

async function readFileBefore(file: string, paths: Paths): Promise<FileBefore> {
  const target = paths.below(file);
  try {
    const stats = await lstat(target);
    if (!stats.isFile()) throw new Error('it is no regular file, so it could not be put back');
    const content = (await readFile(target)).toString('base64');
    return { path: file, content, mode: stats.mode & PERMISSION_BITS };
  } catch (error) {
    if (isMissing(error)) return { path: file, content: null, mode: 0 };
    throw new AgentError('file-failed', `reading ${target}: ${errorMessage(error)}`, { cause: error });
  }
}

async function restoreFiles(
  { files, steps }: Trial,
  paths: Paths,
  onFile: (file: string) => void,
): Promise<LeftBehind> {
  const macs = new Map(steps.filter(isFileStep).map((step) => [step.arguments.path, step.mac]));
  const left: { mac: MacAddress; message: string }[] = [];
  for (const before of files) {
    const target = paths.below(before.path);
    try {
      await restoreFile(target, before);
    } catch (error) {
      const mac = macs.get(before.path) ?? [...macs.values()][0];
      if (mac !== undefined) left.push({ mac, message: errorMessage(error) });
    }
    onFile(target);
  }
  return left;
}

async function restoreFile(target: string, { content, mode }: FileBefore): Promise<void> {
  if (content === null) {
    removeIfThere(target);
    return syncDirectory(path.dirname(target)).catch(ignoreMissing);
  }
  const wanted = Buffer.from(content, 'base64');
  const now = await readFile(target).catch(ignoreMissing);
  if (now?.equals(wanted) === true) return;
  await writeFileAtomically(target, wanted, { mode, durable: true });
}

/** The folder of a file that was not there need not be there either. */
function ignoreMissing(error: unknown): undefined {
  if (isMissing(error instanceof AgentError ? error.cause : error)) return undefined;
  throw error;
}
