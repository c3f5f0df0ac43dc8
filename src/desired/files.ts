/** Which files of the distribution a NIC should have, and whose are in the way. */
import type { Config } from '../model/config.ts';
import type { DesiredFile, DesiredFiles } from '../model/desired.ts';
import {
  companionPaths,
  filePaths,
  isByCloudInit,
  isOriginal,
  isOurs,
  originalPath,
  subjectOf,
} from '../model/files.ts';
import type { HostFile, HostState, Link } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { CloudNic } from './nics.ts';

/** Files of others that configure this NIC: those of its name, and any profile that names it or its MAC. */
function othersFiles(nic: CloudNic, host: HostState): readonly HostFile[] {
  const own = new Set(filePaths(nic.link.ifname));
  const remembered = host.state.nics[nic.mac]?.files ?? [];
  return host.files.filter(
    (file) =>
      !isOurs(file) &&
      !(file.isUnreadable === true && remembered.includes(file.path)) &&
      !isOriginal(file.path) &&
      (own.has(file.path) || names(file, nic.link, nic.mac)),
  );
}

/** The files because of which the NIC is left to whoever wrote them; empty when it may be managed. */
export function foreignConfiguration(nic: CloudNic, host: HostState, config: Config): readonly HostFile[] {
  if (nic.role === 'primary' || config.persistence.existingFiles === 'replace') return [];
  return othersFiles(nic, host).filter((file) => !isByCloudInit(file));
}

/** `claimed`: the paths of all NICs that are managed. After a rename what this NIC had may be another's. */
export function attachedFiles(
  nic: CloudNic,
  present: readonly DesiredFile[],
  host: HostState,
  claimed: ReadonlySet<string>,
): DesiredFiles {
  const wanted = new Set(present.map(({ path }) => path));
  const former = rememberedFiles(nic.mac, host).filter((path) => !claimed.has(path));
  const there = new Set(host.files.map(({ path }) => path));
  const ours = new Set(host.files.filter(isOurs).map(({ path }) => path));
  const absent = [...filePaths(nic.link.ifname), ...former].filter(
    (path) => ours.has(path) && !wanted.has(path),
  );
  const vacant = rememberedFiles(nic.mac, host).filter(
    (path) => !wanted.has(path) && there.has(originalPath(path)),
  );
  return { present, displaced: othersFiles(nic, host).map(({ path }) => path), absent, vacant };
}

/** What is left of a NIC that is gone: our files, and the originals that they replaced. */
export function withdrawnFiles(mac: MacAddress, host: HostState, claimed: ReadonlySet<string>): DesiredFiles {
  const byPath = new Map(host.files.map((file) => [file.path, file]));
  const absent = rememberedFiles(mac, host).filter((path) => {
    const file = byPath.get(path);
    const isLeft = file === undefined ? byPath.has(originalPath(path)) : isOurs(file);
    return isLeft && !claimed.has(path);
  });
  return { present: [], displaced: [], absent, vacant: [] };
}

/** What the state file says we wrote for a MAC; where it was lost, what goes with a profile of ours that has this MAC. */
function rememberedFiles(mac: MacAddress, host: HostState): readonly string[] {
  const recovered = host.files
    .filter((file) => isOurs(file) && subjectOf(file).mac === mac)
    .flatMap(({ path }) => companionPaths(path));
  return [...new Set([...(host.state.nics[mac]?.files ?? []), ...recovered])];
}

function names(file: HostFile, link: Link, mac: MacAddress): boolean {
  const subject = subjectOf(file);
  return subject.ifname === link.ifname || subject.mac === mac;
}
