/** The distribution's files of all interfaces, ours and others', with the originals that we keep. */
import { readdirSync, statSync } from 'node:fs';
import { errorMessage } from '../errors.ts';
import { CONNECTIONS, isInterfaceFile, NETWORK_SCRIPTS } from '../model/files.ts';
import type { HostFile, HostState } from '../model/host.ts';
import { type Memo, NO_MEMO } from '../model/memo.ts';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { readRegularFile } from '../system/read-file.ts';

/** No such file is larger; more is nobody's profile and not read into memory. */
const MAXIMUM_BYTES = 256 * 1024;

/** The clock of a file's times ticks every 1 to 10 ms. */
const SETTLED_MS = 1_000;

type ObservedFiles = Pick<HostState, 'files' | 'filesProblem'>;

export function observeFiles(paths: Paths, memo: Memo = NO_MEMO): ObservedFiles {
  const files: HostFile[] = [];
  for (const folder of [NETWORK_SCRIPTS, CONNECTIONS]) {
    try {
      files.push(...filesIn(folder, paths, memo));
    } catch (error) {
      if (isMissing(error)) continue;
      return { files: [], filesProblem: `reading ${paths.below(folder)}: ${errorMessage(error)}` };
    }
  }
  return memo.of('files', files, () => ({ files }));
}

function filesIn(folder: string, paths: Paths, memo: Memo): readonly HostFile[] {
  const directory = paths.below(folder);
  return readdirSync(directory)
    .filter((name) => isInterfaceFile(`${folder}/${name}`))
    .toSorted()
    .map((name) => readHostFile(`${folder}/${name}`, `${directory}/${name}`, memo))
    .filter((file) => file !== undefined);
}

/** `path`: as the contract knows it; `file`: where it is. */
function readHostFile(path: string, file: string, memo: Memo): HostFile | undefined {
  try {
    return memo.of(path, [versionOf(file)], () => ({
      path,
      content: readRegularFile(file, MAXIMUM_BYTES) ?? '',
    }));
  } catch (error) {
    // Gone since it was listed, or a link that leads nowhere.
    if (isMissing(error)) return undefined;
    return { path, content: '', isUnreadable: true };
  }
}

/** Another one after every write; and each time for a file so young that a second write may leave the same time on it. */
function versionOf(file: string): unknown {
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = statSync(file, { bigint: true });
  return Date.now() - Number(ctimeMs) > SETTLED_MS
    ? `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
    : Symbol('young');
}
