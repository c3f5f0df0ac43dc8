/** The distribution's files of an interface: which there are, and whose they are. */
import type { HostFile } from './host.ts';
import type { IfName } from './net.ts';

export const NETWORK_SCRIPTS = '/etc/sysconfig/network-scripts';
export const SCRIPT_KINDS = ['ifcfg', 'route', 'rule', 'route6', 'rule6'] as const;
export type ScriptKind = (typeof SCRIPT_KINDS)[number];

/** The first words of every file that is ours. */
const MARKER = '# Managed by eni-agent.';
const CLOUD_INIT = '# Created by cloud-init';
/** One of the endings that network-scripts ignores, so that what was there does no harm and is not lost. */
const ORIGINAL = '.orig';

export function scriptPath(kind: ScriptKind, ifname: IfName): string {
  return `${NETWORK_SCRIPTS}/${kind}-${ifname}`;
}

export function scriptPaths(ifname: IfName): readonly string[] {
  return SCRIPT_KINDS.map((kind) => scriptPath(kind, ifname));
}

export function originalPath(path: string): string {
  return `${path}${ORIGINAL}`;
}

export function isOriginal(path: string): boolean {
  return path.endsWith(ORIGINAL);
}

export function isOurs(file: HostFile): boolean {
  return !isOriginal(file.path) && file.content.startsWith(MARKER);
}

export function isByCloudInit(file: HostFile): boolean {
  return file.content.startsWith(CLOUD_INIT);
}
