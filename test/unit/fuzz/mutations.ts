/** From something valid to something that nobody should ever send: a few small changes, which shrink well. */
import fc from 'fast-check';

/** What broke, or would break, a parser that is too lax somewhere: in files, shells, terminals, numbers, YAML and JSON. */
const HOSTILE: readonly string[] = [
  // A shell.
  '$(touch x)',
  '`touch x`',
  '; touch x',
  ' && touch x',
  '| sh',
  '> x',
  "'",
  '"',
  '\\',
  '\\\n',
  '$((x=1))',
  '${x:=1}',
  '~root',
  '*',
  // A line, a terminal.
  '\n',
  '\r',
  '\r\n',
  '\nGATEWAY=10.9.9.9',
  '\0',
  '\t',
  ' ',
  '#',
  '\u001b[2J',
  '\u009b2J',
  '\u2028',
  '\u202e',
  '\ufeff',
  'x'.repeat(10_240),
  // A number, an address.
  '0',
  '-1',
  '007',
  '0x7f',
  '1e9',
  '1_000',
  '.5',
  '256',
  '4294967296',
  '99999999999999999999',
  'NaN',
  '١٢٣',
  '１',
  '010.0.1.5',
  '0x7f.1',
  '10.0.1',
  '1',
  '10.0.1.5.6',
  '::ffff:10.0.1.5',
  '::10.0.1.5',
  'fe80::1%eth0',
  '2001:DB8:0:0::1',
  '::',
  '0.0.0.0',
  '255.255.255.255',
  '127.0.0.1',
  '224.0.0.1',
  '/0',
  '/33',
  '/024',
  '/-1',
  '01:00:5e:00:00:01',
  '00:00:00:00:00:00',
  '52-54-00-00-00-0A',
  'K2:54:00:00:00:0a',
  '../../etc/passwd',
  'eth1.orig',
  '-rf',
  // YAML and JSON.
  '&a ',
  '*a',
  '<<: *a',
  '!!js/function x',
  '__proto__: ',
  '"__proto__": { "x": 1 }, ',
  'constructor: ',
  'toString: 1\n',
  '? ',
  '- ',
  '---\n',
  '%YAML 1.1\n',
  ': ',
  ', ',
  '|\n',
  '{',
  '}',
  '[',
  ']',
  '['.repeat(5_000),
  '{"a":'.repeat(5_000),
  '- '.repeat(5_000),
  '['.repeat(20_000) + ']'.repeat(20_000),
  `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  'null',
  'true',
  '1e400',
  '<html><body>503</body></html>',
  'undefined',
  '[object Object]',
].map(bytesOf);

/** Text as bytes, one character each: so half of a character can go missing, too. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

const KINDS = ['flip', 'cut', 'drop', 'repeat', 'insert', 'replace', 'splice', 'shuffle'] as const;

export interface Mutation {
  readonly kind: (typeof KINDS)[number];
  /** Where, in thousandths of the length. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
  readonly text: string;
  /** A word of the input is changed, not any place. */
  readonly onWord: boolean;
}

const WHOLE = 1_000;
/** More than any reader takes. */
const MOST_BYTES = 256 * 1024;

const anyMutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.integer({ min: 0, max: WHOLE }),
  length: fc.integer({ min: 1, max: 40 }),
  text: fc.constantFrom(...HOSTILE),
  onWord: fc.boolean(),
});

export const anyMutations: fc.Arbitrary<readonly Mutation[]> = fc.array(anyMutation, {
  minLength: 1,
  maxLength: 4,
});

/** `others` are what a part may be taken from. */
export function mutate(input: string, mutations: readonly Mutation[], others: readonly string[]): Buffer {
  const mutated = mutations.reduce(
    (text, mutation) => applyOne(text, mutation, others).slice(0, MOST_BYTES),
    bytesOf(input),
  );
  return Buffer.from(mutated, 'latin1');
}

const WORD = /[A-Za-z0-9_.:/-]+/g;

function applyOne(text: string, mutation: Mutation, others: readonly string[]): string {
  const { kind, at, length, text: hostile } = mutation;
  const [start, end] = placeOf(text, mutation);
  const before = text.slice(0, start);
  const part = text.slice(start, end);
  const after = text.slice(end);
  switch (kind) {
    case 'flip':
      return (
        before +
        String.fromCharCode((text.charCodeAt(start) || 0) ^ (1 << (length % 8))) +
        text.slice(start + 1)
      );
    case 'cut':
      return before;
    case 'drop':
      return before + after;
    case 'repeat':
      return before + part.repeat(1 + length) + after;
    case 'insert':
      return before + hostile + part + after;
    case 'replace':
      return before + hostile + after;
    case 'splice': {
      const other = bytesOf(others[at % others.length] ?? '');
      return before + other.slice(Math.floor((other.length * at) / WHOLE)) + after;
    }
    case 'shuffle':
      return after + part + before;
  }
}

function placeOf(text: string, { at, length, onWord }: Mutation): readonly [number, number] {
  const start = Math.floor((text.length * at) / WHOLE);
  if (!onWord) return [start, start + length];
  const words = [...text.matchAll(WORD)];
  const word = words[Math.floor((words.length * at) / (WHOLE + 1))];
  return word === undefined ? [start, start + length] : [word.index, word.index + word[0].length];
}
