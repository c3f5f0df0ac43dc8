/**
 * Everything that says "look again": the kernel, the clock, the operator's files, udev, SIGHUP. It carries no data. The only
 * importer of chokidar, which sees files and is deaf to links.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { errorMessage } from '../errors.ts';
import { type Monitor, openMonitor } from '../kernel/monitor.ts';
import type { Log } from '../log.ts';
import { isOriginal, SCRIPT_KINDS } from '../model/files.ts';
import type { Trigger } from '../model/state.ts';
import type { Paths } from '../system/paths.ts';

export interface WakeOptions {
  readonly paths: Pick<Paths, 'below' | 'config' | 'networkScripts' | 'templates' | 'wake'>;
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
  close(): Promise<void>;
}

/** CONTRACT, daemon.resyncInterval: jitter only shortens it, so that VMs made together do not ask together. */
const LARGEST_JITTER = 0.2;
/** An editor writes in several steps; and for 50 ms after a change of a file chokidar says nothing of the next. */
const QUIET_MS = 60;
const TEMPLATE_SUFFIX = '.eta';
const SCRIPT = new RegExp(`^(${SCRIPT_KINDS.join('|')})-`);

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
    ready: Promise.all([monitor.ready, files.ready]).then(() => undefined),
    monitor,
    close: async () => {
      process.off('SIGHUP', onHangup);
      stopTimer();
      monitor.close();
      await files.close();
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

interface WatchedFiles {
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/** `/etc` and `/run` are watched for what may appear in them, and nothing else below them is. */
function watchFiles({ paths, isOwnFile, onWake, log }: WakeOptions): WatchedFiles {
  const config = debounce(() => onWake('config'));
  const scripts = debounce(() => onWake('wake'));
  const wake = ringTwice(paths.wake, () => onWake('wake'));
  const watcher = watch([paths.below('/etc'), paths.below('/run')], {
    ignoreInitial: true,
    alwaysStat: true,
    // A rename over the file is a change of it.
    atomic: QUIET_MS,
    ignored: (file) => !isOfInterest(file, paths),
  });
  watcher.on('all', (event, file, stats) => {
    if (event === 'addDir' || event === 'unlinkDir') return;
    if (path.dirname(file) === paths.networkScripts) {
      if (!isOwnFile(file)) scripts.ring();
    } else if (file !== paths.wake) config.ring();
    else if (event !== 'unlink') wake.ring(stats?.mtimeMs);
  });
  watcher.on('error', (problem) => {
    log.warn({ problem: errorMessage(problem) }, 'files cannot be watched, changes are taken at SIGHUP');
  });
  return {
    ready: readiness(watcher),
    close: async () => {
      config.stop();
      scripts.stop();
      wake.stop();
      await watcher.close();
    },
  };
}

interface Bell {
  ring(mtimeMs?: number): void;
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

/** At once, and once more if the file was touched again before anything would have been said of it. */
function ringTwice(file: string, ring: () => void): Bell {
  let known: number | undefined;
  let isStopped = false;
  const later = debounce(() => {
    void stat(file).then(
      ({ mtimeMs }) => !isStopped && mtimeMs !== known && ring(),
      () => undefined,
    );
  });
  return {
    ring: (mtimeMs) => {
      known = mtimeMs;
      later.ring();
      ring();
    },
    stop: () => {
      isStopped = true;
      later.stop();
    },
  };
}

function readiness(watcher: FSWatcher): Promise<void> {
  return new Promise((resolve) => {
    watcher.once('ready', resolve);
    watcher.once('error', () => resolve());
  });
}

/** The files, and the folders that lead to them. */
function isOfInterest(file: string, paths: WakeOptions['paths']): boolean {
  const { config, networkScripts, templates, wake } = paths;
  const folder = path.dirname(file);
  if (folder === templates) return file.endsWith(TEMPLATE_SUFFIX);
  if (folder === networkScripts) return SCRIPT.test(path.basename(file)) && !isOriginal(file);
  return [config, networkScripts, templates, wake].some(
    (target) => target === file || target.startsWith(`${file}${path.sep}`),
  );
}
