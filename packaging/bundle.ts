/** The program as it is shipped: one file that starts it, and for each command what it alone needs. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin, transform } from 'esbuild';
import { chunkOf, packChunks } from './packs.ts';

const ROOT = path.join(import.meta.dirname, '..');
const TARGET = 'node20';
const CHUNKS = 'dist/chunks';

const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: TARGET,
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

/** Of Node's own modules those that take a start long to load, and that most commands do without. */
const SLOW = ['node:child_process', 'node:crypto', 'node:dns/promises', 'node:fs/promises', 'node:http'];

/** For our own code they are loaded with the first call of one of their functions. Nothing but functions: another name is an error of the build. */
const withFirstCall: Plugin = {
  name: 'with-first-call',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:/ }, ({ path: name, importer }) =>
      SLOW.includes(name) && importer.startsWith(path.join(ROOT, 'src'))
        ? { path: name, namespace: 'with-first-call', sideEffects: false }
        : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: 'with-first-call' }, ({ path: name }) => ({
      contents: `${LATER}${functionsOf(name)
        .map((each) => exportLater(name, each))
        .join('\n')}`,
    }));
  },
};

/** Also for `new`. Not for `instanceof`, which throws. */
const LATER = `function later(load) {
  function call(...args) {
    return new.target ? new (load())(...args) : load()(...args);
  }
  call.prototype = null;
  return call;
}
`;

function exportLater(module: string, name: string): string {
  return `export const ${name} = /* @__PURE__ */ later(() => require('${module}').${name});`;
}

function functionsOf(name: string): readonly string[] {
  const all = Object.entries(createRequire(import.meta.url)(name) as Readonly<Record<string, unknown>>);
  return all.flatMap(([key, value]) => (typeof value === 'function' ? [key] : []));
}

/** netlink's native part stays where it is. node-gyp-build looks for it in eight places, and is a file that has to be found and compiled itself. */
const withPrebuiltAddon: Plugin = {
  name: 'with-prebuilt-addon',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'prebuilt', namespace: 'addon' }));
    bundler.onLoad({ filter: /.*/, namespace: 'addon' }, () => ({
      contents: 'module.exports = () => require(`netlink/prebuilds/linux-${process.arch}/node.napi.node`);',
    }));
  },
};

export interface Bundle {
  /** `dist/…`, and its text. */
  readonly files: ReadonlyMap<string, string>;
  /** What went into it. */
  readonly inputs: Metafile['inputs'];
}

/** As CommonJS, which Node starts in 4 ms less than modules. esbuild splits only modules, so each chunk is made from one of those. */
export async function bundle(): Promise<Bundle> {
  const program = await build({
    ...OPTIONS,
    entryPoints: ['src/cli.ts'],
    outdir: CHUNKS,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    splitting: true,
    plugins: [withoutSubprograms, withFirstCall, withPrebuiltAddon],
    define: { TEMPLATES_FROM_CHUNK: JSON.stringify('../../templates') },
  });
  const chunks = new Map<string, string>();
  for (const file of program.outputFiles) chunks.set(path.basename(file.path), await asCommonJs(file.text));
  const packs = packChunks(program.metafile, chunks);
  const starters = await build({
    ...OPTIONS,
    entryPoints: { cli: 'src/loader.ts', 'make-cache': 'src/make-cache.ts' },
    outdir: 'dist',
    define: {
      MAIN_CHUNK: JSON.stringify(chunkOf(program.metafile, 'src/cli.ts')),
      FILE_OF: JSON.stringify(
        Object.fromEntries(packs.flatMap(({ name, chunks: within }) => within.map((each) => [each, name]))),
      ),
    },
  });
  const files = new Map([['dist/package.json', '{ "type": "commonjs" }\n']]);
  for (const { name, text } of packs) files.set(path.join(CHUNKS, name), text);
  for (const file of starters.outputFiles)
    files.set(path.relative(ROOT, file.path), await asCommonJs(file.text));
  return { files, inputs: { ...program.metafile.inputs, ...starters.metafile.inputs } };
}

async function asCommonJs(text: string): Promise<string> {
  const ownUrl = "const __importMetaUrl = require('node:url').pathToFileURL(__filename).href;";
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    // V8 keeps the text of what it runs. The lines stay short, so that a stack trace still says where.
    minifyWhitespace: true,
    lineLimit: 120,
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__importMetaUrl' },
    ...(text.includes('import.meta.url') ? { banner: ownUrl } : {}),
  });
  return code;
}
