/** The door for YAML that people write: strict, and able to say where each value is. */
import {
  CST,
  type Document,
  isMap,
  isNode,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';
import { printableLine } from '../model/printable.ts';

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

/** A configuration for every NIC and address of the largest VM has a tenth of that; comparing keys takes the square of their number. */
const MAXIMUM_BYTES = 64 * 1024;
/** The parser calls itself for each level, and near the end of the stack V8 ends the process: no error to catch. */
const DEEPEST_FLOW = 32;
/** Every level of a block is farther to the right than the one that it is in. */
const FARTHEST_COLUMN = 128;
const START: Position = { line: 1, column: 1 };
type TokenType = ReturnType<typeof CST.tokenType>;
const FLOW_STEPS: Readonly<Record<string, number>> = {
  'flow-seq-start': 1,
  'flow-map-start': 1,
  'flow-seq-end': -1,
  'flow-map-end': -1,
};
const BLOCK_INDICATORS: ReadonlySet<TokenType> = new Set([
  'seq-item-ind',
  'explicit-key-ind',
  'map-value-ind',
]);
/** The lexer's own signs. */
const ZERO_WIDTH: ReadonlySet<TokenType> = new Set(['doc-mode', 'flow-error-end', 'scalar']);
/** Nobody reads more. */
const MOST_PROBLEMS = 50;

/**
 * YAML 1.2 with the core schema: `off`, `no` and `12:34:56` are text. One document, no key twice, no tags of one's own.
 * Anchors and aliases are refused: what a line says must be readable from that line, and a few of them can make gigabytes.
 */
export function parseYaml(bytes: string | Uint8Array): { file: YamlFile } | { problems: YamlProblem[] } {
  const text = decode(bytes);
  if (text === undefined) return { problems: [{ at: START, text: 'no valid UTF-8' }] };
  const excess = findExcess(text);
  if (excess !== undefined) return { problems: [excess] };
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
      text: `no valid YAML: ${printableLine(message)}`,
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
  const lines = problems
    .slice(0, MOST_PROBLEMS)
    .map(({ at, text }) => `${name}:${at.line}:${at.column}: ${text}`);
  const more = problems.length - lines.length;
  return more > 0 ? [...lines, `${name}: ${more} more problem${more === 1 ? '' : 's'}`] : lines;
}

/** What would take the parser minutes, or the process down. */
function findExcess(text: string): YamlProblem | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAXIMUM_BYTES) return { at: START, text: `${bytes} bytes; allowed: ${MAXIMUM_BYTES}` };
  const offset = findTooDeep(text);
  if (offset === undefined) return undefined;
  const before = text.slice(0, offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return { at: { line: before.length, column }, text: 'nested too deep' };
}

/** The offset of the first token that is nested too deep, from the lexer alone, which does not call itself. */
function findTooDeep(text: string): number | undefined {
  let offset = 0;
  let lineStart = 0;
  let flow = 0;
  let isFirst = true;
  let previous: TokenType = null;
  for (const token of new Lexer().lex(text)) {
    // What comes after the sign for a scalar is its text, whatever it looks like.
    const type: TokenType = previous === 'scalar' ? null : CST.tokenType(token);
    flow = type === 'flow-error-end' ? 0 : Math.max(0, flow + (FLOW_STEPS[type ?? ''] ?? 0));
    const opensBlock = flow === 0 && type !== 'space' && (isFirst || BLOCK_INDICATORS.has(type));
    const isFar = opensBlock && type !== 'newline' && offset - lineStart >= FARTHEST_COLUMN;
    if (flow > DEEPEST_FLOW || isFar) return offset;
    if (!ZERO_WIDTH.has(type)) offset += token.length;
    if (type === 'newline') lineStart = offset;
    isFirst = type === 'newline' || (isFirst && type === 'space');
    previous = type;
  }
  return undefined;
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
