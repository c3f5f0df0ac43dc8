/** `npm run build`: writes dist/cli.js and what it loads, with the code cache of this Node. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bundle } from './bundle.ts';

const ROOT = path.join(import.meta.dirname, '..');
const CHUNKS = path.join(ROOT, 'dist/chunks');

const { files } = await bundle();
rmSync(CHUNKS, { recursive: true, force: true });
mkdirSync(CHUNKS, { recursive: true });
for (const [name, text] of files) writeFileSync(path.join(ROOT, name), text);
chmodSync(path.join(ROOT, 'dist/cli.js'), 0o755);
execFileSync(process.execPath, [path.join(ROOT, 'dist/make-cache.js')], { env: {} });
