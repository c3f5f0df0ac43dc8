/** Whether it has been decided what NetworkManager makes up for a NIC that no profile claims (NetworkManager.conf(5)). */
import { readdir } from 'node:fs/promises';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { readRegularFile } from '../system/read-file.ts';

const FILE = '/etc/NetworkManager/NetworkManager.conf';
/** A file hides those of the same name in the folders before its own. */
const FOLDERS = [
  '/usr/lib/NetworkManager/conf.d',
  '/run/NetworkManager/conf.d',
  '/etc/NetworkManager/conf.d',
];
const BYTES = 64 * 1024;
const SETTING = /^[ \t]*no-auto-default[ \t]*[+]?=[ \t]*\S/m;

/** By the operator or the distribution, whatever it is set to. Throws what node:fs throws. */
export async function isNoAutoDefaultSet(paths: Paths): Promise<boolean> {
  const files = new Map([[FILE, FILE]]);
  for (const folder of FOLDERS)
    for (const name of await namesIn(paths.below(folder)))
      if (name.endsWith('.conf')) files.set(name, `${folder}/${name}`);
  return [...files.values()].some((file) => SETTING.test(read(paths.below(file))));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function read(file: string): string {
  try {
    return readRegularFile(file, BYTES) ?? '';
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}
