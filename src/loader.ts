#!/usr/bin/env node
/** dist/cli.js: loads the program (src/cli.ts and what it needs, in dist/chunks) by its code cache. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileModule } from './system/code-cache.ts';

/** By packaging/bundle.ts: the chunk that is src/cli.ts. */
declare const MAIN_CHUNK: string;

const requireOther = createRequire(import.meta.url);
const loaded = new Map<string, { exports: unknown }>();

/** Chunks name each other by relative paths; anything else is Node's, or a package's. */
function load(file: string): unknown {
  const known = loaded.get(file);
  if (known !== undefined) return known.exports;
  const made = { exports: {} };
  loaded.set(file, made);
  const folder = path.dirname(file);
  const requireFrom = (request: string): unknown =>
    request.startsWith('.') ? load(path.join(folder, request)) : requireOther(request);
  compileModule(file)(made.exports, requireFrom, made, file, folder);
  return made.exports;
}

load(path.join(path.dirname(fileURLToPath(import.meta.url)), MAIN_CHUNK));
