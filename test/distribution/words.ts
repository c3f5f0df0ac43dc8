/** Words of `ip route add`, `ip rule add` and their likenesses in NetworkManager's files: keys with a value, flags, one word without a key. */

import type { Family } from '../../src/model/net.ts';
import {
  parseAddressOf,
  parseCount,
  parseNetwork,
  type Result,
  type RouteWords,
  type RuleWords,
} from './meaning.ts';

export interface Grammar {
  /** Each spelling, and the key that it stands for. */
  readonly keys: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** The key that may be left out before its value. */
  readonly unnamed?: string;
}

export type Pairs = ReadonlyMap<string, string>;

export function pairWords(words: readonly string[], { keys, flags = [], unnamed }: Grammar): Result<Pairs> {
  const found = new Map<string, string>();
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const isKey = Object.hasOwn(keys, word);
    const isFlag = flags.includes(word);
    const key = isKey ? keys[word] : isFlag ? word : unnamed;
    if (key === undefined || found.has(key)) return { complaint: `"${word}" is a garbage` };
    if (isKey) index += 1;
    const value = isFlag ? '' : words[index];
    if (value === undefined) return { complaint: `"${word}" has no value` };
    found.set(key, value);
  }
  return { value: found };
}

/** What an operator may write for the value of `table`. */
export type ParseTable = (text: string) => number | undefined;

export interface RouteDefaults {
  readonly family: Family;
  /** Of the profile or the script; null when the line has to say it. */
  readonly ifname: string | null;
  readonly table: number;
  readonly parseTable: ParseTable;
}

export function routeOf(
  pairs: Pairs,
  { family, ifname, table, parseTable }: RouteDefaults,
): Result<RouteWords> {
  const destination = parseNetwork(pairs.get('to') ?? '', family);
  if (destination === undefined) return { complaint: `no IPv${family} destination: ${pairs.get('to')}` };
  const via = pairs.get('via');
  const gateway = via === undefined ? null : parseAddressOf(family, via);
  if (gateway === undefined) return { complaint: `no IPv${family} gateway: ${via}` };
  const device = ifname ?? pairs.get('dev');
  if (device === undefined) return { complaint: 'no device: it depends on what else is there' };
  const tableText = pairs.get('table');
  const number = tableText === undefined ? table : parseTable(tableText);
  if (number === undefined) return { complaint: `no number of a table: ${tableText}` };
  if (pairs.has('type')) return { complaint: `a route of type ${pairs.get('type')}` };
  return { value: { destination, gateway, ifname: device, table: number } };
}

export function ruleOf(pairs: Pairs, family: Family, parseTable: ParseTable): Result<RuleWords> {
  const from = pairs.get('from');
  const source = from === undefined ? null : parseNetwork(from, family);
  if (source === undefined) return { complaint: `no IPv${family} source: ${from}` };
  const priority = parseCount(pairs.get('priority'));
  if (priority === undefined) return { complaint: 'no priority: it is added again each time' };
  const table = parseTable(pairs.get('table') ?? '');
  if (table === undefined) return { complaint: `no number of a table: ${pairs.get('table')}` };
  const oif = pairs.get('oif') ?? null;
  const others = [...pairs.keys()].filter(
    (key) => !['from', 'priority', 'table', 'oif', 'protocol'].includes(key),
  );
  if (others.length > 0) return { complaint: `selects by ${others.join(', ')}` };
  return { value: { family, source, oif, table, priority } };
}

/** The texts of what could be read; the complaints, with what they are about, go to `complaints`. */
export function collect<Value>(
  results: readonly { readonly where: string; readonly result: Result<Value> }[],
  format: (value: Value) => string,
  complaints: string[],
): readonly string[] {
  return results.flatMap(({ where, result }) => {
    if ('value' in result) return [format(result.value)];
    complaints.push(`${where}: ${result.complaint}`);
    return [];
  });
}
