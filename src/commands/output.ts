/** What a command prints: people read stdout in colour on a terminal, programs read one JSON document. */
import { styleText } from 'node:util';
import { describeEntry, type StepEntry } from '../plan/describe.ts';

type Style = Parameters<typeof styleText>[0];

export interface Output {
  line(text?: string): void;
  json(document: unknown): void;
  style(style: Style, text: string): string;
}

export function createOutput(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Output {
  // https://no-color.org: set and not empty.
  const hasColour = stream.isTTY && !env['NO_COLOR'];
  // A reader that has seen enough (`| head`) is no reason to leave work half done.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    line: (text = '') => {
      stream.write(`${text}\n`);
    },
    json: (document) => {
      stream.write(`${JSON.stringify(document, null, 2)}\n`);
    },
    style: (style, text) => (hasColour ? styleText(style, text) : text),
  };
}

/** CONTRACT, a deferral of `plan --json`. */
export function deferralEntry({ mac, reason, detail }: Omit<DeferralLine, 'ifname'>): object {
  return { mac, reason, detail };
}

const STEP_STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '~': 'yellow' };

export function printSteps(output: Output, steps: readonly StepEntry[]): void {
  for (const step of steps) {
    const line = describeEntry(step);
    output.line(output.style(STEP_STYLES[line.slice(0, 1)] ?? 'reset', line));
  }
}

export interface DeferralLine {
  readonly mac: string;
  readonly ifname: string | null;
  readonly reason: string;
  readonly detail: string;
}

export function printDeferrals(output: Output, deferrals: readonly DeferralLine[]): void {
  for (const { mac, ifname, reason, detail } of deferrals) {
    output.line(output.style('yellow', `! ${ifname ?? mac} is left as it is: ${reason}: ${detail}`));
  }
}

export function printProblems(output: Output, problems: readonly { readonly message: string }[]): void {
  for (const { message } of problems) output.line(output.style('red', `! ${message}`));
}

/** `1 step`, `2 steps` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
