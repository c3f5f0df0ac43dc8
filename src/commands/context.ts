/** The composition root: the only place that builds real dependencies. */
import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { type LoadedConfig, loadConfig } from '../config.ts';
import { AgentError } from '../errors.ts';
import { needsOnlink } from '../kernel/routes.ts';
import { openRtnetlink, type Rtnetlink } from '../kernel/socket.ts';
import { createLog, type Log } from '../log.ts';
import { createProvider } from '../metadata/create.ts';
import { createPrimaryWay } from '../metadata/primary-way.ts';
import type { LogLevel } from '../model/config.ts';
import { createMemo } from '../model/memo.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { Templates } from '../model/templates.ts';
import { describeAction } from '../plan/describe.ts';
import { NO_MEMORY } from '../reconcile/look.ts';
import type { Reconciler } from '../reconcile/reconcile.ts';
import { createPaths, type Paths } from '../system/paths.ts';
import { readState } from '../system/state-file.ts';
import { loadTemplates } from '../system/templates.ts';
import { readTrusted } from '../system/trust.ts';
import type { Output } from './output.ts';

/** The options before the command. */
export interface GlobalOptions {
  readonly config?: string;
  readonly root: string;
  readonly logLevel?: LogLevel;
}

export interface Environment {
  readonly options: GlobalOptions;
  readonly output: Output;
  readonly stderr: NodeJS.WriteStream;
  /** The templates that come with the program. */
  readonly templateDirectory: string;
}

export interface Context extends LoadedConfig {
  readonly paths: Paths;
  readonly log: Log;
}

/**
 * Configuration and log; opens nothing. A command has its say on stdout, and its log speaks up only when something is wrong;
 * the daemon logs what the configuration says.
 */
export async function createContext(
  { options, stderr }: Environment,
  kind: 'command' | 'daemon' = 'command',
): Promise<Context> {
  const paths = createPaths(options.root);
  const named = options.config;
  const loaded = await loadConfig({
    path: named === undefined ? paths.config : paths.below(path.resolve(named)),
    root: paths.root,
    required: named !== undefined,
  });
  const level = options.logLevel ?? (kind === 'daemon' ? loaded.config.log.level : 'warn');
  return { ...loaded, paths, log: createLog({ level, stream: stderr }) };
}

/** Everything that a run needs, for as long as the work takes. */
export async function withReconciler<T>(
  environment: Environment,
  work: (reconciler: Reconciler, context: Context) => Promise<T>,
): Promise<T> {
  const context = await createContext(environment);
  const rtnetlink = openRtnetlink();
  const reconciler = await createReconciler(environment, context, rtnetlink);
  try {
    return await work({ ...reconciler, memory: NO_MEMORY }, context);
  } finally {
    reconciler.provider.close();
    rtnetlink.close();
  }
}

/** The caller closes the provider and the socket. */
export async function createReconciler(
  { templateDirectory }: Environment,
  { config, text, paths, log }: Context,
  rtnetlink: Rtnetlink,
  onFile: (file: string) => void = () => {},
): Promise<Omit<Reconciler, 'memory'>> {
  const templates = await findTemplates(templateDirectory, paths);
  const recall = (): InstanceMetadata | undefined => lastAnswer(paths);
  const way = createPrimaryWay(rtnetlink, recall);
  const provider = await createProvider(config.metadata, paths, way, recall);
  const kernel = { rtnetlink, quirks: { onlink: needsOnlink(os.release()) }, words: describeAction };
  const applier = { kernel, paths, onFile };
  const wantsMarks = config.routing.forwarded === 'connmark';
  const observer = { rtnetlink, paths, wantsMarks, memo: createMemo() };
  return { provider, observer, config, configDigest: digest(text), templates, applier, log };
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A state file that cannot be read is reported by whoever looks at the host. */
function lastAnswer(paths: Paths): InstanceMetadata | undefined {
  try {
    return readState(paths).state.metadata?.answer;
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

/** The shipped templates, each replaced by the operator's of that name where there is one. */
function findTemplates(directory: string, paths: Paths): Promise<Templates> {
  return loadTemplates(directory, async (fileName) => {
    const path = paths.below(`/etc/eni-agent/templates/${fileName}`);
    const bytes = await readTrusted(path, paths.root);
    return bytes === undefined ? undefined : { path, text: bytes.toString('utf8') };
  });
}
