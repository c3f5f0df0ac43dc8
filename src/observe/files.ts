/** The distribution's files of all interfaces, ours and others', with the originals that we keep. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';
import { NETWORK_SCRIPTS } from '../model/files.ts';
import type { HostFile } from '../model/host.ts';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';

const INTERFACE_FILE = /^(ifcfg|route|rule|route6|rule6)-[^/]+$/;
/** What network-scripts itself ignores (FACTS §2), except our `.orig`. */
const IGNORED = /(~|\.bak|\.rpmnew|\.rpmorig|\.rpmsave)$/;
/** No such file is larger; more is nobody's ifcfg and not read into memory. */
const MAXIMUM_BYTES = 256 * 1024;

export interface ObservedFiles {
  readonly files: readonly HostFile[];
  readonly hasNetworkScripts: boolean;
}

export async function observeFiles(paths: Paths): Promise<ObservedFiles> {
  try {
    const names = await readdir(paths.networkScripts);
    const relevant = names.filter((name) => INTERFACE_FILE.test(name) && !IGNORED.test(name)).toSorted();
    const files = await Promise.all(relevant.map((name) => readHostFile(paths, name)));
    return { files: files.filter((file) => file !== undefined), hasNetworkScripts: true };
  } catch (error) {
    if (isMissing(error)) return { files: [], hasNetworkScripts: false };
    throw new AgentError('file-failed', `reading ${paths.networkScripts}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function readHostFile(paths: Paths, name: string): Promise<HostFile | undefined> {
  const file = path.join(paths.networkScripts, name);
  const contractPath = `${NETWORK_SCRIPTS}/${name}`;
  try {
    const { size } = await stat(file);
    return { path: contractPath, content: size > MAXIMUM_BYTES ? '' : await readFile(file, 'utf8') };
  } catch (error) {
    // Gone since it was listed, or a link that leads nowhere.
    if (isMissing(error)) return undefined;
    throw error;
  }
}
