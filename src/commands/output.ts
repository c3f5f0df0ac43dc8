/** What a command prints: people read stdout in colour on a terminal, programs read one JSON document. */
import { styleText } from 'node:util';
import { printable } from '../model/printable.ts';

const STYLES = ['green', 'red', 'yellow', 'bold', 'dim', 'reset'] as const;
export type Style = (typeof STYLES)[number];

/** What `style` puts around a text, and nothing else that a terminal obeys. */
const COLOURS = new RegExp(
  `(${STYLES.flatMap((style) => paint(style, ' ').split(' '))
    .map((code) => code.replace('[', '\\['))
    .join('|')})`,
);

/** Text from outside may be in all of it: control characters are shown, and none gets through. */
export interface Output {
  line(text?: string): void;
  json(document: unknown): void;
  style(style: Style, text: string): string;
}

export function createOutput(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Output {
  // https://no-color.org: set and not empty.
  const hasColour = stream.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  // A reader that has seen enough (`| head`), or a terminal that hung up, is no reason to leave work half done.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
  return {
    line: (text = '') => {
      stream.write(`${hasColour ? printableBetweenColours(text) : printable(text)}\n`);
    },
    json: (document) => {
      stream.write(`${printable(JSON.stringify(document, null, 2))}\n`);
    },
    style: (style, text) => (hasColour ? paint(style, text) : text),
  };
}

/** Whether there are colours is known by then. */
function paint(style: Style, text: string): string {
  return styleText(style, text, { validateStream: false });
}

function printableBetweenColours(text: string): string {
  const parts = text.split(COLOURS);
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join('');
}

/** Why the command could do nothing. */
export function printError(stderr: NodeJS.WriteStream, message: string): void {
  stderr.write(`eni-agent: ${printable(message)}\n`);
}
