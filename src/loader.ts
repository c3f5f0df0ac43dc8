#!/usr/bin/env node
/** dist/cli.js: loads the program (src/cli.ts and what it needs, in dist/chunks) by its code cache. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileChunks, type ModuleFunction } from './system/code-cache.ts';

/** By packaging/bundle.ts: the chunk that is src/cli.ts, and the file that each chunk is in. */
declare const MAIN_CHUNK: string;
declare const FILE_OF: Readonly<Record<string, string>>;

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'chunks');

const requireOther = createRequire(import.meta.url);
const compiled = new Map<string, Readonly<Record<string, ModuleFunction>>>();
const loaded = new Map<string, { exports: unknown }>();

function load(chunk: string): unknown {
  const known = loaded.get(chunk);
  if (known !== undefined) return known.exports;
  const made = { exports: {} };
  loaded.set(chunk, made);
  const file = path.join(FOLDER, FILE_OF[chunk] ?? chunk);
  const chunks = compiled.get(file) ?? compileChunks(file);
  compiled.set(file, chunks);
  chunks[chunk]?.(made.exports, requireFrom, made, file, FOLDER);
  return made.exports;
}

/** Chunks name each other by relative paths; anything else is Node's, or a package's. */
function requireFrom(request: string): unknown {
  return request.startsWith('./') ? load(request.slice(2)) : requireOther(request);
}

load(MAIN_CHUNK);
