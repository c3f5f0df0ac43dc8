/** Other programs: rare, and never on the way from metadata to kernel. The only importer of execa, which is loaded at the first use. */
import { AgentError } from '../errors.ts';

/** No program that the agent calls has that much to say. */
const MAX_OUTPUT_CHARACTERS = 1_000_000;

/** What a program gets to see: the system's folders, and messages that do not depend on the machine's language. */
const CLEAN_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const;

export interface RunOptions {
  /** Then it is killed. */
  readonly timeoutMs: number;
  /** Beyond PATH and LC_ALL; nothing of our own environment is handed on. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly exitCode: number;
  /** Without the last newline. */
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program without a shell and without input. An exit code other than 0 is a result: what it means is known to the caller
 * alone. AgentError `command-failed` when there is none: not started, not ended in time, killed, or too much output.
 */
export async function run(
  command: string,
  args: readonly string[],
  { timeoutMs, env = {} }: RunOptions,
): Promise<RunResult> {
  const { execa } = await import('execa');
  const subprocess = execa(command, args, {
    env: { ...CLEAN_ENVIRONMENT, ...env },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
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
