/** Reads config.yaml: the effective configuration, and where each value comes from. */
import { CONFIG_SCHEMA, toConfig } from './config-schema.ts';
import { AgentError } from './errors.ts';
import type { Config } from './model/config.ts';
import { checkYaml, formatPath, walkSchema } from './system/schema.ts';
import { readTrusted } from './system/trust.ts';
import { formatProblems, parseYaml, type YamlProblem } from './system/yaml.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file's key (`metadata.timeout`, `interfaces[0].mtu`) → `default` or `/etc/eni-agent/config.yaml:LINE`. */
  readonly sources: ReadonlyMap<string, string>;
}

export interface LoadOptions {
  /** Where the kernel finds the file: `root` is already before it. */
  readonly path: string;
  /** The file and every folder from here to it must be root's own. */
  readonly root: string;
  /** Somebody asked for this very file: that it is not there is an error, not the defaults. */
  readonly required?: boolean;
}

/** Rejects with `config-untrusted`, `config-invalid`, `permission-denied` or `file-failed`; without a file all defaults. */
export async function loadConfig({ path, root, required = false }: LoadOptions): Promise<LoadedConfig> {
  const bytes = await readTrusted(path, root);
  if (bytes === undefined && required) {
    throw new AgentError('config-invalid', `reading the configuration ${path}: there is no such file`);
  }
  return checkConfig(bytes ?? '', path);
}

/** `name` is the file's in messages. Throws one `config-invalid` with every problem on a line: `name:LINE:COLUMN: …`. */
export function checkConfig(bytes: string | Uint8Array, name: string): LoadedConfig {
  const parsed = parseYaml(bytes);
  if ('problems' in parsed) throw invalid(name, parsed.problems);
  const { file } = parsed;
  const checked = checkYaml(file, CONFIG_SCHEMA);
  if ('problems' in checked) throw invalid(name, checked.problems);
  const sources = new Map<string, string>();
  walkSchema(CONFIG_SCHEMA, file.value, (path, isPresent) => {
    sources.set(formatPath(path), isPresent ? `${name}:${file.keyPosition(path).line}` : 'default');
  });
  return { config: toConfig(checked.value), sources };
}

function invalid(name: string, found: readonly YamlProblem[]): AgentError {
  const problems = formatProblems(name, found);
  return new AgentError('config-invalid', problems.join('\n'), { details: { problems } });
}
