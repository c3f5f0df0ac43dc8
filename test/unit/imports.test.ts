/**
 * The linter holds the import directions (docs/architecture.md). This holds the linter: in a copy of the tree every module
 * is replaced by one that imports everything there is, and what is not reported there is what that module may import.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OXLINT = join(ROOT, 'node_modules/oxlint/bin/oxlint');

const LOW = ['model', 'errors.ts'];
const HANDS = [...LOW, 'kernel', 'system'];
const CONDUCTOR = [
  ...HANDS,
  'metadata',
  'observe',
  'apply',
  'desired',
  'plan',
  'explain',
  'doctor',
  'log.ts',
];

/** What of ours each room of src may import beside itself. A new room is red until it has a line here and in the linter. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  'errors.ts': [],
  desired: ['model'],
  plan: ['model'],
  explain: ['model'],
  doctor: ['model'],
  kernel: LOW,
  system: LOW,
  'log.ts': LOW,
  'config.ts': [...LOW, 'system', 'config-schema.ts', 'config-file.ts'],
  'config-schema.ts': [...LOW, 'system', 'config.ts', 'config-file.ts'],
  'config-file.ts': [...LOW, 'system', 'config.ts', 'config-schema.ts'],
  metadata: HANDS,
  observe: HANDS,
  apply: HANDS,
  reconcile: CONDUCTOR,
  metrics: [...LOW, 'system', 'log.ts'],
  hooks: [...LOW, 'system', 'log.ts'],
  commands: [
    ...CONDUCTOR,
    'reconcile',
    'metrics',
    'hooks',
    'config.ts',
    'config-schema.ts',
    'config-file.ts',
  ],
  'cli.ts': ['commands', 'errors.ts'],
  'loader.ts': ['system'],
  'make-cache.ts': ['system'],
};

const WITHOUT_NODE = ['model', 'desired', 'plan', 'explain', 'doctor', 'errors.ts'];

/** Who may import a package: rooms or single modules. A package that is not here is for nobody in src. */
const PACKAGE_IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  'netlink/dist/raw.js': ['kernel/socket.ts'],
  'ipaddr.js': ['model'],
  eta: ['system/templates.ts'],
  yaml: ['system/yaml.ts'],
  execa: ['system/run.ts'],
  pino: ['log.ts'],
  'prom-client': ['metrics/registry.ts'],
  commander: ['cli.ts', 'commands'],
  valibot: ['config.ts', 'config-schema.ts', 'config-file.ts', 'metadata', 'system', 'commands'],
};
/** These have one package of their own and no other, though their room has. */
const NO_VALIBOT = ['system/templates.ts', 'system/yaml.ts', 'system/run.ts'];

const NODE_MODULES = ['node:fs', 'node:fs/promises'];
const NOBODYS = ['fs', 'netlink', 'vitest', '../../test/lab/lab.ts'];

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
}

interface LintRun {
  readonly number_of_files: number;
  readonly diagnostics: readonly Diagnostic[];
}

const modules = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => `src/${path}`)
  .toSorted();
const rooms = [...new Set(modules.map(roomOf))].toSorted();

/** Of one run of oxlint over the tree on a busy machine; alone it takes one second. */
const LINT_TIMEOUT_MS = 60_000;

describe('the import directions', { timeout: LINT_TIMEOUT_MS }, () => {
  let copy = '';
  let probed: LintRun = { number_of_files: 0, diagnostics: [] };

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'eni-agent-lint-'));
    writeFileSync(join(copy, '.oxlintrc.json'), configWithoutTypes());
    for (const module of modules) {
      const lines = specifiersFor(module).map(
        (specifier, index) => `import * as v${index} from '${specifier}';`,
      );
      write(copy, module, lines);
    }
    probed = lint(copy, 'src');
  }, LINT_TIMEOUT_MS);

  afterAll(() => {
    rmSync(copy, { recursive: true });
  });

  test('know every room of src, and no room that is not there', () => {
    expect(modules.length).toBeGreaterThan(rooms.length);
    expect(Object.keys(MAY_IMPORT).toSorted()).toEqual(rooms);
  });

  test.each(modules)('are held in %s', (module) => {
    const specifiers = specifiersFor(module);
    const refused = new Set(
      probed.diagnostics
        .filter(({ code, filename }) => code === 'eslint(no-restricted-imports)' && filename === module)
        .map(({ labels }) => specifiers[(labels[0]?.span.line ?? 0) - 1]),
    );
    const allowed = specifiers.filter((specifier) => !refused.has(specifier));
    expect(allowed).toEqual(specifiers.filter((specifier) => mayImport(module, specifier)));
  });

  test('were checked in every module of the copy, and are in every module of src', () => {
    expect(probed.number_of_files).toBe(modules.length);
    const real = lint(ROOT, 'src');
    expect(real.number_of_files).toBe(modules.length);
    const forbidden = real.diagnostics.filter(({ code }) => /no-restricted-imports|no-cycle/.test(code));
    expect(forbidden).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, readonly string[]>>]>([
    [
      'import(no-cycle)',
      {
        'src/plan/probe-a.ts': ["import { b } from './probe-b.ts';", 'export const a = () => b;'],
        'src/plan/probe-b.ts': ["import { a } from './probe-a.ts';", 'export const b = () => a;'],
      },
    ],
    ['import(no-default-export)', { 'src/plan/probe.ts': ['export default 1;'] }],
    ['import(no-mutable-exports)', { 'src/plan/probe.ts': ['export let state = 1;', 'state = 2;'] }],
    ['oxc(no-barrel-file)', { 'src/plan/probe.ts': ["export * from './diff.ts';"] }],
    [
      'eslint(no-restricted-imports)',
      { 'src/plan/probe.ts': ["export const a = () => import('../kernel/a.ts');"] },
    ],
    ['eslint(no-restricted-globals)', { 'src/plan/probe.ts': ['export const now = () => Date.now();'] }],
    ['eslint(max-lines-per-function)', { 'src/plan/probe.ts': longFunction(42) }],
    [
      'eslint(max-lines)',
      { 'src/plan/probe.ts': Array.from({ length: 301 }, (_, at) => `export const v${at} = 1;`) },
    ],
    [
      'vitest(no-focused-tests)',
      { 'test/probe.test.ts': ["import { test } from 'vitest';", "test.only('x', f);"] },
    ],
  ])('stand beside rule %s, which reports a module that breaks it', (code, files) => {
    const folder = join(copy, 'probes', code.replaceAll(/\W/g, '-'));
    mkdirSync(folder, { recursive: true });
    cpSync(join(copy, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    for (const [path, lines] of Object.entries(files)) write(folder, path, lines);
    expect(lint(folder, '.').diagnostics.map((found) => found.code)).toContain(code);
  });
});

function roomOf(module: string): string {
  return module.split('/')[1] ?? module;
}

/** Everything there is to import, as seen from a module of src. */
function specifiersFor(module: string): readonly string[] {
  const depth = module.split('/').length - 2;
  const up = depth === 0 ? './' : '../'.repeat(depth);
  const ours = Object.keys(MAY_IMPORT)
    .filter((room) => room !== roomOf(module))
    .map((room) => up + (room.endsWith('.ts') ? room : `${room}/probe.ts`));
  return [...ours, ...packages(), ...NODE_MODULES, ...NOBODYS];
}

function packages(): readonly string[] {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>;
  };
  return [
    ...new Set([
      ...Object.keys(dependencies).filter((name) => name !== 'netlink'),
      ...Object.keys(PACKAGE_IMPORTERS),
    ]),
  ];
}

function mayImport(module: string, specifier: string): boolean {
  const room = roomOf(module);
  if (specifier.startsWith('node:')) return !WITHOUT_NODE.includes(room);
  if (NOBODYS.includes(specifier)) return false;
  const path = module.slice('src/'.length);
  if (!specifier.startsWith('.')) {
    if (specifier === 'valibot' && NO_VALIBOT.includes(path)) return false;
    const importers = PACKAGE_IMPORTERS[specifier] ?? [];
    return importers.includes(room) || importers.includes(path);
  }
  const target = specifier.replaceAll(/^(\.\.?\/)+|\/probe\.ts$/g, '');
  return MAY_IMPORT[room]?.includes(target) ?? false;
}

/** The rules that need types would look for packages beside the copy. */
function configWithoutTypes(): string {
  const config = JSON.parse(readFileSync(join(ROOT, '.oxlintrc.json'), 'utf8')) as { options: object };
  return JSON.stringify({ ...config, options: { ...config.options, typeAware: false } });
}

function write(folder: string, path: string, lines: readonly string[]): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), `${lines.join('\n')}\n`);
}

function lint(folder: string, path: string): LintRun {
  const args = [OXLINT, '--config', '.oxlintrc.json', '--format', 'json', path];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  if (!stdout.startsWith('{')) throw new Error(`running oxlint in ${folder}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as LintRun;
}

function longFunction(lines: number): readonly string[] {
  const body = Array.from({ length: lines - 2 }, (_, at) => `  const v${at} = ${at};`);
  return ['export function long(): void {', ...body, '}'];
}
