/**
 * Which programs of the distribution configure the network, as far as files tell: no process is started, nobody is asked. Read in each
 * look, since a package may come and go; missing files are the normal case and cost no exception.
 */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { NETWORK_SCRIPTS } from '../model/files.ts';
import type { Distribution, NetworkManagerFacts } from '../model/host.ts';
import type { Paths } from '../system/paths.ts';
import { readRegularFile } from '../system/read-file.ts';

const OS_RELEASE = '/etc/os-release';
const OS_RELEASE_BYTES = 16 * 1024;
const SYSTEM_UNITS = '/etc/systemd/system';
/** Enterprise Linux has the first; the others are what Debian calls it. */
const LIBRARY_FOLDERS = ['/usr/lib64', '/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'];
const IFCFG_PLUGIN = 'libnm-settings-plugin-ifcfg-rh.so';
/** Run levels in which SysV's network.service is started. */
const RUN_LEVELS = ['/etc/rc.d/rc3.d', '/etc/rc.d/rc5.d'];

export function observeDistribution(paths: Paths): Distribution {
  return {
    hasScriptsFolder: isThere(NETWORK_SCRIPTS, paths),
    hasNetworkScripts: isThere(`${NETWORK_SCRIPTS}/ifup-eth`, paths),
    isNetworkServiceEnabled: RUN_LEVELS.some((folder) =>
      namesIn(folder, paths).some((name) => /^S\d+network$/.test(name)),
    ),
    networkManager: observeNetworkManager(paths),
    release: readRelease(paths),
  };
}

function observeNetworkManager(paths: Paths): NetworkManagerFacts | null {
  if (!isThere('/usr/sbin/NetworkManager', paths)) return null;
  const libraries = LIBRARY_FOLDERS.map((folder) => `${folder}/NetworkManager`);
  const versions = libraries.flatMap((folder) =>
    namesIn(folder, paths)
      .filter((name) => /^\d+\.\d+/.test(name))
      .map((name) => ({ folder: `${folder}/${name}`, version: name.replace(/-.*$/, '') })),
  );
  return {
    version: versions.at(-1)?.version ?? null,
    readsIfcfg: [...libraries, ...versions.map(({ folder }) => folder)].some((folder) =>
      isThere(`${folder}/${IFCFG_PLUGIN}`, paths),
    ),
    isInUse: isEnabled('NetworkManager.service', paths) || isThere('/run/NetworkManager', paths),
  };
}

function isEnabled(unit: string, paths: Paths): boolean {
  return (
    linkOf(`${SYSTEM_UNITS}/${unit}`, paths) !== '/dev/null' &&
    linkOf(`${SYSTEM_UNITS}/multi-user.target.wants/${unit}`, paths) !== undefined
  );
}

/** 9 of `PLATFORM_ID="platform:el9"`, or of VERSION_ID where the system says that it is like rhel. */
function readRelease(paths: Paths): number | null {
  const text = isThere(OS_RELEASE, paths) ? (read(paths.below(OS_RELEASE)) ?? '') : '';
  const platform = /^PLATFORM_ID="?platform:el(\d+)"?$/m.exec(text)?.[1];
  if (platform !== undefined) return Number(platform);
  const isLikeIt = /^ID(?:_LIKE)?=.*\b(?:rhel|centos)\b/m.test(text);
  const version = /^VERSION_ID="?(\d+)(?:\.\d+)*"?$/m.exec(text)?.[1];
  return isLikeIt && version !== undefined ? Number(version) : null;
}

function read(file: string): string | undefined {
  try {
    return readRegularFile(file, OS_RELEASE_BYTES);
  } catch {
    return undefined;
  }
}

function isThere(path: string, paths: Paths): boolean {
  try {
    return statSync(paths.below(path), { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function namesIn(folder: string, paths: Paths): readonly string[] {
  if (!isThere(folder, paths)) return [];
  try {
    return readdirSync(paths.below(folder)).toSorted();
  } catch {
    return [];
  }
}

function linkOf(path: string, paths: Paths): string | undefined {
  try {
    return readlinkSync(paths.below(path));
  } catch {
    return undefined;
  }
}
