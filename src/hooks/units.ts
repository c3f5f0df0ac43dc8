/**
 * A hook is a transient unit of systemd: with neither our capability nor our sandbox, and no child of ours. It waits for the one before it:
 * a start job of Type=oneshot ends with its program, and After= waits for jobs, whatever becomes of them. So the order, the timeout and the
 * end are systemd's to keep, and nobody waits here.
 */
import { readdir } from 'node:fs/promises';
import { AgentError } from '../errors.ts';
import type { NetworkEvent } from '../model/events.ts';
import { hasCode } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { run } from '../system/run.ts';
import { describeHook, environmentOf } from './environment.ts';

export interface Hook {
  /** Path below the root. */
  readonly executable: string;
  readonly event: NetworkEvent;
  readonly timeoutMs: number;
}

/** To be told, by a systemd that is busy; the hook itself is not waited for. */
const HANDOVER_TIMEOUT_MS = 5_000;
/** --collect; before, a hook that failed would stay loaded for ever. */
const OLDEST_SYSTEMD = 236;
const FIRST_WITH_LOG_LIMITS = 240;
/** From SIGTERM to SIGKILL. */
const STOP_TIMEOUT = '5s';
/**
 * Lines in so many seconds. journald lets a few times as many through where its disk has room. It asks for the limit when it reads: of a
 * unit that is gone by then it goes by its own, so that this is for the hook that does not end.
 */
const LOG_LIMITS = ['LogRateLimitIntervalSec=30s', 'LogRateLimitBurst=200'];
const PREFIX = 'eni-agent-hook-';
const SUFFIX = '.service';
/** Of nanoseconds since the boot, so that the order of names is that of the hooks. */
const DIGITS = 19;

/** Of those that wait or run, in their order: systemd has a file of each transient unit for as long as it knows it (systemd.unit(5)). */
export async function loadedHooks({ below }: Pick<Paths, 'below'>): Promise<readonly string[]> {
  try {
    const names = await readdir(below('/run/systemd/transient'));
    return names.filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX)).toSorted();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** AgentError `command-failed` where there is none, or one that is too old. */
export async function systemdVersion(): Promise<number> {
  const { stdout } = await run('systemd-run', ['--version'], { timeoutMs: HANDOVER_TIMEOUT_MS });
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1]);
  if (version >= OLDEST_SYSTEMD) return version;
  throw new AgentError(
    'command-failed',
    `asking systemd-run for its version: ${stdout.split('\n', 1)[0]}; hooks need systemd ${OLDEST_SYSTEMD} or later`,
  );
}

/** Resolves when systemd has it. AgentError `command-failed`. */
export async function startHook(hook: Hook, version: number, before: string | undefined): Promise<void> {
  const { exitCode, stderr } = await run('systemd-run', argumentsOf(hook, version, before), {
    timeoutMs: HANDOVER_TIMEOUT_MS,
  });
  if (exitCode === 0) return;
  throw new AgentError('command-failed', `handing ${hook.executable} over to systemd: ${stderr}`);
}

function argumentsOf(
  { executable, event, timeoutMs }: Hook,
  version: number,
  before: string | undefined,
): readonly string[] {
  const unit = `${PREFIX}${String(process.hrtime.bigint()).padStart(DIGITS, '0')}${SUFFIX}`;
  const properties = [
    'Type=oneshot',
    // RuntimeMaxSec= does nothing for a oneshot: all of its life is its start.
    `TimeoutStartSec=${timeoutMs}ms`,
    `TimeoutStopSec=${STOP_TIMEOUT}`,
    'CapabilityBoundingSet=~CAP_NET_ADMIN',
    'NoNewPrivileges=yes',
    // The next run comes first.
    'Nice=10',
    ...(version >= FIRST_WITH_LOG_LIMITS ? LOG_LIMITS : []),
    ...(before === undefined ? [] : [`After=${before}`]),
  ];
  return [
    '--quiet',
    '--no-ask-password',
    '--no-block',
    '--collect',
    `--unit=${unit}`,
    `--description=${describeHook(executable, event)}`,
    ...properties.map((property) => `--property=${property}`),
    ...Object.entries(environmentOf(event)).map(([name, value]) => `--setenv=${name}=${value}`),
    '--',
    executable,
  ];
}
