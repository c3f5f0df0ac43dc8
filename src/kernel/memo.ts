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
}

interface Known {
  readonly dumps: Map<string, Dumped>;
  readonly memo: Memo;
}

const known = new WeakMap<object, Known>();

/** Without those that decode to undefined. */
export function decodeAll<Decoded>(
  socket: object,
  kind: string,
  bodies: readonly Uint8Array[],
  decode: (body: Uint8Array) => Decoded | undefined,
): readonly Decoded[] {
  const { dumps, memo } = knownOf(socket);
  const last = dumps.get(kind);
  const decoded = bodies.map((body, index) => {
    const before = last?.bodies[index];
    const value = last?.values[index] as Decoded | undefined;
    if (before !== undefined && Buffer.compare(before, body) === 0) return value;
    const now = decode(body);
    // Counters and what runs out change all the time; none of it is decoded.
    return isDeepStrictEqual(now, value) ? value : now;
  });
  const values = last !== undefined && isSameList(decoded, last.values) ? last.values : decoded;
  dumps.set(kind, { bodies, values });
  return memo.of(kind, [values], () => decoded.filter((value) => value !== undefined));
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
