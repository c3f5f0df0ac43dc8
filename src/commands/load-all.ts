/** For a process that stays: an upgrade may have replaced the program's files when it needs them, or the disk be gone. */
import { loadLogger } from '../log.ts';
import { loadRunner } from '../system/run.ts';

/** What is loaded with its first use elsewhere. */
export async function loadAll(): Promise<void> {
  await Promise.all([import('../config-file.ts'), import('../metadata/file.ts'), loadLogger(), loadRunner()]);
}
