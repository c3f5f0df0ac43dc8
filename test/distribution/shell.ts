/**
 * What bash makes of a file that ifup sources, and of the lines that it reads and hands to `ip`. Assignments of fixed texts alone
 * have a meaning here; whatever else would run, expand or end differently is a complaint.
 */
import type { Result } from './meaning.ts';

const NAME = /^[A-Za-z_]\w*=/;
/** Unquoted, they end a word and begin something that is no assignment, or are expanded. */
const SPECIAL = /[$`|&;()<>!]/;
/** `\` is special before these in double quotes, and stays before any other. */
const ESCAPED_IN_QUOTES = ['$', '`', '"', '\\', '\n'];

/** Name and value of every assignment; the last of a name holds. */
export function sourceFile(text: string): Result<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (/[ \t\n]/.test(char)) at += 1;
    else if (char === '#') at = endOfLine(text, at);
    else if (text.startsWith('\\\n', at)) at += 2;
    else {
      const name = NAME.exec(text.slice(at))?.[0];
      if (name === undefined) return { complaint: `it runs a command: ${lineAt(text, at)}` };
      const word = readWord(text, at + name.length);
      if ('complaint' in word) return { complaint: `${word.complaint}: ${lineAt(text, at)}` };
      found.set(name.slice(0, -1), word.value.text);
      at = word.value.end;
    }
  }
  return { value: found };
}

/** As `read` without -r and an unquoted variable see them: the words of each line that is neither empty nor a comment. */
export function wordsOfLines(text: string): readonly Result<readonly string[]>[] {
  const lines = text.replaceAll(/\\([\s\S])/g, (_, char: string) => (char === '\n' ? '' : char)).split('\n');
  return lines
    .map((line) => line.replaceAll(/^[ \t]+|[ \t]+$/g, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) =>
      /[*?[]/.test(line)
        ? { complaint: `file names take the place of a pattern: ${line}` }
        : { value: line.split(/[ \t]+/) },
    );
}

interface Word {
  readonly text: string;
  readonly end: number;
}

/** From behind the `=` to the blank or line end that ends the word. */
function readWord(source: string, start: number): Result<Word> {
  let text = '';
  let at = start;
  while (at < source.length && !/[ \t\n]/.test(source[at] ?? '')) {
    const part = readPart(source, at, at === start || source[at - 1] === ':');
    if ('complaint' in part) return part;
    text += part.value.text;
    at = part.value.end;
  }
  return { value: { text, end: at } };
}

/** `mayBeHome`: a `~` here is somebody's home. */
function readPart(source: string, at: number, mayBeHome: boolean): Result<Word> {
  const char = source[at] ?? '';
  if (char === "'") {
    const end = source.indexOf("'", at + 1);
    return end < 0 ? UNENDED : { value: { text: source.slice(at + 1, end), end: end + 1 } };
  }
  if (char === '"') return readQuoted(source, at + 1);
  if (char === '\\') {
    const next = source[at + 1];
    if (next === undefined) return { complaint: 'a backslash at the end of the file' };
    return { value: { text: next === '\n' ? '' : next, end: at + 2 } };
  }
  if (SPECIAL.test(char) || (mayBeHome && char === '~')) return { complaint: `${char} is more than a text` };
  return { value: { text: char, end: at + 1 } };
}

const UNENDED = { complaint: 'a quotation without an end' } as const;

function readQuoted(source: string, start: number): Result<Word> {
  let text = '';
  let at = start;
  while (source[at] !== '"') {
    const char = source[at];
    if (char === undefined) return UNENDED;
    if (char === '$' || char === '`') return { complaint: `${char} is more than a text` };
    const isEscape = char === '\\' && ESCAPED_IN_QUOTES.includes(source[at + 1] ?? '');
    const taken = isEscape ? (source[at + 1] ?? '') : char;
    text += isEscape && taken === '\n' ? '' : taken;
    at += isEscape ? 2 : 1;
  }
  return { value: { text, end: at + 1 } };
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function lineAt(text: string, at: number): string {
  return text.slice(at, endOfLine(text, at));
}
