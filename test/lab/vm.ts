/** The virtual machine of the lab: the namespace and the file tree that the agent works on. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { connectControl } from '../../src/system/control-client.ts';
import type { Actor } from './actor-client.ts';
import type { Child, ChildOptions, Children } from './children.ts';
import { type Daemon, type DaemonOptions, startDaemon } from './daemon.ts';
import { dumpKernel } from './kernel-dump.ts';
import { type Monitor, startMonitor } from './monitor.ts';
import { inNamespace, setUp } from './netns.ts';
import type { ConnectResult } from './protocol.ts';
import { RESPONDER_PORT } from './topology.ts';
import { describeTree, writeConfig } from './vm-root.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
/** What the package starts it by. */
const LAUNCHER = new URL('../../packaging/eni-agent.sh', import.meta.url);
/** Longer than any run of the agent may take. */
const AGENT_DEADLINE_MS = 60_000;
export const CONNECT_DEADLINE_MS = 500;

export interface AgentOptions {
  /** Text of the configuration file, see `writeConfig`; it stays for later runs. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A `strace -e` expression, for example `trace=%process`; the trace of all threads and children comes back (its first execve is node's own). */
  readonly strace?: string;
  /** SIGKILL that long after the start; more than 0. */
  readonly killAfterMs?: number;
  /** SIGTERM when it aborts. */
  readonly terminate?: AbortSignal;
  /** A command that runs the command which is given to it. */
  readonly through?: readonly string[];
}

export interface AgentResult {
  /** null when it was killed. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
  readonly strace: string;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Vm {
  readonly namespace: string;
  /** Of the control plane. */
  readonly instanceId: string;
  /** The primary one, of its primary NIC. */
  readonly address: string;
  /** The folder that the agent gets as --root. */
  readonly root: string;
  /** `node dist/cli.js --root ROOT args…` in the VM. Never throws for an exit code. */
  agent(args: readonly string[], options?: AgentOptions): Promise<AgentResult>;
  /** `node dist/cli.js --root ROOT --log-level debug daemon`, ready; it ends with the lab at the latest. */
  startDaemon(options?: DaemonOptions): Promise<Daemon>;
  /** A program that stays; it ends with the lab at the latest, and one that died by itself fails the test. */
  start(options: Omit<ChildOptions, 'namespace'>): Child;
  /** What the kernel announces from now on. */
  monitor(): Promise<Monitor>;
  /** Two links exchange their names, as they are (a link that is up can be renamed from kernel 6.2 on). */
  swapNames(one: string, other: string): Promise<void>;
  /** Any command in the VM's network; throws when it fails. */
  run(command: string, args?: readonly string[]): Promise<CommandResult>;
  /** The same, for a command that may fail. */
  tryRun(command: string, args?: readonly string[]): Promise<CommandResult>;
  writeConfig(text: string): Promise<void>;
  /** Absolute path of a file of the VM. */
  path(file: string): string;
  readFile(file: string): Promise<string>;
  /** A service that answers on one address of the VM alone, by its name. */
  serve(options: { host: string; address: string; port: number }): Promise<void>;
  /** TCP from the VM, unbound without `source`. */
  connectFrom(options: { to: string; source?: string; port?: number }): Promise<ConnectResult>;
  /** Kernel state and file tree as text, for comparisons; `identity` adds inode and mtime of the files. */
  snapshot(options?: { identity?: boolean }): Promise<string>;
}

export interface VmParts {
  readonly namespace: string;
  readonly instanceId: string;
  readonly address: string;
  readonly root: string;
  readonly scratch: string;
  /** Of the VM; started when it is first asked for. Whoever may have the address `to` answers then. */
  readonly actor: (to?: string) => Promise<Actor>;
  readonly children: Children;
}

export function createVm(parts: VmParts): Vm {
  const { namespace, instanceId, address, root, actor, children } = parts;
  const readStatus = async (): Promise<unknown> =>
    (await connectControl(path.join(root, 'run/eni-agent/control.sock')))?.status();
  const inside = async (command: readonly string[], reject: boolean): Promise<CommandResult> => {
    const [file, ...args] = inNamespace(namespace, command);
    const { exitCode, stdout, stderr } = await execa(file, args, { reject });
    return { exitCode: exitCode ?? -1, stdout, stderr };
  };
  return {
    namespace,
    instanceId,
    address,
    root,
    agent: async (args, options = {}) => {
      if (options.config !== undefined) await writeConfig(root, options.config);
      return runAgent(parts, args, options);
    },
    startDaemon: async (options = {}) => {
      const nodeOptions = options.asPackaged === true ? await daemonOptions() : [];
      const program = [process.execPath, ...nodeOptions, CLI, '--root', root];
      return startDaemon({ ...parts, program, readStatus }, options);
    },
    start: (options) => children.start({ ...options, namespace }),
    monitor: () => startMonitor(children, namespace),
    swapNames: async (one, other) => {
      const steps = [`${one} name swapped`, `${other} name ${one}`, `swapped name ${other}`];
      await setUp(namespace, { ip: steps.map((step) => `link set ${step}`) });
    },
    run: (command, args = []) => inside([command, ...args], true),
    tryRun: (command, args = []) => inside([command, ...args], false),
    writeConfig: (text) => writeConfig(root, text),
    path: (file) => path.join(root, file),
    readFile: (file) => readFile(path.join(root, file), 'utf8'),
    serve: async (options) => {
      await (await actor()).call('respond', options);
    },
    connectFrom: async (options) =>
      (await actor(options.to)).call('connect', {
        port: RESPONDER_PORT,
        timeoutMs: CONNECT_DEADLINE_MS,
        ...options,
      }),
    snapshot: async ({ identity = false } = {}) => {
      const [kernel, files] = await Promise.all([dumpKernel(namespace), describeTree(root, identity)]);
      return `${kernel}## files\n${files.join('\n')}\n`;
    },
  };
}

/** Of Node. */
async function daemonOptions(): Promise<readonly string[]> {
  const [, options] = /options='([^']+)'/.exec(await readFile(LAUNCHER, 'utf8')) ?? [];
  if (options === undefined)
    throw new Error(`reading ${LAUNCHER.pathname}: it has no options for the daemon`);
  return options.split(' ');
}

async function runAgent(
  { namespace, root, scratch }: Pick<VmParts, 'namespace' | 'root' | 'scratch'>,
  args: readonly string[],
  { env, strace, killAfterMs, terminate, through = [] }: AgentOptions,
): Promise<AgentResult> {
  const traceFile = path.join(scratch, `strace-${process.hrtime.bigint()}`);
  const tracer = strace === undefined ? [] : ['strace', '-f', '-qq', '-e', strace, '-o', traceFile];
  const program = [process.execPath, CLI, '--root', root, ...args];
  const [file, ...rest] = inNamespace(namespace, [...through, ...tracer, ...program]);
  const result = await execa(file, rest, {
    reject: false,
    extendEnv: false,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdin: 'ignore',
    timeout: killAfterMs ?? AGENT_DEADLINE_MS,
    killSignal: terminate === undefined ? 'SIGKILL' : 'SIGTERM',
    ...(terminate === undefined ? {} : { cancelSignal: terminate }),
  });
  if (result.timedOut && killAfterMs === undefined) {
    throw new Error(`running the agent: no end within ${AGENT_DEADLINE_MS} ms`, { cause: result });
  }
  return {
    exitCode: result.exitCode ?? null,
    stdout: result.stdout,
    stderr: result.stderr,
    durationMs: result.durationMs,
    strace: strace === undefined ? '' : await readFile(traceFile, 'utf8'),
  };
}
