/** `daemon`: keeps the VM in its desired state until it is told to stop. */
import { once } from 'node:events';
import { errorMessage } from '../errors.ts';
import { expecting } from '../kernel/monitor.ts';
import { openRtnetlink, type Rtnetlink } from '../kernel/socket.ts';
import type { Trigger } from '../model/state.ts';
import { releaseSelected } from '../reconcile/release.ts';
import { createService, type Service } from '../reconcile/service.ts';
import { startWake, type Wake } from '../reconcile/wake.ts';
import { type ControlHandlers, startControlServer } from '../system/control-socket.ts';
import { createNotifier, type Notifier } from '../system/notify.ts';
import { createOwnFiles, type OwnFiles } from '../system/own-files.ts';
import { type Context, createContext, createReconciler, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { toDocument, toReleased } from './outcome-document.ts';
import { reconfigureWith } from './reconfigure.ts';
import { makeReport } from './report.ts';

interface Daemon {
  readonly environment: Environment;
  readonly rtnetlink: Rtnetlink;
  readonly service: Service;
  readonly ownFiles: OwnFiles;
  readonly notifier: Notifier;
  readonly current: Current;
}

/** The last valid configuration. */
interface Current {
  context: Context;
}

const STATUS_LINE = 'keeping the network as the cloud assigned it';

export async function runDaemon(environment: Environment): Promise<ExitCode> {
  const context = await createContext(environment, 'daemon');
  const rtnetlink = openRtnetlink();
  const current: Current = { context };
  const bell = createBell();
  const ownFiles = createOwnFiles();
  const wake = startWake({
    paths: context.paths,
    resyncInterval: () => current.context.config.daemon.resyncIntervalMs,
    isOwnPort: (port) => port === rtnetlink.port,
    isOwnFile: ownFiles.isAsLeft,
    onWake: bell.ring,
    log: context.log,
  });
  try {
    const listening = expecting(rtnetlink, wake.monitor);
    await serve(
      {
        environment,
        current,
        ownFiles,
        rtnetlink: listening,
        notifier: createNotifier(process.env, context.log),
      },
      wake,
      bell,
    );
  } finally {
    await wake.close();
    rtnetlink.close();
  }
  // oxlint-disable-next-line unicorn/no-process-exit -- chokidar's throttles outlive its close() by up to a second
  return process.exit(EXIT.ok);
}

interface Bell {
  readonly ring: (trigger: Trigger) => void;
  /** What rang before somebody listened is not lost: the first run looks at everything. */
  listen(onWake: (trigger: Trigger) => void): void;
}

function createBell(): Bell {
  let listener: ((trigger: Trigger) => void) | undefined;
  return {
    ring: (trigger) => listener?.(trigger),
    listen: (onWake) => {
      listener = onWake;
    },
  };
}

async function serve(parts: Omit<Daemon, 'service'>, wake: Wake, bell: Bell): Promise<void> {
  const { current, environment, rtnetlink, ownFiles, notifier } = parts;
  const { log, paths } = current.context;
  const watchers = new Set<() => void>();
  const reconciler = await createReconciler(environment, current.context, rtnetlink, ownFiles.changed);
  const onRun = (): void => {
    for (const notify of watchers) notify();
  };
  const service = createService({ reconciler, log, onRun });
  const stopped = nextStopSignal();
  const control = await startControlServer({
    path: paths.control,
    handlers: handlersOf(service, watchers),
    log,
  });
  const daemon: Daemon = { ...parts, service };
  await wake.ready;
  bell.listen((trigger) => {
    if (trigger === 'config') void reload(daemon);
    else service.ring(trigger);
  });
  service.ring('timer');
  const stopWatchdog = notifier.startWatchdog();
  notifier.ready(STATUS_LINE);
  log.info({ pid: process.pid }, 'ready');
  log.info({ signal: await stopped }, 'stopping');
  const told = notifier.stopping();
  bell.listen(() => {});
  stopWatchdog();
  await service.stop();
  await control.close();
  await told;
}

/** A second one ends the process at once, as the kernel would. */
function nextStopSignal(): Promise<string> {
  const names = ['SIGTERM', 'SIGINT'] as const;
  return Promise.race(names.map((name) => once(process, name).then(() => name)));
}

/** Invalid configuration changes nothing but the log. */
async function reload(daemon: Daemon): Promise<void> {
  const { environment, rtnetlink, ownFiles, service, notifier, current } = daemon;
  const { log } = current.context;
  notifier.reloading();
  try {
    const context = { ...(await createContext(environment, 'daemon')), log };
    await service.replace(await createReconciler(environment, context, rtnetlink, ownFiles.changed));
    current.context = context;
    log.info({}, 'configuration loaded');
    service.ring('config');
  } catch (error) {
    log.error({ problem: errorMessage(error) }, 'configuration refused, the last valid one stays');
  }
  notifier.ready(STATUS_LINE);
}

function handlersOf(service: Service, watchers: Set<() => void>): ControlHandlers {
  const status = (): Promise<unknown> => makeReport(service.looker(), service.health());
  return {
    status,
    reconfigure: ({ selection, all }) =>
      service.exclusive(async (reconciler) => toDocument(await reconfigureWith(reconciler, selection, all))),
    release: ({ selection }) =>
      service.exclusive(async (reconciler) => toReleased(await releaseSelected(reconciler, selection))),
    watchStatus: (onChange) => {
      const notify = (): void => {
        void status().then(onChange, () => undefined);
      };
      watchers.add(notify);
      notify();
      return () => watchers.delete(notify);
    },
  };
}
