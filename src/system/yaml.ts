/** The door for YAML that people write: strict, and able to say where each value is. */
import {
  type Document,
  isMap,
  isNode,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';

/** Keys and indexes from the top of the document. */
export type Path = readonly (string | number)[];

/** Both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface YamlProblem {
  readonly at: Position;
  /** `what was found; what is allowed` */
  readonly text: string;
}

export interface YamlFile {
  /** Plain data; null for an empty document. */
  readonly value: unknown;
  /** Where the value begins; without one, where its nearest parent does. */
  valuePosition(path: Path): Position;
  /** Where the key of the value begins; of a list's entry, the entry itself. */
  keyPosition(path: Path): Position;
}

/**
 * YAML 1.2 with the core schema: `off`, `no` and `12:34:56` are text. One document, no key twice, no tags of one's own.
 * Anchors and aliases are refused: what a line says must be readable from that line, and a few of them can make gigabytes.
 */
export function parseYaml(bytes: string | Uint8Array): { file: YamlFile } | { problems: YamlProblem[] } {
  const text = decode(bytes);
  if (text === undefined) return { problems: [{ at: { line: 1, column: 1 }, text: 'no valid UTF-8' }] };
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    schema: 'core',
    stringKeys: true,
    uniqueKeys: true,
  });
  const positionAt = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems = [
    ...[...document.errors, ...document.warnings].map(({ pos, message }) => ({
      at: positionAt(pos[0]),
      text: `no valid YAML: ${message}`,
    })),
    ...findAnchors(document).map((offset) => ({
      at: positionAt(offset),
      text: 'an anchor, alias or merge; write the value out',
    })),
  ];
  if (problems.length > 0) return { problems };
  return {
    file: {
      value: document.toJS(),
      valuePosition: (path) => positionAt(offsetOf(document.contents, path).value),
      keyPosition: (path) => positionAt(offsetOf(document.contents, path).key),
    },
  };
}

/** One line each, as compilers and editors know them: `name:LINE:COLUMN: text`. */
export function formatProblems(name: string, problems: readonly YamlProblem[]): string[] {
  return problems.map(({ at, text }) => `${name}:${at.line}:${at.column}: ${text}`);
}

function decode(bytes: string | Uint8Array): string | undefined {
  if (typeof bytes === 'string') return bytes;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function findAnchors(document: Document): number[] {
  const offsets: number[] = [];
  const note = (node: Node) => {
    offsets.push(node.range?.[0] ?? 0);
  };
  visit(document, {
    Alias: (_, node) => note(node),
    Value: (_, node) => {
      if (node.anchor !== undefined) note(node);
    },
  });
  return offsets;
}

function offsetOf(top: ParsedNode | null, path: Path): { readonly key: number; readonly value: number } {
  let node: unknown = top;
  let offsets = { key: startOf(node) ?? 0, value: startOf(node) ?? 0 };
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isNode(key) && key.toJSON() === step);
      if (pair === undefined) return offsets;
      const key = startOf(pair.key) ?? offsets.key;
      offsets = { key, value: startOf(pair.value) ?? key };
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number' && step in node.items) {
      node = node.items[step];
      const start = startOf(node) ?? offsets.value;
      offsets = { key: start, value: start };
    } else return offsets;
  }
  return offsets;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
