/** Commands and what they print, as a `console` block of a page shows them, against what they print now. */

export interface Exchange {
  readonly command: string;
  /** Without the end of the last line. */
  readonly output: string;
}

const PROMPT = '$ ';
/** A line that stands for any number of them. */
const ELLIPSIS = '…';

export function parseTranscript(text: string): readonly Exchange[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...output] = part.trimEnd().split('\n');
      return { command, output: output.join('\n') };
    });
}

export function formatTranscript(exchanges: readonly Exchange[]): string {
  const parts = exchanges.map(
    ({ command, output }) => `${PROMPT}${command}\n${output === '' ? '' : `${output}\n`}`,
  );
  return parts.join('');
}

/** Times, ages and durations may be others, and so may be what rang for a run of the history first. */
export function isShownAs(shown: string, seen: string): boolean {
  const pattern = lines(shown).map((line) =>
    line.trim() === ELLIPSIS ? '(?:.*\\n)*?' : `${literal(line)}\\n`,
  );
  return new RegExp(`^${pattern.join('')}$`).test(`${lines(seen).join('\n')}\n`);
}

function lines(text: string): readonly string[] {
  return withoutClock(text)
    .split('\n')
    .map((line) => line.trimEnd());
}

function withoutClock(text: string): string {
  return text
    .replaceAll(/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z(?:  [a-z]+  )?/g, 'TIME ')
    .replaceAll(/\b\d+(?:\.\d+)? (?:ms|s|min|h)\b/g, 'DURATION');
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
