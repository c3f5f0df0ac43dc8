/** Small scripts over the sources, each run in a real process of its own. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { execa, type ResultPromise } from 'execa';

const OPTIONS = {
  reject: false,
  all: true,
  stdin: 'ignore',
  timeout: 60_000,
  killSignal: 'SIGKILL',
} as const;

export type ScriptProcess = ResultPromise<typeof OPTIONS>;

export interface Script {
  /** Starts it with these arguments. */
  run(...args: readonly string[]): ScriptProcess;
  /** As `run`, without the capabilities that let root write wherever it likes. */
  runUnprivileged(...args: readonly string[]): ScriptProcess;
}

/** Bundles a module (its imports relative to this folder) into a file of the folder. */
export async function bundleScript(folder: string, source: string): Promise<Script> {
  const outfile = path.join(folder, `script-${Date.now()}-${Math.random()}.mjs`);
  const resolveDir = import.meta.dirname;
  await build({
    stdin: { contents: source, resolveDir, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
  });
  const start = (command: readonly string[]): ScriptProcess => {
    const [file = '', ...args] = command;
    return execa(file, args, OPTIONS);
  };
  const isRoot = process.getuid?.() === 0;
  const dropping = isRoot ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'] : [];
  return {
    run: (...args) => start([process.execPath, outfile, ...args]),
    runUnprivileged: (...args) => start([...dropping, process.execPath, outfile, ...args]),
  };
}

/** A folder for one test file. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(path.join(os.tmpdir(), 'eni-agent-test-'));
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}

/** Waits until the condition holds; an Error that says what it waited for when it does not within 10 s. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waiting until ${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function contains(file: string, text: string): Promise<boolean> {
  return readFile(file, 'utf8').then(
    (content) => content.includes(text),
    () => false,
  );
}
