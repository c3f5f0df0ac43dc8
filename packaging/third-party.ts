/**
 * `npm run third-party`: what of others is in the package. Writes dist/sbom.cdx.json (CycloneDX, made by npm) and
 * dist/third-party-licenses.txt, the licences that have to go where the bundle goes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '..');

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  /** Needed by a dependency that can do without it, and maybe in development. */
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}

interface Manifest {
  readonly name?: string;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage & Manifest>>;
}

interface Sbom {
  readonly serialNumber?: string;
  readonly metadata: { readonly timestamp?: string };
}

function main(): void {
  const lock = withoutDevelopment(readJson('package-lock.json') as Lock);
  writeFileSync(path.join(ROOT, 'dist/sbom.cdx.json'), createSbom(lock));
  writeFileSync(path.join(ROOT, 'dist/third-party-licenses.txt'), collectLicenses(lock));
}

function withoutDevelopment(lock: Lock): Lock {
  const kept = Object.entries(lock.packages).filter(([, entry]) => isNeeded(entry));
  const packages = kept.map(([folder, { devDependencies: _, ...rest }]) => [folder, rest]);
  return { ...lock, packages: Object.fromEntries(packages) as Lock['packages'] };
}

function isNeeded({ dev, optional, devOptional }: LockedPackage): boolean {
  return !(dev ?? optional ?? devOptional ?? false);
}

/**
 * In a folder that has no more than production needs: `npm sbom --omit dev` of npm 11.19 leaves out a package that a
 * development dependency needs, too. npm names the component after the folder.
 */
function createSbom(lock: Lock): string {
  const { devDependencies: _, ...manifest } = readJson('package.json') as Manifest;
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'eni-agent-sbom-'));
  const folder = path.join(scratch, manifest.name ?? '');
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
    writeFileSync(path.join(folder, 'package-lock.json'), JSON.stringify(lock));
    const options = ['--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
    return withoutMoment(execFileSync('npm', ['sbom', ...options], { cwd: folder, encoding: 'utf8' }));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Two builds of one commit are to have the same bytes: not when it was made, nor the number that no other document has. */
function withoutMoment(text: string): string {
  const { serialNumber: _, ...sbom } = JSON.parse(text) as Sbom;
  return `${JSON.stringify({ ...sbom, metadata: { ...sbom.metadata, timestamp: undefined } }, null, 2)}\n`;
}

function collectLicenses({ packages }: Lock): string {
  const folders = Object.keys(packages).filter((folder) => folder !== '');
  return folders.map((folder) => describe(folder, packages[folder] ?? {})).join('\n');
}

function describe(folder: string, { version, license }: LockedPackage): string {
  const name = folder.split('node_modules/').at(-1);
  const text = licenseFiles(folder).map((file) => readFileSync(path.join(ROOT, folder, file), 'utf8').trim());
  return `${'='.repeat(80)}\n${name} ${version} (${license})\n\n${text.join('\n\n')}\n`;
}

/** Throws when there is none: what must be passed on is missing. */
function licenseFiles(folder: string): readonly string[] {
  const files = readdirSync(path.join(ROOT, folder)).filter((file) =>
    /^(licen[cs]e|notice|copying)/i.test(file),
  );
  if (files.length === 0) throw new Error(`reading the licence of ${folder}: it has no file of that name`);
  return files.toSorted();
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(path.join(ROOT, file), 'utf8'));
}

main();
