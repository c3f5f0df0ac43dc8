/** The operator's executables of an event: which there are, and which of them root can trust. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorMessage } from '../errors.ts';
import type { EventName } from '../model/events.ts';
import { hasCode, isDenied } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { assertTrusted } from '../system/trust.ts';

/** What editors and rpm leave beside a file has its mode as well; NetworkManager's dispatcher passes over the same. */
const LEFT_BEHIND = /^\.|(?:~|\.swp|\.rpm(?:save|new|orig))$/;
const ANYBODY_EXECUTES = 0o111;
/** ProtectHome= of the units. */
const HIDDEN = 'the service does not see /root and /home: put the program itself here, not a link to it';

export interface Hooks {
  /** Paths, in the order of their names, byte by byte. */
  readonly executables: readonly string[];
  /** Path → what is wrong and what to do. They are not run. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Nothing where there is no such folder. What is no executable file is neither. */
export async function findHooks(
  { hooks, root }: Pick<Paths, 'hooks' | 'root'>,
  event: EventName,
): Promise<Hooks> {
  const folder = path.join(hooks, event);
  const executables: string[] = [];
  const refused = new Map<string, string>();
  try {
    for (const name of await namesIn(folder)) {
      const file = path.join(folder, name);
      const problem = await problemOf(file, root);
      if (problem === null) executables.push(file);
      else if (problem !== undefined) refused.set(file, problem);
    }
  } catch (error) {
    refused.set(folder, await problemOfFolder(folder, root, error));
  }
  return { executables, refused };
}

/** One of somebody else may be closed to us: the units have no CAP_DAC_OVERRIDE. */
async function problemOfFolder(folder: string, root: string, error: unknown): Promise<string> {
  return assertTrusted(folder, root).then(() => errorMessage(error), errorMessage);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder, { encoding: 'buffer' });
    return names
      .toSorted((one, other) => one.compare(other))
      .map(String)
      .filter((name) => !LEFT_BEHIND.test(name));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** null: none. undefined: it is no executable, or gone again. */
async function problemOf(file: string, root: string): Promise<string | null | undefined> {
  try {
    const stats = await stat(file);
    if (!stats.isFile() || (stats.mode & ANYBODY_EXECUTES) === 0) return undefined;
    return (await assertTrusted(file, root)) ? null : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    return isDenied(error) ? `${errorMessage(error)}; ${HIDDEN}` : errorMessage(error);
  }
}
