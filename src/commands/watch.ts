/** `status --watch`: the daemon's status, again whenever it changes. On a terminal as a picture that stays up to date, else in lines. */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, errorMessage } from '../errors.ts';
import { type ControlClient, connectControl } from '../system/control-client.ts';
import { readHistory } from '../system/history-file.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { LiveScreen } from './live-screen.ts';
import type { Output } from './output.ts';
import { printReport } from './print-report.ts';
import { parseReport, type Report } from './report.ts';
import { changesBetween, describeRun, FOUND, ofTheVm } from './watch-changes.ts';
import type { TimedChange } from './watch-screen.ts';

/** A daemon that is gone may be one that restarts. */
const RETRY_MS = 1_000;
/** Of the runs before the watch began. */
const EARLIER_RUNS = 5;

export async function runWatch(environment: Environment, asJson: boolean): Promise<ExitCode> {
  const { control } = createPaths(environment.options.root);
  const daemon = await connectControl(control);
  if (daemon === null) {
    throw new AgentError(
      'usage',
      'watching the status: no daemon is running; without --watch it is shown once',
    );
  }
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  process.stdout.once('error', stop);
  if (asJson) {
    await daemon.watchStatus(
      (answer) => environment.output.line(JSON.stringify(parseReport(answer))),
      enough.signal,
    );
    return EXIT.ok;
  }
  const source: Source = { path: control, daemon, signal: enough.signal };
  const isScreen = process.stdout.isTTY && process.env['TERM'] !== 'dumb';
  await (isScreen ? showScreen(environment, source, stop) : printLines(environment.output, source));
  return EXIT.ok;
}

interface Source {
  readonly path: string;
  /** For the first connection. */
  readonly daemon: ControlClient;
  readonly signal: AbortSignal;
}

interface Listener {
  /** `isFound`: the daemon was gone, and is there again. */
  readonly onReport: (report: Report, isFound: boolean) => void;
  /** The daemon is gone, gives no answer, or cannot be understood: why. Again when it is for another reason. */
  readonly onLost: (problem: string) => void;
}

/** Until the signal; a daemon that goes away is waited for. */
async function follow({ path, daemon, signal }: Source, { onReport, onLost }: Listener): Promise<void> {
  let lost: string | null = null;
  const lose = (problem: string): void => {
    if (problem !== lost && !signal.aborted) onLost(problem);
    lost = problem;
  };
  for (let next: ControlClient | null = daemon; !signal.aborted; next = null) {
    try {
      const client = next ?? (await connectControl(path));
      await client?.watchStatus((answer) => {
        onReport(parseReport(answer), lost !== null);
        lost = null;
      }, signal);
      lose('the daemon is not running');
    } catch (error) {
      lose(errorMessage(error));
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

/** The whole report first, then a line for each change. */
async function printLines(output: Output, source: Source): Promise<void> {
  let before: Report | undefined;
  const print = (text: string): void => output.line(`${new Date().toISOString()}  ${text}`);
  await follow(source, {
    onReport: (report, isFound) => {
      if (isFound) print(FOUND);
      if (before === undefined) printReport(output, report);
      else for (const { text } of changesBetween(before, report)) print(text);
      before = report;
    },
    onLost: print,
  });
}

async function showScreen(environment: Environment, source: Source, quit: () => void): Promise<void> {
  const paint = environment.output.style.bind(environment.output);
  const screen = new LiveScreen({ paint, host: hostname(), earlier: earlierRuns(environment), quit });
  try {
    await follow(source, screen);
  } finally {
    screen.close();
  }
}

/** What `history` has of the time before. */
function earlierRuns({ options }: Environment): readonly TimedChange[] {
  return readHistory(createPaths(options.root))
    .runs.slice(-EARLIER_RUNS)
    .map((run) => ({ ...ofTheVm(describeRun({ ...run, steps: run.steps.length })), at: Date.parse(run.at) }));
}
