/** The program as it is shipped: one file that starts it, and for each command what it alone needs. */
import { createRequire } from 'node:module';
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

/**
 * Of src/commands what shares most of what it needs. It is one file: to find, read and enter a file takes a start half a millisecond, and
 * esbuild would make thirty of what each two of them have in common.
 */
const TOGETHER = [
  ['context', 'make-report'],
  ['boot', 'confirm', 'guard', 'plan', 'reconfigure', 'release', 'seal'],
];

const inOneFile: Plugin = {
  name: 'in-one-file',
  setup: (bundler) => {
    const groups = TOGETHER.map((names) => names.map((name) => path.join(ROOT, `src/commands/${name}.ts`)));
    bundler.onResolve({ filter: /^\./ }, ({ kind, resolveDir, path: request }) => {
      const group = groups.find((files) => files.includes(path.join(resolveDir, request)));
      if (kind !== 'dynamic-import' || group === undefined) return undefined;
      return { path: path.basename(group[0] ?? '', '.ts'), namespace: 'together', pluginData: group };
    });
    bundler.onLoad({ filter: /.*/, namespace: 'together' }, ({ pluginData }) => ({
      contents: (pluginData as readonly string[])
        .map((file) => `export * from ${JSON.stringify(file)};`)
        .join('\n'),
      resolveDir: ROOT,
    }));
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
    plugins: [withoutSubprograms, withFirstCall, withPrebuiltAddon, inOneFile],
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
  for (const file of program.outputFiles)
    files.set(path.relative(ROOT, file.path), asFunction(await asCommonJs(file.text)));
  for (const file of starters.outputFiles)
    files.set(path.relative(ROOT, file.path), await asCommonJs(file.text));
  return { files, inputs: { ...program.metafile.inputs, ...starters.metafile.inputs } };
}

/** For the loader, src/system/code-cache.ts. */
function asFunction(text: string): string {
  return `(function (exports, require, module, __filename, __dirname) {${text}\n})`;
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
