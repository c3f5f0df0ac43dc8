/** `config`: the effective configuration and where each value comes from; `--check FILE` looks at a file before it is used. */
import { readFile } from 'node:fs/promises';
import { checkConfig, type LoadedConfig } from '../config.ts';
import { AgentError, errorMessage } from '../errors.ts';
import { isMissing } from '../system/atomic-file.ts';
import { createContext, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';

export interface ConfigOptions {
  readonly json?: boolean;
  readonly check?: string;
}

export async function runConfig(environment: Environment, options: ConfigOptions): Promise<ExitCode> {
  const { output } = environment;
  if (options.check === undefined) {
    printConfig(output, await createContext(environment), options.json === true);
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

function printConfig(output: Output, loaded: LoadedConfig, asJson: boolean): void {
  const entries = [...loaded.sources].map(([key, source]) => ({ key, value: valueOf(loaded, key), source }));
  if (asJson) {
    output.json(Object.fromEntries(entries.map(({ key, value, source }) => [key, { value, source }])));
    return;
  }
  const lines = entries.map(({ key, value, source }) => ({
    text: `${key}: ${JSON.stringify(value)}`,
    source,
  }));
  const width = Math.max(...lines.map(({ text }) => text.length));
  for (const { text, source } of lines)
    output.line(`${text.padEnd(width)}  ${output.style('dim', `# ${source}`)}`);
}

/** In the words of the file: durations as it writes them. */
function valueOf({ config }: LoadedConfig, key: string): unknown {
  switch (key) {
    case 'metadata.timeout':
      return durationText(config.metadata.timeoutMs);
    case 'daemon.resyncInterval':
      return durationText(config.daemon.resyncIntervalMs);
    case 'routing.forwarded':
      return 'off';
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
