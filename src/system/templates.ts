/** Reads and compiles the templates. The only importer of eta. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Eta } from 'eta';
import { AgentError, errorMessage } from '../errors.ts';
import { FILE_KINDS, type FileKind } from '../model/files.ts';
import type { Template, Templates } from '../model/templates.ts';

export interface TemplateSource {
  readonly path: string;
  readonly text: string;
}

/** The operator's own template of that file name, or undefined where there is none; who may write it is checked there. */
export type FindOverride = (fileName: string) => Promise<TemplateSource | undefined>;

/**
 * Every template, compiled: the operator's where there is one, else the shipped one in the directory.
 *
 * @throws AgentError `render-failed`, naming the file, when one cannot be read or is not valid Eta.
 */
export async function loadTemplates(
  directory: string,
  findOverride: FindOverride = async () => undefined,
): Promise<Templates> {
  const entries = await Promise.all(
    FILE_KINDS.map(async (kind) => {
      const fileName = `${kind}.eta`;
      const source = (await findOverride(fileName)) ?? readTemplate(join(directory, fileName));
      return [kind, compileTemplate(source)] as const;
    }),
  );
  return Object.fromEntries(entries) as Record<FileKind, Template>;
}

function readTemplate(path: string): TemplateSource {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new AgentError('render-failed', `reading template ${path}: ${errorMessage(cause)}`, { cause });
  }
}

function compileTemplate({ path, text }: TemplateSource): Template {
  // Eta's defaults are made for HTML: they eat the line ends after tags and turn `"` into `&quot;`.
  const eta = new Eta({ autoTrim: false, autoEscape: false });
  try {
    const template = eta.compile(text);
    return (data) => template.call(eta, data);
  } catch (cause) {
    throw new AgentError('render-failed', `compiling template ${path}: ${errorMessage(cause)}`, { cause });
  }
}
