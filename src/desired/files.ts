/** Which files of the distribution a NIC should have, and whose are in the way. */
import type { Config } from '../model/config.ts';
import type { DesiredFile, DesiredFiles } from '../model/desired.ts';
import {
  isByCloudInit,
  isOriginal,
  isOurs,
  NETWORK_SCRIPTS,
  originalPath,
  SCRIPT_KINDS,
  scriptPath,
} from '../model/files.ts';
import type { HostFile, HostState, Link } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { CloudNic } from './nics.ts';

/** Files of others that configure this NIC: its five, and any ifcfg that names it or its MAC. */
export function othersFiles(nic: CloudNic, host: HostState): readonly HostFile[] {
  const own = new Set(SCRIPT_KINDS.map((kind) => scriptPath(kind, nic.link.ifname)));
  return host.files.filter(
    (file) =>
      !isOurs(file) && !isOriginal(file.path) && (own.has(file.path) || names(file, nic.link, nic.mac)),
  );
}

/** The files because of which the NIC is left to whoever wrote them; empty when it may be managed. */
export function foreignConfiguration(nic: CloudNic, host: HostState, config: Config): readonly HostFile[] {
  if (nic.role === 'primary' || config.persistence.existingFiles === 'replace') return [];
  return othersFiles(nic, host).filter((file) => !isByCloudInit(file));
}

/** The effective backend: network-scripts where the distribution has its folder. */
export function hasFileBackend(host: HostState, config: Config): boolean {
  const { backend } = config.persistence;
  return backend === 'network-scripts' || (backend === 'auto' && host.hasNetworkScripts);
}

export function attachedFiles(nic: CloudNic, present: readonly DesiredFile[], host: HostState): DesiredFiles {
  const wanted = new Set(present.map(({ path }) => path));
  const ours = ourFiles(nic.mac, host).filter((path) => !wanted.has(path));
  const stale = SCRIPT_KINDS.map((kind) => scriptPath(kind, nic.link.ifname)).filter(
    (path) => !wanted.has(path) && host.files.some((file) => file.path === path && isOurs(file)),
  );
  return {
    present,
    displaced: othersFiles(nic, host).map(({ path }) => path),
    absent: [...new Set([...ours, ...stale])],
  };
}

/** What is left of a NIC that is gone: our files, and the originals that they replaced. */
export function withdrawnFiles(mac: MacAddress, host: HostState): DesiredFiles {
  return { present: [], displaced: [], absent: ourFiles(mac, host) };
}

/** By the state file; by the HWADDR line where the state was lost. A path that has become somebody else's is not ours. */
function ourFiles(mac: MacAddress, host: HostState): readonly string[] {
  const byPath = new Map(host.files.map((file) => [file.path, file]));
  const remembered = (host.state.nics[mac]?.files ?? []).filter((path) => {
    const file = byPath.get(path);
    return file === undefined ? byPath.has(originalPath(path)) : isOurs(file);
  });
  const recovered = host.files
    .filter((file) => isOurs(file) && valueOf(file, 'HWADDR')?.toLowerCase() === mac)
    .flatMap(({ path }) =>
      SCRIPT_KINDS.map((kind) => path.replace(`${NETWORK_SCRIPTS}/ifcfg-`, `${NETWORK_SCRIPTS}/${kind}-`)),
    )
    .filter((path) => isOurs(byPath.get(path) ?? { path, content: '' }));
  return [...new Set([...remembered, ...recovered])];
}

function names(file: HostFile, link: Link, mac: MacAddress): boolean {
  return valueOf(file, 'DEVICE') === link.ifname || valueOf(file, 'HWADDR')?.toLowerCase() === mac;
}

/** The value of a shell assignment, quoted or not; enough to see whom a file is about, never written anywhere. */
function valueOf(file: HostFile, key: string): string | undefined {
  if (!file.path.startsWith(`${NETWORK_SCRIPTS}/ifcfg-`)) return undefined;
  const line = file.content.split('\n').find((text) => text.trim().startsWith(`${key}=`));
  return line
    ?.trim()
    .slice(key.length + 1)
    .replaceAll(/^["']|["']$/g, '');
}
