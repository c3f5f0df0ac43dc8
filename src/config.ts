/** Reads config.yaml: the effective configuration, and where each value comes from. */
import * as v from 'valibot';
import { CONFIG_SCHEMA, toConfig } from './config-schema.ts';
import { AgentError } from './errors.ts';
import type { Config } from './model/config.ts';
import { formatPath, walkSchema } from './system/schema.ts';
import { readTrusted } from './system/trust.ts';
import type { YamlFile } from './system/yaml.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file's key (`metadata.timeout`, `interfaces[0].mtu`) → `default` or `/etc/eni-agent/config.yaml:LINE`. */
  readonly sources: ReadonlyMap<string, string>;
  /** Of the file; '' without one. */
  readonly text: string;
}

export interface LoadOptions {
  /** Where the kernel finds the file: `root` is already before it. */
  readonly path: string;
  /** The file and every folder from here to it must be root's own. */
  readonly root: string;
  /** Somebody asked for this very file: that it is not there is an error, not the defaults. */
  readonly required?: boolean;
}

/** Comments of plain text and empty lines, as in the file that the package brings. */
const NOTHING = /^(?: *(?:#[\x20-\x7e]*)?\n)*$/;

/** Rejects with `config-untrusted`, `config-invalid`, `permission-denied` or `file-failed`; without a file all defaults. */
export async function loadConfig({ path, root, required = false }: LoadOptions): Promise<LoadedConfig> {
  const bytes = await readTrusted(path, root);
  if (bytes === undefined && required) {
    throw new AgentError('config-invalid', `reading the configuration ${path}: there is no such file`);
  }
  const text = bytes?.toString('latin1') ?? '';
  if (NOTHING.test(text)) return defaultConfig({ name: path, text });
  // The parser of YAML is a third of all that a command loads.
  const { checkConfig } = await import('./config-file.ts');
  return checkConfig(bytes ?? '', path);
}

/** As without a file, or with one that says nothing. */
export function defaultConfig(file: { readonly name: string; readonly text: string }): LoadedConfig {
  return loadedFrom(v.parse(CONFIG_SCHEMA, null), null, file);
}

type Values = v.InferOutput<typeof CONFIG_SCHEMA>;

/** `file`: null where nothing is said. */
export function loadedFrom(
  values: Values,
  file: YamlFile | null,
  { name, text }: { readonly name: string; readonly text: string },
): LoadedConfig {
  const sources = new Map<string, string>();
  walkSchema(CONFIG_SCHEMA, file?.value ?? null, (path, isPresent) => {
    const line = isPresent ? file?.keyPosition(path).line : undefined;
    sources.set(formatPath(path), line === undefined ? 'default' : `${name}:${line}`);
  });
  return { config: toConfig(values), sources, text };
}
