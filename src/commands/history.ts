/** `history`: the last runs that changed something, or tried to. Read from the disk alone: no daemon, no kernel, no metadata. */
import type { HistoryRun } from '../model/history.ts';
import type { Outcome } from '../model/state.ts';
import { readHistory } from '../system/history-file.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output, Style } from './output.ts';
import { count, printProblems, printSteps } from './print-run.ts';

export interface HistoryOptions {
  readonly json?: boolean;
}

export function runHistory({ options, output }: Environment, { json }: HistoryOptions): ExitCode {
  const { runs, unreadable } = readHistory(createPaths(options.root));
  if (json === true) {
    output.json({ runs });
    return EXIT.ok;
  }
  for (const run of runs) printRun(output, run);
  if (runs.length === 0) output.line('No run has changed anything yet.');
  if (unreadable > 0) {
    const what = `${count(unreadable, 'line')} of the history cannot be read (a power cut?)`;
    output.line(output.style('yellow', `! ${what}, and ${unreadable === 1 ? 'is' : 'are'} left out`));
  }
  return EXIT.ok;
}

const STYLES: Readonly<Record<Outcome, Style>> = {
  'in-sync': 'green',
  applied: 'green',
  degraded: 'yellow',
  failed: 'red',
  'rolled-back': 'red',
};

function printRun(output: Output, run: HistoryRun): void {
  const { at, trigger, outcome, durationMs, steps, undone, omitted, problems } = run;
  const done = steps.length === 0 ? 'nothing was changed' : count(steps.length, 'step');
  const head = [at, trigger, output.style(STYLES[outcome], outcome), `${done} in ${durationMs} ms`];
  output.line(head.join('  '));
  printSteps(output, steps, '  ');
  printSteps(output, undone, '  undone: ');
  if (omitted > 0) output.line(output.style('dim', `  … and ${count(omitted, 'more step')}`));
  printProblems(output, problems, '  ');
}
