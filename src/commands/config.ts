/** `config`: the effective configuration and where each value comes from; `--check FILE` looks at a file before it is used. */
import { readFile } from 'node:fs/promises';
import type { LoadedConfig } from '../config.ts';
import { checkConfig } from '../config-file.ts';
import { chooseBackend } from '../desired/backend.ts';
import { AgentError, errorMessage } from '../errors.ts';
import { openRtnetlink } from '../kernel/socket.ts';
import type { BackendChoice } from '../model/desired.ts';
import { NO_MEMO } from '../model/memo.ts';
import { formatListenAddress } from '../model/net.ts';
import { observe } from '../observe/observe.ts';
import { isMissing } from '../system/atomic-file.ts';
import { type Context, createContext, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';

export interface ConfigOptions {
  readonly json?: boolean;
  readonly check?: string;
}

export async function runConfig(environment: Environment, options: ConfigOptions): Promise<ExitCode> {
  const { output } = environment;
  if (options.check === undefined) {
    const context = await createContext(environment);
    printConfig(output, context, options.json === true, await findBackend(context));
    return EXIT.ok;
  }
  const checked = checkConfig(await readGiven(options.check), options.check);
  if (options.json === true) printConfig(output, checked, true);
  else output.line(`${options.check} is valid.`);
  return EXIT.ok;
}

/** Only its content is looked at: whose it must be counts where it is used. */
async function readGiven(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const problem = isMissing(error) ? 'there is no such file' : errorMessage(error);
    throw new AgentError('usage', `reading ${file}: ${problem}`, { cause: error });
  }
}

/** What `auto` comes to here; null for a user who may not look. */
async function findBackend({ paths, config }: Context): Promise<BackendChoice | null> {
  const rtnetlink = openRtnetlink();
  try {
    const { host } = await observe({ rtnetlink, paths, wantsMarks: false, memo: NO_MEMO });
    return chooseBackend(host, config, host.state.metadata?.answer.primaryMac ?? null);
  } catch (error) {
    if (error instanceof AgentError) return null;
    throw error;
  } finally {
    rtnetlink.close();
  }
}

const BACKEND_KEY = 'persistence.backend';

function printConfig(
  output: Output,
  loaded: LoadedConfig,
  asJson: boolean,
  chosen: BackendChoice | null = null,
): void {
  const entries = [...loaded.sources].map(([key, source]) => ({
    key,
    value: valueOf(loaded, key),
    source,
    ...(key === BACKEND_KEY && chosen !== null ? { chosen } : {}),
  }));
  if (asJson) {
    output.json(Object.fromEntries(entries.map(({ key, ...entry }) => [key, entry])));
    return;
  }
  const lines = entries.map(({ key, value, source }) => ({
    text: `${key}: ${JSON.stringify(value)}`,
    source: key === BACKEND_KEY && chosen !== null ? `${source}; ${chosenText(chosen)}` : source,
  }));
  const width = Math.max(...lines.map(({ text }) => text.length));
  for (const { text, source } of lines)
    output.line(`${text.padEnd(width)}  ${output.style('dim', `# ${source}`)}`);
}

function chosenText({ backend, evidence }: BackendChoice): string {
  return `here ${backend}: ${evidence.join('; ')}`;
}

/** In the words of the file: durations as it writes them. */
function valueOf({ config }: LoadedConfig, key: string): unknown {
  switch (key) {
    case 'metadata.timeout':
      return durationText(config.metadata.timeoutMs);
    case 'daemon.resyncInterval':
      return durationText(config.daemon.resyncIntervalMs);
    case 'hooks.timeout':
      return durationText(config.hooks.timeoutMs);
    case 'metrics.listen':
      return config.metrics.listen === null ? 'off' : formatListenAddress(config.metrics.listen);
    case 'metrics.textfile':
      return config.metrics.textfile ?? 'off';
    default:
      return key
        .split(/[.[\]]+/)
        .filter((name) => name !== '')
        .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], config);
  }
}

function durationText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
