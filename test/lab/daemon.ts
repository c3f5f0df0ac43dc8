/** `eni-agent daemon` as a process that lives in the VM for a while. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import type { Child, Children, Exit } from './children.ts';
import { until } from './until.ts';
import { writeConfig } from './vm-root.ts';

export interface DaemonOptions {
  /** Text of the configuration file, see `writeConfig`; it stays for later runs. */
  readonly config?: string;
  /** After `daemon`. */
  readonly args?: readonly string[];
  /** A `strace -e` expression; threads and children included. */
  readonly strace?: string;
  /** With the options that the package's launcher gives to Node: for little memory, and slower on a machine that runs a dozen of them. */
  readonly asPackaged?: boolean;
  /** A command that runs, in its own process, the command which is given to it. */
  readonly through?: readonly string[];
}

/** A line of the daemon's log; what is no JSON has level `error`. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const STATUS = v.object({
  state: v.string(),
  reason: v.nullable(v.string()),
  daemon: v.boolean(),
  confirmBy: v.nullable(v.string()),
  lastRun: v.nullable(v.object({ trigger: v.string(), outcome: v.string(), steps: v.number() })),
  interfaces: v.array(
    v.object({
      name: v.nullable(v.string()),
      mac: v.string(),
      state: v.string(),
      table: v.nullable(v.number()),
      reason: v.nullable(v.string()),
      addresses: v.array(v.object({ address: v.string(), state: v.string() })),
    }),
  ),
});

export type Status = v.InferOutput<typeof STATUS>;

export function parseStatus(document: unknown): Status {
  return v.parse(STATUS, document);
}

export interface WaitOptions {
  readonly deadlineMs?: number;
}

export interface Daemon {
  readonly pid: number;
  /** So far. */
  log(): readonly LogLine[];
  /** What `eni-agent status --json` prints, asked for at the control socket: a process for each look would weigh on what is looked at. */
  status(): Promise<Status>;
  /** Returns the status that holds. */
  waitForStatus(holds: (status: Status) => boolean, options?: WaitOptions): Promise<Status>;
  waitForLog(holds: (log: readonly LogLine[]) => boolean, options?: WaitOptions): Promise<void>;
  /** Runs so far, also those that changed nothing. */
  runs(): number;
  /** SIGHUP. */
  reload(): void;
  /** SIGTERM, and its end. */
  stop(): Promise<Exit>;
  /** SIGKILL, and its end. */
  kill(): Promise<Exit>;
  /** Open file descriptors. */
  fds(): Promise<number>;
  /** So far; '' without the option. */
  strace(): Promise<string>;
}

export interface DaemonParts {
  readonly namespace: string;
  readonly root: string;
  readonly scratch: string;
  readonly children: Children;
  /** The program's name and its options before the command. */
  readonly program: readonly string[];
  readonly readStatus: () => Promise<unknown>;
}

const READY_DEADLINE_MS = 20_000;

/** Returns when it says that it is ready. */
export async function startDaemon(parts: DaemonParts, options: DaemonOptions): Promise<Daemon> {
  if (options.config !== undefined) await writeConfig(parts.root, options.config);
  const traceFile = path.join(parts.scratch, `strace-${process.hrtime.bigint()}`);
  const { args = [], strace, through = [] } = options;
  // -D: the tracer is a child's child, so that the process that is started here is the daemon.
  const tracer =
    strace === undefined ? [] : ['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-e', strace, '-o', traceFile];
  const child = parts.children.start({
    name: 'the daemon',
    namespace: parts.namespace,
    command: [...through, ...tracer, ...parts.program, '--log-level', 'debug', 'daemon', ...args],
  });
  const daemon = daemonOf(child, parts, strace === undefined ? undefined : traceFile);
  await daemon.waitForLog((log) => log.some(({ msg }) => msg === 'ready'), { deadlineMs: READY_DEADLINE_MS });
  return daemon;
}

function daemonOf(child: Child, { readStatus }: DaemonParts, traceFile: string | undefined): Daemon {
  const log = (): readonly LogLine[] => parseLog(child.stderr);
  const status = async (): Promise<Status> => parseStatus(await readStatus());
  /** What a dead daemon will never do is not waited for. */
  const alive = <T>(value: T): T => {
    if (child.death !== undefined) throw new Error(`waiting for the daemon: ${child.death}`);
    return value;
  };
  return {
    pid: child.pid,
    log,
    status,
    waitForStatus: (holds, options) =>
      until({ what: 'the status is right', read: async () => alive(await status()), holds, ...options }),
    waitForLog: async (holds, options) => {
      await until({ what: 'the log is right', read: () => alive(log()), holds, ...options });
    },
    runs: () => log().filter(({ msg }) => msg === 'run').length,
    reload: () => child.signal('SIGHUP'),
    stop: () => child.end('SIGTERM'),
    kill: () => child.end('SIGKILL'),
    fds: async () => (await readdir(`/proc/${child.pid}/fd`)).length,
    strace: async () => (traceFile === undefined ? '' : readFile(traceFile, 'utf8')),
  };
}

const LINE = v.looseObject({ level: v.string(), msg: v.string() });

/** The last line may be half there. */
function parseLog(text: string): readonly LogLine[] {
  return text.split('\n').slice(0, -1).map(parseLine);
}

function parseLine(line: string): LogLine {
  try {
    return v.parse(LINE, JSON.parse(line));
  } catch {
    return { level: 'error', msg: line };
  }
}
