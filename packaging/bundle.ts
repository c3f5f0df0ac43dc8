/** The program as it is shipped: one file that starts it, and for each command what it alone needs. */
import path from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin, transform } from 'esbuild';

const ROOT = path.join(import.meta.dirname, '..');
const TARGET = 'node20';

const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: TARGET,
  // A native module, with its prebuilt binaries beside it.
  external: ['netlink'],
  logLevel: 'warning',
  metafile: true as const,
  write: false as const,
} satisfies BuildOptions;

/** commander can run subcommands that are programs of their own. Ours are none, and to load what it would start them by takes a tenth of a start. */
const withoutSubprograms: Plugin = {
  name: 'without-subprograms',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/node_modules/commander/') ? { path: 'nothing', namespace: 'nothing' } : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
  },
};

export interface Bundle {
  /** `dist/…`, and its text. */
  readonly files: ReadonlyMap<string, string>;
  /** What went into it. */
  readonly inputs: Metafile['inputs'];
}

/** As CommonJS, which Node starts in 4 ms less than modules. esbuild splits only modules, so each file is made from one of those. */
export async function bundle(): Promise<Bundle> {
  const program = await build({
    ...OPTIONS,
    entryPoints: ['src/cli.ts'],
    outdir: 'dist/chunks',
    // A name tells the content: the code cache goes by names.
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    splitting: true,
    plugins: [withoutSubprograms],
    define: { TEMPLATES_FROM_CHUNK: JSON.stringify('../../templates') },
  });
  const main = Object.entries(program.metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === 'src/cli.ts',
  );
  const starters = await build({
    ...OPTIONS,
    entryPoints: { cli: 'src/loader.ts', 'make-cache': 'src/make-cache.ts' },
    outdir: 'dist',
    define: { MAIN_CHUNK: JSON.stringify(path.relative('dist', main?.[0] ?? '')) },
  });
  const files = new Map([['dist/package.json', '{ "type": "commonjs" }\n']]);
  for (const file of [...program.outputFiles, ...starters.outputFiles])
    files.set(path.relative(ROOT, file.path), await asCommonJs(file.text));
  return { files, inputs: { ...program.metafile.inputs, ...starters.metafile.inputs } };
}

async function asCommonJs(text: string): Promise<string> {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    // V8 keeps the text of what it runs. The lines stay short, so that a stack trace still says where.
    minifyWhitespace: true,
    lineLimit: 120,
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__importMetaUrl' },
    banner: "const __importMetaUrl = require('node:url').pathToFileURL(__filename).href;",
  });
  return code;
}
