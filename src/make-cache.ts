/**
 * dist/make-cache.js: writes the code cache of the program beside it, for the Node that runs this, and removes that of files that an upgrade
 * has replaced. Exit code 1 when it cannot: the program starts without a cache as well.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chunkOfCache, isChunk, writeCache } from './system/code-cache.ts';

function makeCache(folder: string): void {
  const names = readdirSync(folder);
  for (const name of names) {
    const chunk = chunkOfCache(name);
    if (chunk !== undefined && !names.includes(chunk)) rmSync(path.join(folder, name), { force: true });
  }
  for (const name of names.filter(isChunk)) writeCache(path.join(folder, name));
}

const chunks = path.join(path.dirname(fileURLToPath(import.meta.url)), 'chunks');
try {
  makeCache(chunks);
} catch (error) {
  const problem = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `eni-agent: making the code cache in ${chunks}: ${problem}; run as root. Without it every command works, and starts slower\n`,
  );
  process.exitCode = 1;
}
