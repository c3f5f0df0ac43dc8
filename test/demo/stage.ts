/** How the demo speaks: a heading for each stage, what was seen, and how long it took. */
import { createOutput, type Output } from '../../src/commands/output.ts';
import type { Matrix } from '../lab/lab.ts';

export interface Narrator {
  /** `1  An ENI is attached` and a sentence about it. */
  stage(title: string, text: string): void;
  /** A sentence. */
  say(text: string): void;
  /** What was measured: `✓ 12.3 ms  link event → last kernel change`. */
  measured(ms: number, what: string): void;
  /** What holds, or the end of the demo. */
  check(holds: boolean, what: string): void;
  /** What a command prints; of more than `most` lines the first ones. */
  shown(command: string, lines: readonly string[], most?: number): void;
  /** Clients by addresses. */
  matrix(matrix: Matrix): void;
}

const LINES = 12;

export function createNarrator(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Narrator {
  const output = createOutput(stream, env);
  let stages = 0;
  return {
    stage: (title, text) => {
      stages += 1;
      output.line();
      output.line(output.style('bold', `${stages}  ${title}`));
      output.line(`   ${text}`);
    },
    say: (text) => output.line(`   ${text}`),
    measured: (ms, what) => {
      const time = ms < 1_000 ? `${ms.toFixed(1)} ms` : `${(ms / 1_000).toFixed(1)} s`;
      output.line(`   ${output.style('green', '✓')} ${output.style('bold', time.padStart(8))}  ${what}`);
    },
    check: (holds, what) => {
      if (!holds) throw new Error(`not so: ${what}`);
      output.line(`   ${output.style('green', '✓')} ${what}`);
    },
    shown: (command, lines, most = LINES) => {
      output.line(output.style('dim', `   $ ${command}`));
      for (const line of lines.slice(0, most)) output.line(`     ${line.replaceAll('\t', ' ')}`);
      if (lines.length > most) output.line(output.style('dim', `     … ${lines.length - most} more`));
    },
    matrix: (matrix) => printMatrix(output, matrix),
  };
}

function printMatrix(output: Output, matrix: Matrix): void {
  const addresses = Object.keys(Object.values(matrix)[0] ?? {});
  const header = addresses.map((address) => address.padEnd(10)).join('');
  output.line(output.style('dim', `     ${'TCP from'.padEnd(16)}${header.trimEnd()}`));
  for (const [client, row] of Object.entries(matrix)) {
    const cells = addresses.map((address) => cell(output, row[address] === 'ok'));
    output.line(`     ${client.padEnd(16)}${cells.join(' '.repeat(9))}`);
  }
}

function cell(output: Output, isOk: boolean): string {
  return isOk ? output.style('green', '✓') : output.style('red', '✗');
}
