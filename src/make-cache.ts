/**
 * dist/make-cache.js: writes the code cache of the program beside it, for the Node that runs this, and removes that of files that an upgrade
 * has replaced. An error ends it: the program starts without a cache as well.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chunkOfCache, isChunk, writeCache } from './system/code-cache.ts';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'chunks');
const names = readdirSync(folder);
for (const name of names) {
  const chunk = chunkOfCache(name);
  if (chunk !== undefined && !names.includes(chunk)) rmSync(path.join(folder, name), { force: true });
}
for (const name of names.filter(isChunk)) writeCache(path.join(folder, name));
