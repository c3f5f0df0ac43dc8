/** The distribution's files of an interface: which there are, and whose they are. */
import type { HostFile } from './host.ts';
import { oncePer } from './memo.ts';
import { type IfName, parseIfName } from './net.ts';

export const NETWORK_SCRIPTS = '/etc/sysconfig/network-scripts';
/** NetworkManager's keyfiles. */
export const CONNECTIONS = '/etc/NetworkManager/system-connections';
/** A profile of ours for NICs that no other one claims; gone with the next boot. */
export const UNCLAIMED_PROFILE = '/run/NetworkManager/system-connections/eni-agent-unclaimed.nmconnection';
export const FILE_KINDS = ['ifcfg', 'route', 'rule', 'route6', 'rule6', 'keyfile'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** The first words of every file that is ours. */
export const MARKER = '# Managed by eni-agent.';
const CLOUD_INIT = '# Created by cloud-init';
/** One of the endings that network-scripts ignores, so that what was there does no harm and is not lost. */
const ORIGINAL = '.orig';
const KEYFILE = { prefix: 'eni-agent-', suffix: '.nmconnection' };
/** NetworkManager reads any file in system-connections but those whose name begins with a dot or ends with a tilde. */
const CONNECTION_NAME = /^(?!\.)(?!.*~$)[^/\p{C}]{1,200}$/u;
/** Network-scripts and NetworkManager's plugin for ifcfg files read them all, but for those with these endings (FACTS §2). */
const SCRIPT_NAME = /^(ifcfg|route|rule|route6|rule6)-[^/]+$/;
const IGNORED_SCRIPT = /(~|\.bak|\.rpmnew|\.rpmorig|\.rpmsave)$/;

export function filePath(kind: FileKind, ifname: IfName): string {
  return kind === 'keyfile'
    ? `${CONNECTIONS}/${KEYFILE.prefix}${ifname}${KEYFILE.suffix}`
    : `${NETWORK_SCRIPTS}/${kind}-${ifname}`;
}

/** Of every kind, whatever the backend: those of another one are in its way. */
export function filePaths(ifname: IfName): readonly string[] {
  return FILE_KINDS.map((kind) => filePath(kind, ifname));
}

/** The interface that a file is about, by its name. */
export function ifnameOf(path: string): IfName | undefined {
  const [folder, name] = splitPath(path);
  if (folder === NETWORK_SCRIPTS) return parseIfName(name.slice(name.indexOf('-') + 1));
  const { prefix, suffix } = KEYFILE;
  const isKeyfile = folder === CONNECTIONS && name.startsWith(prefix) && name.endsWith(suffix);
  return isKeyfile ? parseIfName(name.slice(prefix.length, -suffix.length)) : undefined;
}

export function isKeyfile(path: string): boolean {
  return splitPath(path)[0] === CONNECTIONS;
}

/** It names its interface, and the others of that interface go with it. */
export function isProfile(path: string): boolean {
  return path.startsWith(`${NETWORK_SCRIPTS}/ifcfg-`) || isKeyfile(path);
}

/** All files of the interface that an `ifcfg` file or a keyfile of ours is about; [] for any other file. */
export function companionPaths(path: string): readonly string[] {
  const ifname = isProfile(path) ? ifnameOf(path) : undefined;
  return ifname === undefined ? [] : filePaths(ifname);
}

/** Whether the distribution may read a file of this name as one of an interface, or it is one that we keep. */
export function isInterfaceFile(path: string): boolean {
  const [folder, name] = splitPath(path);
  if (folder === NETWORK_SCRIPTS) return SCRIPT_NAME.test(name) && !IGNORED_SCRIPT.test(name);
  return folder === CONNECTIONS && (CONNECTION_NAME.test(name) || isOriginal(path));
}

/** The path of a file of an interface, or of what is kept beside it; undefined for any other, which is not ours to write. */
export function parseFilePath(text: string): string | undefined {
  const [folder, name] = splitPath(text);
  if (folder === CONNECTIONS) {
    return CONNECTION_NAME.test(isOriginal(text) ? name.slice(1, -ORIGINAL.length) : name) ? text : undefined;
  }
  const path = isOriginal(text) ? text.slice(0, -ORIGINAL.length) : text;
  const ifname = ifnameOf(path);
  return ifname !== undefined && filePaths(ifname).includes(path) ? text : undefined;
}

/** Where the distribution does not see it: NetworkManager takes a keyfile of any name, but for a dot in front, for a profile. */
export function originalPath(path: string): string {
  const [folder, name] = splitPath(path);
  return `${folder}/${isKeyfile(path) ? '.' : ''}${name}${ORIGINAL}`;
}

export function isOriginal(path: string): boolean {
  return path.endsWith(ORIGINAL) && (!isKeyfile(path) || splitPath(path)[1].startsWith('.'));
}

export function isOurs(file: HostFile): boolean {
  return !isOriginal(file.path) && file.content.startsWith(MARKER);
}

export function isByCloudInit(file: HostFile): boolean {
  return file.content.startsWith(CLOUD_INIT);
}

export interface FileSubject {
  readonly ifname: string | undefined;
  /** In lower case. */
  readonly mac: string | undefined;
}

/** Whom an ifcfg file or a keyfile says it is about; never written anywhere. */
export const subjectOf = oncePer((file: HostFile): FileSubject => {
  if (!isProfile(file.path)) return { ifname: undefined, mac: undefined };
  const [ifname, mac] = isKeyfile(file.path) ? ['interface-name', 'mac-address'] : ['DEVICE', 'HWADDR'];
  return { ifname: valueOf(file, ifname), mac: valueOf(file, mac)?.toLowerCase() };
});

/** The value of an assignment in a file, quoted or not. */
export function valueOf(file: HostFile, key: string): string | undefined {
  for (const line of file.content.split('\n')) {
    const [name = '', ...value] = line.split('=');
    if (name.trim() === key)
      return value
        .join('=')
        .trim()
        .replaceAll(/^["']|["']$/g, '');
  }
  return undefined;
}

function splitPath(path: string): readonly [folder: string, name: string] {
  const slash = path.lastIndexOf('/');
  return [path.slice(0, slash), path.slice(slash + 1)];
}
