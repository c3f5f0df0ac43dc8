/**
 * `npm run package`: builds the RPMs with rpmbuild; docs/packages.md. Two runs of one commit give the same bytes.
 *
 *   npm run package -- [--arch x86_64|aarch64] [--only eni-agent|eni-agent-standalone] [--node FILE] [--addon FILE]
 *     [--release N] [--out DIR]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import pkg from '../package.json' with { type: 'json' };
import {
  ARCHITECTURES,
  type Architecture,
  fetchRuntime,
  inspectRuntime,
  type NodeRuntime,
  readArchitecture,
} from './node-runtime.ts';
import { ROOT, stage } from './stage.ts';

const SPEC = path.join(ROOT, 'packaging/eni-agent.spec');
const TOOLS = { rpmbuild: 'rpm', tar: 'tar', git: 'git' } as const;
const VARIANTS = ['eni-agent', 'eni-agent-standalone'] as const;

interface Job {
  readonly architecture: Architecture;
  /** Undefined: the package without one. */
  readonly runtime: NodeRuntime | undefined;
}

interface Workshop {
  /** For what is made on the way. */
  readonly folder: string;
  readonly staged: string;
  readonly out: string;
  readonly release: string;
  /** In the place of the prebuilt one. */
  readonly addon: string | undefined;
  readonly epoch: string;
}

function main(): void {
  const { values: options } = parseArgs({
    options: {
      arch: { type: 'string' },
      only: { type: 'string' },
      node: { type: 'string' },
      addon: { type: 'string' },
      release: { type: 'string', default: '1' },
      out: { type: 'string', default: path.join(ROOT, 'packages') },
    },
  });
  requireTools();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'eni-agent-package-'));
  try {
    const jobs = listJobs(options, folder);
    const [out, staged] = [path.resolve(options.out), path.join(folder, 'stage')];
    mkdirSync(out, { recursive: true });
    const runtimes = jobs.flatMap(({ runtime }) => runtime ?? []);
    stage(staged, runtimes);
    const addon = options.addon === undefined ? undefined : path.resolve(options.addon);
    const workshop = { folder, staged, out, release: options.release, addon, epoch: findEpoch() };
    for (const job of jobs) {
      const file = build(job, workshop);
      console.log(`${(statSync(file).size / 1_000_000).toFixed(2).padStart(6)} MB  ${file}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function requireTools(): void {
  const missing = Object.entries(TOOLS).filter(
    ([tool]) => spawnSync(tool, ['--version']).error !== undefined,
  );
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name).join(' ');
  throw new Error(`${missing.map(([tool]) => tool).join(', ')}: not installed; apt-get install ${packages}`);
}

interface Wishes {
  readonly arch?: string | undefined;
  readonly only?: string | undefined;
  readonly node?: string | undefined;
  readonly addon?: string | undefined;
}

function listJobs({ arch, only, node, addon }: Wishes, folder: string): readonly Job[] {
  const given = node === undefined ? undefined : inspectRuntime(node);
  const made = [given?.architecture, addon === undefined ? undefined : readArchitecture(addon)];
  const wanted = choose('--arch', arch ?? made.find((one) => one !== undefined), ARCHITECTURES);
  const [architecture] = wanted;
  const other = made.find((one) => one !== undefined && one !== architecture);
  if (other !== undefined)
    throw new Error(`a package for ${architecture}: a file that is given is for ${other}`);
  const variants = choose('--only', only ?? (given && 'eni-agent-standalone'), VARIANTS);
  return wanted.flatMap((each) =>
    variants.map((variant) => ({
      architecture: each,
      runtime: variant === 'eni-agent' ? undefined : (given ?? fetchRuntime(each, folder)),
    })),
  );
}

/** All of them when none is named. */
function choose<const T extends string>(
  option: string,
  value: string | undefined,
  all: readonly T[],
): readonly T[] {
  if (value === undefined) return all;
  const chosen = all.filter((one) => one === value);
  if (chosen.length === 0) throw new Error(`${option} ${value}: not one of ${all.join(', ')}`);
  return chosen;
}

/** When the packages say that they were built, and the age of all files in them: that of the commit. */
function findEpoch(): string {
  const given = process.env['SOURCE_DATE_EPOCH'];
  return given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }).trim();
}

function build(job: Job, workshop: Workshop): string {
  const { runtime, architecture } = job;
  const name = runtime === undefined ? 'eni-agent' : 'eni-agent-standalone';
  const file = `${name}-${pkg.version}-${workshop.release}.${architecture}.rpm`;
  const macros = { ...listMacros(job, workshop), _rpmfilename: file };
  const definitions = Object.entries(macros).flatMap(([macro, value]) => ['--define', `${macro} ${value}`]);
  const variant = runtime === undefined ? [] : ['--with', 'standalone'];
  const args = ['-bb', '--quiet', '--target', `${architecture}-linux`, ...variant, ...definitions, SPEC];
  const { status, stdout, stderr, error } = spawnSync('rpmbuild', args, {
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: workshop.epoch, LC_ALL: 'C' },
  });
  if (status !== 0) throw new Error(`building ${file}: ${error?.message ?? `${stdout}${stderr}`}`);
  // Whole or not at all: somebody may look for it by its name.
  const finished = path.join(workshop.out, `.${file}.new`);
  cpSync(path.join(workshop.folder, 'rpms', file), finished);
  renameSync(finished, path.join(workshop.out, file));
  return path.join(workshop.out, file);
}

function listMacros({ runtime }: Job, { folder, staged, release, addon }: Workshop): Record<string, string> {
  return {
    _topdir: path.join(folder, 'rpmbuild'),
    _rpmdir: path.join(folder, 'rpms'),
    stage: staged,
    agent_version: pkg.version,
    agent_release: release,
    node: runtime?.file ?? '%{nil}',
    node_license: runtime?.license ?? '%{nil}',
    node_version: runtime?.version ?? '%{nil}',
    addon_file: addon ?? '%{nil}',
    // rpm 4.11 of CentOS 7 reads xz, not zstd.
    _binary_payload: 'w6.xzdio',
    _buildhost: 'reproducible',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
  };
}

try {
  main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
