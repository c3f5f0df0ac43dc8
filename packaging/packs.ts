/**
 * esbuild makes a chunk of what each set of commands has in common: forty, of which a command needs twenty. To find, read and enter a file
 * takes a start a quarter of a millisecond. So chunks that are loaded together are in one file, the pack.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Metafile } from 'esbuild';

export interface Pack {
  /** It tells the content: the code cache goes by names. */
  readonly name: string;
  /** Functions by the name of their chunk, for src/loader.ts. */
  readonly text: string;
  /** Their names. */
  readonly chunks: readonly string[];
}

/** What comes first is in few files: a chunk is in the pack of the first that needs it. The others follow in no order of ours. */
const FIRST = [
  'cli.ts',
  'commands/status.ts',
  'commands/context.ts',
  'config-file.ts',
  'commands/make-report.ts',
  'commands/plan.ts',
  'commands/boot.ts',
];

/** `texts`: of each chunk, as CommonJS. */
export function packChunks(metafile: Metafile, texts: ReadonlyMap<string, string>): readonly Pack[] {
  const packs: Pack[] = [];
  const taken = new Set<string>();
  const first = FIRST.map((name) => chunkOf(metafile, `src/${name}`));
  for (const entry of [...first, ...texts.keys()]) {
    const chunks = needs(metafile, entry).filter((chunk) => !taken.has(chunk));
    for (const chunk of chunks) taken.add(chunk);
    if (chunks.length > 0) packs.push(packOf(entry, chunks, texts));
  }
  return packs;
}

/** The chunk that a module of ours is the entry of. */
export function chunkOf({ outputs }: Metafile, module: string): string {
  const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === module);
  if (found === undefined) throw new Error(`bundling ${module}: it has no chunk of its own`);
  return path.basename(found[0]);
}

/** The chunk, and all that is loaded with it. */
function needs({ outputs }: Metafile, entry: string): readonly string[] {
  const imports = new Map(
    Object.entries(outputs).map(([file, output]) => [
      path.basename(file),
      output.imports.flatMap(({ kind, path: other, external }) =>
        kind === 'import-statement' && external !== true ? [path.basename(other)] : [],
      ),
    ]),
  );
  const found = new Set([entry]);
  for (const chunk of found) for (const other of imports.get(chunk) ?? []) found.add(other);
  return [...found];
}

function packOf(entry: string, chunks: readonly string[], texts: ReadonlyMap<string, string>): Pack {
  const functions = chunks.map(
    (chunk) =>
      `${JSON.stringify(chunk)}:function(exports,require,module,__filename,__dirname){${texts.get(chunk)}\n}`,
  );
  const text = `({${functions.join(',')}})`;
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return { name: entry.replace(/-\w+\.js$/, `-${digest}.js`), text, chunks };
}
