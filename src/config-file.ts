/** Checks the text of a config.yaml. */
import { type LoadedConfig, loadedFrom } from './config.ts';
import { CONFIG_SCHEMA } from './config-schema.ts';
import { AgentError } from './errors.ts';
import { checkYaml } from './system/schema.ts';
import { formatProblems, parseYaml, type YamlProblem } from './system/yaml.ts';

/** `name` is the file's in messages. Throws one `config-invalid` with every problem on a line: `name:LINE:COLUMN: …`. */
export function checkConfig(bytes: string | Uint8Array, name: string): LoadedConfig {
  const parsed = parseYaml(bytes);
  if ('problems' in parsed) throw invalid(name, parsed.problems);
  const checked = checkYaml(parsed.file, CONFIG_SCHEMA);
  if ('problems' in checked) throw invalid(name, checked.problems);
  const text = typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes);
  return loadedFrom(checked.value, parsed.file, { name, text });
}

function invalid(name: string, found: readonly YamlProblem[]): AgentError {
  const problems = formatProblems(name, found);
  return new AgentError('config-invalid', problems.join('\n'), { details: { problems } });
}
