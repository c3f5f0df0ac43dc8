/** What bash makes of the files of network-scripts, in a folder of its own, without a program to run, everything that it does seen. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** ifup sources an ifcfg file; of route and rule files it reads the lines, and hands the words of each to `ip`. */
export type Use = 'source' | 'read';

export interface Seen {
  /** `NAME=value` after sourcing, or the words that `ip` was given, in order. */
  readonly lines: readonly string[];
  /** What else happened: output, another status, a function, an option, a trap, another folder. */
  readonly anomalies: readonly string[];
}

const FILES_PER_SHELL = 500;
/** Of a shell for so many files. */
const TIMEOUT_MS = 120_000;
const MOST_OUTPUT = 256 * 1024 * 1024;
const START = '\u001e';
const END = '\u001d';
const CANARY = 'canary';

/** As ifup-routes and ifup-eth do it (network-scripts 10, `handle_ip_file` and `source`); `ip` is what records its words. */
const SCRIPT = `
eni_use=$1
shift
ip() { printf '%s\\n' "$*"; }
match='^[[:space:]]*(\\#.*)?$'
for eni_file; do
  printf '${START}'
  "$BASH" -n "$eni_file" 2>&1
  if [ "$eni_use" = source ]; then
    ( source "$eni_file" 2>&1
      printf '${END}%s\\n' "$?"
      declare -p; declare -F; trap -p; alias -p; set +o; shopt -p; umask; pwd )
  else
    ( printf '${END}0\\n'
      while read line; do if [[ ! "$line" =~ $match ]]; then ip $line; fi; done < "$eni_file" 2>&1 )
  fi
done
exit 0
`;

/** In the order of the files. Rejects when one of them changed something on the disk. */
export async function evaluate(use: Use, contents: readonly string[]): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (let first = 0; first < contents.length; first += FILES_PER_SHELL) {
    const folder = await mkdtemp(path.join(tmpdir(), 'eni-agent-shell-'));
    try {
      seen.push(...(await evaluateSome(folder, use, contents.slice(first, first + FILES_PER_SHELL))));
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  return seen;
}

async function evaluateSome(folder: string, use: Use, contents: readonly string[]): Promise<readonly Seen[]> {
  const sandbox = path.join(folder, 'sandbox');
  await mkdir(sandbox);
  await writeFile(path.join(sandbox, CANARY), CANARY);
  // The first is what a shell looks like that has read nothing.
  const all = ['', ...contents];
  const files = all.map((_, index) => path.join(folder, String(index)));
  await Promise.all(files.map((file, index) => writeFile(file, all[index] ?? '')));
  const { stdout } = await promisify(execFile)('/bin/bash', ['--norc', '-c', SCRIPT, 'sh', use, ...files], {
    cwd: sandbox,
    env: { PATH: '' },
    timeout: TIMEOUT_MS,
    maxBuffer: MOST_OUTPUT,
    encoding: 'latin1',
  });
  await assertNothingChanged(folder, files.length, sandbox);
  const [, ...reports] = stdout.split(START);
  const [before = '', ...after] = reports;
  if (after.length !== contents.length)
    throw new Error(`${after.length} reports of ${contents.length} files`);
  return after.map((report) => (use === 'source' ? changeOf(before, report) : wordsOf(report)));
}

async function assertNothingChanged(folder: string, files: number, sandbox: string): Promise<void> {
  const there = await readdir(sandbox);
  const canary = await readFile(path.join(sandbox, CANARY), 'utf8');
  const others = (await readdir(folder)).length - files;
  if (there.join() !== CANARY || canary !== CANARY || others !== 1)
    throw new Error(`a file that was sourced changed the folder: ${there.join(' ')}`);
}

/** Bash changes these by itself. */
const VOLATILE =
  /^declare -\S+ (?:BASH\w*|RANDOM|SRANDOM|SECONDS|EPOCH\w+|LINENO|FUNCNAME|PIPESTATUS|_|eni_file)\b/;
const ASSIGNED = /^declare -- ([A-Za-z_]\w*)="(.*)"$/;

function changeOf(before: string, report: string): Seen {
  const [output = '', state] = report.split(END);
  if (state === undefined) return { lines: [], anomalies: [`it ended the shell ${output}`] };
  const known = new Set(stateLines(before.split(END)[1] ?? ''));
  const now = stateLines(state);
  const added = now.filter((line) => !known.has(line));
  const lost = [...known].filter((line) => !now.includes(line));
  const matches = added.map((line) => ASSIGNED.exec(line));
  return {
    lines: matches.flatMap((match) => (match === null ? [] : [`${match[1]}=${match[2]}`])),
    anomalies: [
      ...(output === '' ? [] : [output]),
      ...added.filter((_, index) => matches[index] === null),
      ...lost.map((line) => `lost: ${line}`),
    ],
  };
}

function stateLines(state: string): readonly string[] {
  return state.split('\n').filter((line) => !VOLATILE.test(line));
}

function wordsOf(report: string): Seen {
  const [output = '', text = ''] = report.split(END);
  const [, ...lines] = text.split('\n').slice(0, -1);
  return { lines, anomalies: output === '' ? [] : [output] };
}
