/** The VM's file tree: what a CentOS image with cloud-init has where the agent looks, and the agent's configuration. */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { METADATA_ADDRESS } from './topology.ts';

export const PRIMARY_FILE = '/etc/sysconfig/network-scripts/ifcfg-eth0';
const CONFIG_FILE = '/etc/eni-agent/config.yaml';
const FOLDERS = ['/etc/sysconfig/network-scripts', '/etc/eni-agent', '/var/lib', '/run'];

/** Its default address would leave it to a name server of somebody else: a test always names its endpoint. */
const ENDPOINT_CONFIG = `metadata:
  provider: tencent
  endpoint: http://${METADATA_ADDRESS}
  fallbackEndpoints: []
`;

export async function createRoot(root: string, primaryMac: string): Promise<void> {
  for (const folder of FOLDERS) await mkdir(path.join(root, folder), { recursive: true, mode: 0o755 });
  await chmod(root, 0o755);
  await writeFileAs(path.join(root, PRIMARY_FILE), cloudInitFile('eth0', primaryMac), 0o644);
  await writeConfig(root, '');
}

/**
 * The agent's configuration. The metadata's endpoint is added at the end (so that line numbers stay) unless the text has
 * a `metadata` section of its own.
 */
export async function writeConfig(root: string, text: string): Promise<void> {
  const own = /^metadata:/m.test(text);
  await writeFileAs(path.join(root, CONFIG_FILE), own ? text : `${text}${ENDPOINT_CONFIG}`, 0o644);
}

/** As cloud-init's sysconfig renderer writes a NIC on DHCP. */
export function cloudInitFile(ifname: string, mac: string): string {
  return `# Created by cloud-init on instance boot automatically, do not edit.
#
BOOTPROTO=dhcp
DEVICE=${ifname}
HWADDR=${mac}
ONBOOT=yes
PERSISTENT_DHCLIENT=yes
STARTMODE=auto
TYPE=Ethernet
USERCTL=no
`;
}

/** A line per file: mode, path, digest of the content; with `identity` also inode and time of change. */
export async function describeTree(root: string, identity: boolean): Promise<readonly string[]> {
  const names = (await readdir(root, { recursive: true })).toSorted();
  const described = await Promise.all(names.map((name) => describeFile(root, name, identity)));
  return described.flatMap((line) => line ?? []);
}

/** undefined for a file that is gone by now: a daemon that writes one goes by a temporary. */
async function describeFile(root: string, name: string, identity: boolean): Promise<string | undefined> {
  const file = path.join(root, name);
  try {
    const stats = await lstat(file);
    const marks = identity && stats.isFile() ? ` inode ${stats.ino} mtime ${stats.mtimeMs}` : '';
    return `${stats.mode.toString(8)} /${name} ${await describeContent(file, stats)}${marks}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function describeContent(file: string, stats: Stats): Promise<string> {
  if (stats.isFile())
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  return stats.isSymbolicLink() ? `-> ${await readlink(file)}` : '';
}

/** Whatever the umask. */
async function writeFileAs(file: string, content: string, mode: number): Promise<void> {
  await writeFile(file, content);
  await chmod(file, mode);
}
