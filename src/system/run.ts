/** Other programs: rare, and never on the way from metadata to kernel. The only importer of execa, which is loaded at the first use. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';

/** No program that the agent calls has that much to say. */
const MAX_OUTPUT_CHARACTERS = 1_000_000;

/** What a program gets to see: the system's folders, and messages that do not depend on the machine's language. */
export const CLEAN_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const;

export interface RunOptions {
  /** Then it is killed. */
  readonly timeoutMs: number;
  /** Beyond PATH and LC_ALL; nothing of our own environment is handed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from its standard input; without it there is none. */
  readonly input?: string;
}

export interface RunResult {
  readonly exitCode: number;
  /** Without the last newline. */
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program without a shell. An exit code other than 0 is a result: what it means is known to the caller
 * alone. AgentError `command-failed` when there is none: not started, not ended in time, killed, or too much output.
 */
export async function run(
  command: string,
  args: readonly string[],
  { input, ...options }: RunOptions,
): Promise<RunResult> {
  if (input === undefined) return execute(command, args, 'ignore', options);
  const file = await temporaryFile(input);
  try {
    return await execute(command, args, file.fd, options);
  } finally {
    await file.close();
  }
}

/** Without a name, so that nothing is left behind. No pipe: Node's are sockets, and who opens /dev/stdin by name cannot open those. */
async function temporaryFile(content: string): Promise<FileHandle> {
  const name = path.join(os.tmpdir(), `eni-agent-${randomUUID()}`);
  try {
    const file = await open(name, 'wx+', 0o600);
    await rm(name);
    await file.write(content, 0);
    return file;
  } catch (error) {
    throw new AgentError('file-failed', `writing ${name}: ${errorMessage(error)}`, { cause: error });
  }
}

/** So that `run` needs nothing from the disk any more but the program. */
export function loadRunner() {
  return import('execa');
}

async function execute(
  command: string,
  args: readonly string[],
  stdin: 'ignore' | number,
  { timeoutMs, env = {} }: Omit<RunOptions, 'input'>,
): Promise<RunResult> {
  const { execa } = await loadRunner();
  const subprocess = execa(command, args, {
    env: { ...CLEAN_ENVIRONMENT, ...env },
    extendEnv: false,
    // Its types know the descriptors up to 9; it hands on any.
    stdin: stdin as 'ignore' | 3,
    reject: false,
    // To end it with us execa listens to signals, and when a handler that was there once alone has gone, it kills us with the signal
    // that we are just handling (signal-exit). A stop would cut off the transaction in hand.
    cleanup: false,
    maxBuffer: MAX_OUTPUT_CHARACTERS,
  });
  const deadline = AbortSignal.timeout(timeoutMs);
  deadline.addEventListener('abort', () => {
    subprocess.kill('SIGKILL');
    // A child of the program may hold its output open for as long as it likes; execa's own timeout waits for that.
    subprocess.stdout.destroy();
    subprocess.stderr.destroy();
  });
  const result = await subprocess;
  const { exitCode, stdout, stderr } = result;
  if (exitCode !== undefined && !deadline.aborted && !result.isMaxBuffer) return { exitCode, stdout, stderr };
  const { escapedCommand, originalMessage, signal } = result;
  const cameBack = deadline.aborted ? `not ended after ${timeoutMs} ms` : (originalMessage ?? signal);
  throw new AgentError('command-failed', `running ${escapedCommand}: ${cameBack}`, {
    details: { stdout, stderr },
    cause: result.cause,
  });
}
