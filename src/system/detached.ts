/**
 * A process of our own making that outlives us, our terminal, our session and our service. Under systemd it has a scope of
 * its own (a service that is restarted takes all of its own processes with it); elsewhere a session of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { AgentError } from '../errors.ts';
import type { Paths } from './paths.ts';
import { CLEAN_ENVIRONMENT } from './run.ts';

/** To start, on a machine that is busy. */
const READY_TIMEOUT_MS = 15_000;
const READY = 'ready';

export interface DetachedOptions {
  /** Name of the scope. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly paths: Pick<Paths, 'below'>;
  readonly systemdRun?: string;
}

/**
 * Resolves when it has said `ready` on its stdout. Its stdin ends when we do. AgentError `command-failed` when it
 * ended, or could not be started, before that.
 */
export async function startDetached({
  name,
  command,
  paths,
  systemdRun = 'systemd-run',
}: DetachedOptions): Promise<void> {
  // systemd-run(1) puts itself into the scope and then becomes the command: the pipes stay those of our child.
  const scope = [systemdRun, '--scope', `--unit=${name}`, '--'] as const;
  const [file, ...args] = (await isBootedBySystemd(paths)) ? ([...scope, ...command] as const) : command;
  const child = spawn(file, args, {
    cwd: '/',
    env: CLEAN_ENVIRONMENT,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await untilReady(child, name);
  child.stdout.destroy();
  child.stderr.destroy();
  (child.stdin as Socket).unref();
  child.unref();
}

/** To say that one is ready, to who started one so. */
export function sayReady(): void {
  // Who started us reads nothing after this line, and may be gone.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  process.stdout.write(`${READY}\n`);
}

/** sd_booted(3) */
export async function isBootedBySystemd({ below }: Pick<Paths, 'below'>): Promise<boolean> {
  return access(below('/run/systemd/system')).then(
    () => true,
    () => false,
  );
}

async function untilReady(child: ChildProcess, name: string): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const problem = await new Promise<string | null>((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve(`not ready after ${READY_TIMEOUT_MS / 1_000} s`);
    }, READY_TIMEOUT_MS);
    const settle = (outcome: string | null): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    child.stdout?.setEncoding('utf8').once('data', () => settle(null));
    child.once('error', ({ message }) => settle(message));
    child.once('close', (code, signal) =>
      settle(said.trim() || `ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  if (problem === null) return;
  throw new AgentError('command-failed', `starting ${name}: ${problem}; nothing was changed`);
}
