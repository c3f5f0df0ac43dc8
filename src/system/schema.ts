/** Checks a YAML file against a valibot schema and reports everything that is wrong with it at once, each with its place. */
import * as v from 'valibot';
import { formatInterfaceAddress, type InterfaceAddress, parseInterfaceAddress } from '../model/net.ts';
import { printableLine, quoted } from '../model/printable.ts';
import type { Path, YamlFile, YamlProblem } from './yaml.ts';

export type Checked<Value> = { readonly value: Value } | { readonly problems: readonly YamlProblem[] };

/** What a schema shows of itself, as far as the walk over its keys needs it. */
interface SchemaShape {
  readonly type: string;
  readonly entries?: Readonly<Record<string, SchemaShape>>;
  readonly item?: SchemaShape;
  readonly wrapped?: SchemaShape;
}

/**
 * The part of the file at `path` as the schema's output. Unknown keys are refused although v.object() ignores them:
 * v.strictObject() would report only the first.
 */
export function checkYaml<Schema extends v.GenericSchema>(
  file: YamlFile,
  schema: Schema,
  path: Path = [],
): Checked<v.InferOutput<Schema>> {
  const value = valueAt(file.value, path);
  const keyProblems = findKeyProblems(value, schema as SchemaShape).map(({ path: below, text }) => {
    const full = [...path, ...below];
    return { at: file.keyPosition(full), text: nameValue(full, text) };
  });
  const result = v.safeParse(schema, value);
  if (result.success && keyProblems.length === 0) return { value: result.output };
  const issues = result.success ? [] : result.issues;
  const valueProblems = issues.map((issue) => {
    const full = [...path, ...(issue.path ?? []).map(({ key }) => key as string | number)];
    const found = describe(valueAt(file.value, full));
    return { at: file.valuePosition(full), text: nameValue(full, `${found}; ${issue.message}`) };
  });
  return { problems: sortProblems([...keyProblems, ...valueProblems]) };
}

function nameValue(path: Path, text: string): string {
  return path.length === 0 ? text : `${formatPath(path)}: ${text}`;
}

const ALLOWED_MAPPING = 'allowed: a mapping of keys to values';

/** v.object() with messages of our form. */
export function mapping<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, ({ path }) =>
    path?.at(-1)?.origin === 'key' ? 'this key is required' : ALLOWED_MAPPING,
  );
}

/** Text that `parse` makes a value of, or undefined. `allowed` says in words what it takes. */
export function parsedText<Value>(parse: (text: string) => Value | undefined, allowed: string) {
  const message = `allowed: ${allowed}`;
  return v.pipe(
    v.string(message),
    v.rawTransform<string, Value>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message });
      return NEVER;
    }),
  );
}

/** Whether the prefix length is one of the address's family. */
export function isInterfaceAddress(entry: InterfaceAddress): boolean {
  return parseInterfaceAddress(formatInterfaceAddress(entry)) !== undefined;
}

/** Calls back with the path of every value that the schema knows: each key, and each entry of a list of mappings. */
export function walkSchema(
  schema: v.GenericSchema,
  value: unknown,
  callback: (path: Path, isPresent: boolean) => void,
): void {
  walk(schema, value, [], callback);
}

function walk(
  schema: SchemaShape,
  value: unknown,
  path: Path,
  callback: (path: Path, isPresent: boolean) => void,
): void {
  const { entries, item } = unwrap(schema);
  if (entries === undefined) callback(path, value !== undefined && value !== null);
  if (entries !== undefined) {
    for (const [key, inner] of Object.entries(entries))
      walk(inner, child(value, key), [...path, key], callback);
  } else if (item !== undefined && unwrap(item).entries !== undefined && Array.isArray(value)) {
    for (const [index, inner] of value.entries()) walk(item, inner, [...path, index], callback);
  }
}

/** `interfaces[0].routes[1].to` */
export function formatPath(path: Path): string {
  const words = path.map((step, index) =>
    typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`,
  );
  // A key can be any text.
  return printableLine(words.join(''));
}

function sortProblems(problems: readonly YamlProblem[]): YamlProblem[] {
  return problems.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
}

interface KeyProblem {
  readonly path: Path;
  readonly text: string;
}

function findKeyProblems(value: unknown, schema: SchemaShape, path: Path = []): KeyProblem[] {
  const { type, entries, item } = unwrap(schema);
  if (type === 'loose_object') return [];
  if (item !== undefined && Array.isArray(value)) {
    return value.flatMap((inner, index) => findKeyProblems(inner, item, [...path, index]));
  }
  if (entries !== undefined && Array.isArray(value)) {
    // To v.object() a list is an object without any of its keys.
    return [{ path, text: `a list; ${ALLOWED_MAPPING}` }];
  }
  if (entries === undefined || !isMapping(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const below = [...path, key];
    const known = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (known !== undefined) return findKeyProblems(inner, known, below);
    return [{ path: below, text: `unknown key; ${suggest(key, Object.keys(entries))}` }];
  });
}

function unwrap(schema: SchemaShape): SchemaShape {
  return schema.wrapped === undefined ? schema : unwrap(schema.wrapped);
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((inner: unknown, step) => child(inner, step), value);
}

function child(value: unknown, step: string | number): unknown {
  if (Array.isArray(value)) return value[Number(step)];
  return isMapping(value) && Object.hasOwn(value, step) ? value[step] : undefined;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const MAX_DESCRIPTION = 60;

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isMapping(value)) return 'a mapping';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return 'nothing';
  const text = quoted(value);
  return text.length <= MAX_DESCRIPTION ? text : `${text.slice(0, MAX_DESCRIPTION)}…`;
}

/** More differences than this are another word, not a typo. */
const MAX_TYPOS = 2;

function suggest(key: string, known: readonly string[]): string {
  const [nearest] = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= MAX_TYPOS && distance < name.length)
    .toSorted((a, b) => a.distance - b.distance);
  return nearest === undefined ? `allowed: ${known.join(', ')}` : `did you mean ${nearest.name}?`;
}

/** Levenshtein: insertions, deletions and substitutions. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [row, left] of Array.from(a).entries()) {
    const current = [row + 1];
    for (const [column, right] of Array.from(b).entries()) {
      const substitution = (previous[column] ?? 0) + (left === right ? 0 : 1);
      current.push(Math.min(substitution, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
