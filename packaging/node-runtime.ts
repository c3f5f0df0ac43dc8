/** The Node runtime of the standalone package: the pinned one from npm, or a file of the operator. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import pinned from './node-runtime.json' with { type: 'json' };

export const ARCHITECTURES = ['x86_64', 'aarch64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export interface NodeRuntime {
  readonly file: string;
  readonly license: string;
  readonly architecture: Architecture;
  readonly version: string;
}

/** Field e_machine of an ELF header (elf.h): EM_X86_64, EM_AARCH64. */
const MACHINES: Readonly<Record<number, Architecture>> = { 62: 'x86_64', 183: 'aarch64' };
const E_MACHINE_OFFSET = 18;
/** What package.json asks for. */
const OLDEST = [20, 19] as const;

/** From the registry, below `folder`. Throws when its archive has another digest than the pinned one. */
export function fetchRuntime(architecture: Architecture, folder: string): NodeRuntime {
  const { name, integrity } = pinned.packages[architecture];
  const archive = `${name}-${pinned.version}.tgz`;
  const unpacked = path.join(folder, name);
  mkdirSync(unpacked, { recursive: true });
  execFileSync('npm', ['pack', '--silent', `--pack-destination=${folder}`, `${name}@${pinned.version}`]);
  verifyDigest(path.join(folder, archive), integrity);
  const members = ['package/bin/node', 'package/LICENSE'];
  execFileSync('tar', ['-xzf', path.join(folder, archive), '-C', unpacked, ...members]);
  return inspectRuntime(path.join(unpacked, 'package/bin/node'));
}

/** Of an archive, in the form of package-lock.json. Throws when it is another. */
export function verifyDigest(file: string, integrity: string): void {
  const digest = createHash('sha512').update(readFileSync(file)).digest('base64');
  if (integrity === `sha512-${digest}`) return;
  throw new Error(`fetching ${path.basename(file)}: its digest is sha512-${digest}, not ${integrity}`);
}

/** A `bin/node` as it is unpacked: its LICENSE is in the folder above. */
export function inspectRuntime(file: string): NodeRuntime {
  const binary = readFileSync(file);
  const architecture = readArchitecture(file);
  const version = findVersion(binary);
  if (version === undefined) throw new Error(`reading ${file}: no release of Node`);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new Error(`reading ${file}: Node ${version}; the agent needs ${OLDEST.join('.')} or later`);
  }
  const license = path.join(path.dirname(file), '../LICENSE');
  if (!existsSync(license))
    throw new Error(`reading ${license}: it is not there, and has to go where Node goes`);
  return { file: path.resolve(file), license: path.resolve(license), architecture, version };
}

/** What the program or library is for. */
export function readArchitecture(file: string): Architecture {
  const header = readFileSync(file).subarray(0, E_MACHINE_OFFSET + 2);
  const isElf = header.subarray(0, 4).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]));
  const architecture = isElf ? MACHINES[header.readUInt16LE(E_MACHINE_OFFSET)] : undefined;
  if (architecture === undefined)
    throw new Error(`reading ${file}: not made for ${ARCHITECTURES.join(' or ')}`);
  return architecture;
}

/** Out of process.release.sourceUrl: a program for another architecture cannot be asked. */
function findVersion(binary: Buffer): string | undefined {
  const mark = '/download/release/v';
  const start = binary.indexOf(mark) + mark.length;
  if (start < mark.length) return undefined;
  return /^\d+\.\d+\.\d+(?=\/)/.exec(binary.toString('latin1', start, start + 20))?.[0];
}
