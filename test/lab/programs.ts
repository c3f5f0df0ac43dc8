/** What a process finds of the machine, and may do on it: commands that run the command which is given to them. */
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** In /usr/sbin there are these programs and no others: names to the real files. Until the test ends. */
export async function withPrograms(programs: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-sbin-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  for (const [name, file] of Object.entries(programs)) await copyFile(file, path.join(folder, name));
  return ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /usr/sbin && exec "$@"', folder];
}

/** Root with these capabilities alone, as systemd's CapabilityBoundingSet and NoNewPrivileges leave it. */
export function withCapabilities(...names: readonly string[]): readonly string[] {
  const set = ['-all', ...names.map((name) => `+${name}`)].join(',');
  return ['setpriv', '--bounding-set', set, '--inh-caps', '-all', '--no-new-privs'];
}
