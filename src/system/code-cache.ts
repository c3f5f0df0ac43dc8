/**
 * V8's code cache: what it makes of a file's text, to be read instead of made again at each start. It lies beside the file, and is used only
 * by the very program that wrote it, with the same options; any other one compiles as ever.
 *
 * V8 itself looks at its version, its options and the length of the text, and dies of a wrong byte. So it is there twice, and both have to be
 * equal: to compare is a hundredth of what a digest costs, and nothing has to be loaded for it. And it ends with which Node wrote it, since one
 * version is built in many ways, and a distribution builds it anew.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** As Node calls a CommonJS module. */
export type ModuleFunction = (
  exports: unknown,
  require: (request: string) => unknown,
  module: { exports: unknown },
  filename: string,
  dirname: string,
) => void;

const SUFFIX = '.cache';

export function isChunk(name: string): boolean {
  return name.endsWith('.js');
}

/** The name of the file that a cache is of; undefined for what is none. */
export function chunkOfCache(name: string): string | undefined {
  return /^(.*\.js)\.cache(?:\.new)?$/.exec(name)?.[1];
}

/** The functions in the file, by their chunks. Its name must tell its content: V8 itself compares only lengths. */
export function compileChunks(file: string): Readonly<Record<string, ModuleFunction>> {
  const cachedData = readCache(file);
  const script = scriptOf(file, cachedData === undefined ? {} : { cachedData });
  return script.runInThisContext() as Readonly<Record<string, ModuleFunction>>;
}

/**
 * With every function in it, since nobody knows which ones a start will need. Throws what node:fs throws; a cache of before is there then,
 * or none. Only for a process that does nothing else: it changes an option of V8 for a moment.
 */
export function writeCache(file: string): void {
  setFlagsFromString('--no-lazy');
  const script = scriptOf(file, {});
  // The options are part of what the reader compares.
  setFlagsFromString('--lazy');
  const temporary = `${file}${SUFFIX}.new`;
  try {
    const once = [script.createCachedData(), describeNode()];
    writeFileSync(temporary, Buffer.concat([...once, ...once]));
    renameSync(temporary, `${file}${SUFFIX}`);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function scriptOf(file: string, options: { readonly cachedData?: Buffer }): Script {
  return new Script(readFileSync(file, 'utf8'), { filename: file, ...options });
}

/** undefined when there is none, and for one that is not as it was written, or was written by another Node. */
function readCache(file: string): Buffer | undefined {
  try {
    const twice = readAgain(`${file}${SUFFIX}`);
    const once = twice.subarray(0, twice.length / 2);
    const writer = describeNode();
    const end = once.length - writer.length;
    const isWhole = once.equals(twice.subarray(twice.length / 2));
    return isWhole && once.subarray(Math.max(0, end)).equals(writer) ? once.subarray(0, end) : undefined;
  } catch {
    return undefined;
  }
}

/** Until V8 collects: a start is over by then. */
let space = new WeakRef(Buffer.alloc(0));

/** Good until the next one is read. The kernel takes longer to find a start new memory than to copy a cache into it. */
function readAgain(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const before = space.deref();
    const memory = before !== undefined && size <= before.length ? before : Buffer.allocUnsafeSlow(size);
    space = new WeakRef(memory);
    return memory.subarray(0, readSync(descriptor, memory, 0, size, 0));
  } finally {
    closeSync(descriptor);
  }
}

let writer: Buffer | undefined;

/** The very executable: another build of the same version has another size, or another age. */
function describeNode(): Buffer {
  if (writer !== undefined) return writer;
  const { size, mtimeMs } = statSync(process.execPath);
  writer = Buffer.from(`${process.version} ${process.arch} ${size} ${mtimeMs}`);
  return writer;
}
