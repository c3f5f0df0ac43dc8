/** A .tar.gz of a few small texts, made by the system's tar. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { AgentError } from '../errors.ts';
import { createFileAtomically, writing } from './atomic-file.ts';
import { run } from './run.ts';

export interface ArchiveEntry {
  /** Below the archive's one folder: `kernel/rules.txt`. */
  readonly name: string;
  readonly text: string;
}

const TAR_TIMEOUT_MS = 60_000;
const MODE = 0o600;
const ARCHIVE = 'archive.tar.gz';

/** Readable for its owner alone; there or not, never half. AgentError `file-failed`, also where there is a file of that name; `command-failed`. */
export async function writeArchive(
  file: string,
  folder: string,
  entries: readonly ArchiveEntry[],
): Promise<void> {
  const staging = await writing(file, () => mkdtemp(path.join(os.tmpdir(), 'eni-agent-')));
  try {
    for (const { name, text } of entries) await stage(path.join(staging, folder, name), text);
    const archive = path.join(staging, ARCHIVE);
    const owner = ['--owner=0', '--group=0', '--numeric-owner'];
    // A colon in a name would make it that of another host.
    const args = ['--create', '--gzip', '--force-local', '--file', archive, ...owner, '--directory', staging];
    const { exitCode, stderr } = await run('tar', [...args, folder], { timeoutMs: TAR_TIMEOUT_MS });
    if (exitCode !== 0) throw new AgentError('command-failed', `running tar for ${file}: ${stderr.trim()}`);
    await createFileAtomically(file, await readFile(archive), MODE);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function stage(file: string, text: string): Promise<void> {
  await writing(file, async () => {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, text, { mode: MODE });
  });
}
