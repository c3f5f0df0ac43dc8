/**
 * Everything that says "look again": the kernel, the clock, the operator's files, udev, SIGHUP. It carries no data.
 */
import path from 'node:path';
import { errorMessage } from '../errors.ts';
import { type Monitor, openMonitor } from '../kernel/monitor.ts';
import type { Log } from '../log.ts';
import { CONNECTIONS, isInterfaceFile, isOriginal, NETWORK_SCRIPTS } from '../model/files.ts';
import type { Trigger } from '../model/state.ts';
import { type WatchedFolders, watchFolders } from '../system/folders.ts';
import type { Paths } from '../system/paths.ts';

export interface WakeOptions {
  readonly paths: Pick<Paths, 'below' | 'config' | 'connections' | 'networkScripts' | 'templates' | 'wake'>;
  /** Milliseconds; asked each time, since the configuration may change. */
  readonly resyncInterval: () => number;
  /** Whether a socket of ours made a change in the kernel. */
  readonly isOwnPort: (port: number) => boolean;
  /** Whether a file is as we wrote or removed it. */
  readonly isOwnFile: (file: string) => boolean;
  readonly onWake: (trigger: Trigger) => void;
  readonly log: Log;
}

export interface Wake {
  /** Resolves when everything is watched: a look that begins later misses nothing. */
  readonly ready: Promise<void>;
  /** To be told of our own changes (`expecting`). */
  readonly monitor: Pick<Monitor, 'expect' | 'refused'>;
  /** Nothing rings any more, and nothing keeps the event loop alive. */
  close(): void;
}

/** CONTRACT, daemon.resyncInterval: jitter only shortens it, so that VMs made together do not ask together. */
const LARGEST_JITTER = 0.2;
/** An editor writes in several steps. */
const QUIET_MS = 60;
const TEMPLATE_SUFFIX = '.eta';

export function startWake(options: WakeOptions): Wake {
  const { onWake } = options;
  const monitor = openMonitor({
    isOwnPort: options.isOwnPort,
    onEvent: ({ kind }) => onWake(kind === 'link' ? 'link' : 'kernel'),
  });
  const stopTimer = startTimer(options);
  const files = watchFiles(options);
  const onHangup = (): void => onWake('config');
  process.on('SIGHUP', onHangup);
  return {
    ready: monitor.ready,
    monitor,
    close: () => {
      process.off('SIGHUP', onHangup);
      stopTimer();
      monitor.close();
      files.close();
    },
  };
}

/** @param random 0 to 1 */
export function withJitter(interval: number, random: number): number {
  return interval * (1 - LARGEST_JITTER * random);
}

function startTimer({ resyncInterval, onWake }: WakeOptions): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    timer = setTimeout(ring, withJitter(resyncInterval(), Math.random()));
  };
  const ring = (): void => {
    wait();
    onWake('timer');
  };
  wait();
  return () => clearTimeout(timer);
}

/** `/etc` and `/run` are watched for what may appear in them. */
function watchFiles({ paths, isOwnFile, onWake, log }: WakeOptions): WatchedFolders {
  const { below, config, connections, networkScripts, templates, wake } = paths;
  const configBell = debounce(() => onWake('config'));
  const scriptBell = debounce(() => {
    const files = [...scripts];
    scripts.clear();
    // Asked late: a file of ours is said to be so after it has its name.
    if (!files.every(isOwnFile)) onWake('wake');
  });
  const scripts = new Set<string>();
  const onChange = (file: string): void => {
    if (isOrLeadsTo(file, wake)) onWake('wake');
    if (isOrLeadsTo(file, config) || isOrLeadsTo(file, templates) || isTemplate(file, templates))
      configBell.ring();
    if (isOrLeadsTo(file, networkScripts) || isOrLeadsTo(file, connections) || isOfInterface(file, paths)) {
      scripts.add(file);
      scriptBell.ring();
    }
  };
  const onProblem = (problem: unknown): void =>
    log.warn({ problem: errorMessage(problem) }, 'files cannot be watched, changes are taken at SIGHUP');
  const watched = [
    watchFolders({
      top: below('/etc'),
      folders: [path.dirname(config), templates, networkScripts, connections],
      onChange,
      onProblem,
    }),
    watchFolders({ top: below('/run'), folders: [path.dirname(wake)], onChange, onProblem }),
  ];
  return {
    close: () => {
      for (const each of watched) each.close();
      configBell.stop();
      scriptBell.stop();
    },
  };
}

interface Bell {
  ring(): void;
  stop(): void;
}

function debounce(ring: () => void): Bell {
  let quiet: NodeJS.Timeout | undefined;
  return {
    ring: () => {
      clearTimeout(quiet);
      quiet = setTimeout(ring, QUIET_MS);
    },
    stop: () => clearTimeout(quiet),
  };
}

function isOrLeadsTo(file: string, target: string): boolean {
  return target === file || target.startsWith(`${file}${path.sep}`);
}

function isTemplate(file: string, templates: string): boolean {
  return path.dirname(file) === templates && file.endsWith(TEMPLATE_SUFFIX);
}

function isOfInterface(file: string, { connections, networkScripts }: WakeOptions['paths']): boolean {
  const folder = { [networkScripts]: NETWORK_SCRIPTS, [connections]: CONNECTIONS }[path.dirname(file)];
  const contractPath = `${folder}/${path.basename(file)}`;
  return isInterfaceFile(contractPath) && !isOriginal(contractPath);
}
