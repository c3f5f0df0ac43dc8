/** The distribution's files of all interfaces, ours and others', with the originals that we keep. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';
import { NETWORK_SCRIPTS } from '../model/files.ts';
import type { HostFile } from '../model/host.ts';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { readRegularFile } from '../system/read-file.ts';

const INTERFACE_FILE = /^(ifcfg|route|rule|route6|rule6)-[^/]+$/;
/** What network-scripts itself ignores (FACTS §2), except our `.orig`. */
const IGNORED = /(~|\.bak|\.rpmnew|\.rpmorig|\.rpmsave)$/;
/** No such file is larger; more is nobody's ifcfg and not read into memory. */
const MAXIMUM_BYTES = 256 * 1024;

export interface ObservedFiles {
  readonly files: readonly HostFile[];
  readonly hasNetworkScripts: boolean;
}

export function observeFiles(paths: Paths): ObservedFiles {
  try {
    const names = readdirSync(paths.networkScripts);
    const relevant = names.filter((name) => INTERFACE_FILE.test(name) && !IGNORED.test(name)).toSorted();
    const files = relevant.map((name) => readHostFile(paths, name));
    return { files: files.filter((file) => file !== undefined), hasNetworkScripts: true };
  } catch (error) {
    if (isMissing(error)) return { files: [], hasNetworkScripts: false };
    throw new AgentError('file-failed', `reading ${paths.networkScripts}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function readHostFile(paths: Paths, name: string): HostFile | undefined {
  const file = path.join(paths.networkScripts, name);
  const contractPath = `${NETWORK_SCRIPTS}/${name}`;
  try {
    return { path: contractPath, content: readRegularFile(file, MAXIMUM_BYTES) ?? '' };
  } catch (error) {
    // Gone since it was listed, or a link that leads nowhere.
    if (isMissing(error)) return undefined;
    throw error;
  }
}
