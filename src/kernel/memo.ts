/**
 * By socket and kind of dump, what the last one was decoded to. An object whose bytes are the same is the very same object, and a list of
 * the same objects the very same list.
 */
import { isDeepStrictEqual } from 'node:util';
import { createMemo, isSameList, type Memo } from '../model/memo.ts';

interface Dumped {
  readonly bodies: readonly Uint8Array[];
  /** One for each body. */
  readonly values: readonly unknown[];
  readonly objects: readonly unknown[];
}

interface Known {
  readonly dumps: Map<string, Dumped>;
  readonly memo: Memo;
}

const known = new WeakMap<object, Known>();
const NOTHING: Dumped = { bodies: [], values: [], objects: [] };

/** Without those that decode to undefined. */
export function decodeAll<Decoded>(
  socket: object,
  kind: string,
  bodies: readonly Uint8Array[],
  decode: (body: Uint8Array) => Decoded | undefined,
): readonly Decoded[] {
  const { dumps } = knownOf(socket);
  const last = dumps.get(kind) ?? NOTHING;
  if (last.bodies === bodies) return last.objects as readonly Decoded[];
  // Where one came or went, those behind it have moved by as much.
  const moved = last.bodies.length - bodies.length;
  const values = bodies.map((body, index) => {
    if (isSameBody(last.bodies[index], body)) return last.values[index];
    if (moved !== 0 && isSameBody(last.bodies[index + moved], body)) return last.values[index + moved];
    const now = decode(body);
    const before = moved === 0 ? last.values[index] : undefined;
    // Counters and what runs out change all the time; none of it is decoded.
    return before !== undefined && isDeepStrictEqual(now, before) ? before : now;
  });
  const objects = isSameList(values, last.values)
    ? last.objects
    : values.filter((value) => value !== undefined);
  dumps.set(kind, { bodies, values, objects });
  return objects as readonly Decoded[];
}

function isSameBody(before: Uint8Array | undefined, body: Uint8Array): boolean {
  return before === body || (before !== undefined && Buffer.compare(before, body) === 0);
}

/** All in one list. */
export function joinAll<Item>(
  socket: object,
  kind: string,
  lists: readonly (readonly Item[])[],
): readonly Item[] {
  return knownOf(socket).memo.of(`all ${kind}`, lists, () => lists.flat());
}

function knownOf(socket: object): Known {
  const found = known.get(socket) ?? { dumps: new Map<string, Dumped>(), memo: createMemo() };
  known.set(socket, found);
  return found;
}
