/** Files of the distribution, by the link that they are about. */
import { isKeyfile, isOriginal, isOurs, isProfile, subjectOf, valueOf } from '../model/files.ts';
import type { HostFile, Link } from '../model/host.ts';
import type { Facts } from './facts.ts';

/** Of somebody else. */
export function profilesOf(linkIndex: number, facts: Facts): readonly HostFile[] {
  return foreignProfiles(facts).filter((file) => linkOfProfile(file, facts)?.index === linkIndex);
}

export function foreignProfiles({ host }: Facts): readonly HostFile[] {
  return host.files.filter((file) => isProfile(file.path) && !isOriginal(file.path) && !isOurs(file));
}

/** By the MAC that it names, else by the interface. */
export function linkOfProfile(file: HostFile, { host }: Facts): Link | undefined {
  const { ifname, mac } = subjectOf(file);
  const name = ifname ?? ifcfgName(file);
  return (
    host.links.find((link) => mac !== undefined && (link.permanentMac ?? link.mac) === mac) ??
    host.links.find((link) => link.ifname === name)
  );
}

/** What is behind `ifcfg-`; undefined for a keyfile. */
export function ifcfgName({ path }: Pick<HostFile, 'path'>): string | undefined {
  return /\/ifcfg-([^/]+)$/.exec(path)?.[1];
}

/** The distribution sets it up at boot. */
export function isStarted(file: HostFile): boolean {
  return isKeyfile(file.path)
    ? valueOf(file, 'autoconnect')?.toLowerCase() !== 'false'
    : valueOf(file, 'ONBOOT')?.toLowerCase() !== 'no';
}
