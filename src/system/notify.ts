/**
 * sd_notify(3): tells systemd how the daemon is. Node has no datagram Unix socket, so systemd-notify(1) says it. Its option
 * --reloading is newer than CentOS 9's version: the states are passed as variables. The unit needs NotifyAccess=all.
 */
import { errorMessage } from '../errors.ts';
import { run } from './run.ts';

/** systemd-notify waits up to 5 s until its message was read; ended before, the message belongs to no unit (systemd issue 2737). */
const NOTIFY_TIMEOUT_MS = 10_000;

/** sd_watchdog_enabled(3) recommends half of the time; a third forgives a ping that came late. */
const PINGS_PER_TIMEOUT = 3;

/** Returns at once; the messages arrive in the order of the calls. Without a service manager nothing happens. */
export interface Notifier {
  /** Started, or reloaded. `status` is one line for `systemctl status`. */
  ready(status: string): void;
  reloading(): void;
  /** Resolves when systemd has been told: what ends before that takes the message with it. */
  stopping(): Promise<void>;
  /** Nothing when it is what is shown already: a run that changes nothing starts no process. */
  status(text: string): void;
  /** Pings, now and as often as the service manager wants. Returns what ends it. */
  startWatchdog(): () => void;
}

export interface NotifyLog {
  debug(fields: object, message: string): void;
}

/** `env` is that of the process: NOTIFY_SOCKET, WATCHDOG_USEC. A failure is no more than a line for debugging. */
export function createNotifier(env: NodeJS.ProcessEnv, log: NotifyLog): Notifier {
  const send = createSender(env['NOTIFY_SOCKET'], log);
  const ping = (): void => void send(['WATCHDOG=1']);
  const pingIntervalMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000 / PINGS_PER_TIMEOUT;
  let shown = '';
  return {
    ready: (status) => {
      shown = statusLine(status);
      void send(['READY=1', `MAINPID=${process.pid}`, shown]);
    },
    reloading: () => void send(['RELOADING=1']),
    stopping: () => send(['STOPPING=1']),
    status: (text) => {
      if (statusLine(text) === shown) return;
      shown = statusLine(text);
      void send([shown]);
    },
    startWatchdog: () => {
      if (!(pingIntervalMs > 0)) return () => undefined;
      ping();
      const timer = setInterval(ping, pingIntervalMs);
      return () => clearInterval(timer);
    },
  };
}

/** One process at a time, so that no message overtakes another. */
function createSender(
  socket: string | undefined,
  log: NotifyLog,
): (variables: readonly string[]) => Promise<void> {
  if (socket === undefined || socket === '') return () => Promise.resolve();
  let last = Promise.resolve();
  return (variables) => {
    last = last.then(() => notify(socket, variables, log));
    return last;
  };
}

async function notify(socket: string, variables: readonly string[], log: NotifyLog): Promise<void> {
  try {
    const options = { timeoutMs: NOTIFY_TIMEOUT_MS, env: { NOTIFY_SOCKET: socket } };
    const { exitCode, stderr } = await run('systemd-notify', variables, options);
    if (exitCode !== 0) log.debug({ variables, exitCode, stderr }, 'systemd was not told');
  } catch (error) {
    log.debug({ variables, problem: errorMessage(error) }, 'systemd was not told');
  }
}

/** A second line would be a variable of its own. */
function statusLine(text: string): string {
  return `STATUS=${text.replaceAll(/\s+/g, ' ').trim()}`;
}
