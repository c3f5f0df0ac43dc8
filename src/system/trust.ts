/**
 * Files that tell root what to do must be root's own, and so must every folder on the way to them: whoever can write a
 * folder can put another file in the place of this one.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { AgentError } from '../errors.ts';
import { shellWord } from '../model/shell-word.ts';
import { isMissing } from './atomic-file.ts';

const GROUP_OR_OTHERS_WRITE = 0o022;
const PERMISSION_BITS = 0o7777;
/** The kernel's own limit (path_resolution(7)). */
const MAX_SYMLINKS = 40;

interface Problem {
  readonly what: string;
  /** The command that mends it. */
  readonly fix: string;
}

/**
 * False when there is no such file. Rejects with `config-untrusted` unless the file and every parent folder up to and
 * including `root` belong to uid 0 and are writable by it alone; behind a symbolic link that leads out of `root`, every
 * folder up to `/`. The same whoever asks. Access lists are not looked at: their mask shows in the group's bits.
 */
export async function assertTrusted(path: string, root: string): Promise<boolean> {
  try {
    return findTrusted(resolve(path), resolve(root)) !== undefined;
  } catch (error) {
    throw asAgentError(path, error);
  }
}

/**
 * The content of a trusted regular file, or undefined when there is none. Rejects as assertTrusted() does, and with
 * `permission-denied` or `file-failed` when it cannot be read.
 */
export async function readTrusted(path: string, root: string): Promise<Buffer | undefined> {
  try {
    const target = findTrusted(resolve(path), resolve(root));
    return target === undefined ? undefined : readChecked(target);
  } catch (error) {
    throw asAgentError(path, error);
  }
}

/** Only root can change what was found, and the handle is checked once more in case it just did. */
function readChecked(target: string): Buffer {
  // Without O_NONBLOCK opening a FIFO would wait for its writer.
  const descriptor = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    assertNoProblems(target, problemsOf(target, stats));
    if (!stats.isFile())
      throw new AgentError('config-untrusted', `reading ${target}: it is no regular file; move it away`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Walks from `root` to the file as the kernel does, and checks all that it comes by; the path without symbolic links. */
function findTrusted(path: string, root: string): string | undefined {
  const realRoot = ifThere(() => realpathSync.native(root));
  if (realRoot === undefined) return undefined;
  const problems: Problem[] = [];
  let target = isWithin(root, path) ? join(realRoot, ...namesBelow(root, path)) : path;
  for (let links = 0; links <= MAX_SYMLINKS; links += 1) {
    const found = walk(target, isWithin(realRoot, target) ? realRoot : '/', problems);
    if (found === undefined) return undefined;
    if (found.link === undefined) {
      assertNoProblems(path, problems);
      return target;
    }
    target = found.link;
  }
  throw new AgentError('config-untrusted', `trusting ${path}: more than ${MAX_SYMLINKS} symbolic links`);
}

/** From `start` down to `target`; ends at the first symbolic link with the path that it stands for. */
function walk(target: string, start: string, problems: Problem[]): { readonly link?: string } | undefined {
  const names = namesBelow(start, target);
  let current = start;
  for (let depth = 0; ; depth += 1) {
    const stats = ifThere(() => lstatSync(current));
    if (stats === undefined) return undefined;
    const rest = names.slice(depth);
    if (stats.isSymbolicLink()) return { link: resolve(dirname(current), readlinkSync(current), ...rest) };
    for (const problem of problemsOf(current, stats)) {
      if (!problems.some(({ what }) => what === problem.what)) problems.push(problem);
    }
    const [name] = rest;
    if (name === undefined) return {};
    current = join(current, name);
  }
}

function problemsOf(path: string, { uid, mode }: Stats): Problem[] {
  const problems: Problem[] = [];
  if (uid !== 0) {
    problems.push({ what: `${path} belongs to uid ${uid}`, fix: `chown root ${shellWord(path)}` });
  }
  if ((mode & GROUP_OR_OTHERS_WRITE) !== 0) {
    const octal = (mode & PERMISSION_BITS).toString(8).padStart(4, '0');
    problems.push({
      what: `${path} has mode ${octal}, so that others than root can write it`,
      fix: `chmod go-w ${shellWord(path)}`,
    });
  }
  return problems;
}

function assertNoProblems(path: string, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ what, fix }) => `${what}; run: ${fix}`);
  throw new AgentError('config-untrusted', `trusting ${path}: ${lines.join('; ')}`, {
    details: { problems: lines, fixes: problems.map(({ fix }) => fix) },
  });
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function asAgentError(path: string, error: unknown): unknown {
  if (error instanceof AgentError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const isDenied = code === 'EACCES' || code === 'EPERM';
  const kind = isDenied ? 'permission-denied' : 'file-failed';
  const advice = isDenied ? '; run as root' : '';
  return new AgentError(kind, `reading ${path}: ${message}${advice}`, { cause: error });
}

function isWithin(folder: string, path: string): boolean {
  const prefix = folder.endsWith(sep) ? folder : `${folder}${sep}`;
  return path === folder || path.startsWith(prefix);
}

/** `path` is within `folder`. */
function namesBelow(folder: string, path: string): string[] {
  return path
    .slice(folder.length)
    .split(sep)
    .filter((name) => name !== '');
}
