/** `daemon`: keeps the VM in its desired state until it is told to stop. */
import { once } from 'node:events';
import { errorMessage } from '../errors.ts';
import { createHookRunner, type HookRunner } from '../hooks/hooks.ts';
import { expecting } from '../kernel/monitor.ts';
import { openRtnetlink, type Rtnetlink } from '../kernel/socket.ts';
import type { Exporter } from '../metrics/exporter.ts';
import type { Trigger } from '../model/state.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import type { Reconciler } from '../reconcile/reconcile.ts';
import { releaseSelected } from '../reconcile/release.ts';
import { createService, type Service } from '../reconcile/service.ts';
import { startWake, type Wake } from '../reconcile/wake.ts';
import { createCollector } from '../system/collector.ts';
import { type ControlHandlers, startControlServer } from '../system/control-socket.ts';
import { createNotifier, type Notifier } from '../system/notify.ts';
import { createOwnFiles, type OwnFiles } from '../system/own-files.ts';
import { type Context, createContext, createReconciler, type Environment } from './context.ts';
import { asRun, counted, createDaemonExporter } from './daemon-metrics.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { loadAll } from './load-all.ts';
import { makeReport } from './make-report.ts';
import { toDocument, toReleased } from './outcome-document.ts';
import { reconfigureWith } from './reconfigure.ts';

interface Daemon {
  readonly environment: Environment;
  readonly rtnetlink: Rtnetlink;
  readonly service: Service;
  readonly exporter: Exporter;
  readonly hooks: HookRunner;
  readonly ownFiles: OwnFiles;
  readonly notifier: Notifier;
  readonly current: Current;
}

/** The last valid configuration. */
interface Current {
  context: Context;
}

/** Such a run finds nothing to do as a rule, and the next one comes in seconds. */
const BY_THE_CLOCK: ReadonlySet<Trigger> = new Set(['timer', 'metadata']);

const STATUS_LINE = 'keeping the network as the cloud assigned it';

export async function runDaemon(environment: Environment): Promise<ExitCode> {
  await loadAll();
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
    // Once more, now that it is watched: nobody tells what was changed before.
    current.context = { ...(await createContext(environment, 'daemon')), log: context.log };
    const listening = expecting(rtnetlink, wake.monitor);
    await serve(
      {
        environment,
        current,
        ownFiles,
        hooks: createHookRunner(current.context),
        rtnetlink: listening,
        notifier: createNotifier(process.env, context.log),
      },
      wake,
      bell,
    );
  } finally {
    wake.close();
    rtnetlink.close();
  }
  return EXIT.ok;
}

interface Bell {
  readonly ring: (trigger: Trigger) => void;
  /** What rang before somebody listened is not lost: the first run looks at everything but the configuration, so that rings now. */
  listen(onWake: (trigger: Trigger) => void): void;
}

function createBell(): Bell {
  let hasMissedConfig = false;
  let listener = (trigger: Trigger): void => {
    hasMissedConfig ||= trigger === 'config';
  };
  return {
    ring: (trigger) => listener(trigger),
    listen: (onWake) => {
      listener = onWake;
      if (hasMissedConfig) onWake('config');
      hasMissedConfig = false;
    },
  };
}

async function serve(parts: Omit<Daemon, 'service' | 'exporter'>, wake: Wake, bell: Bell): Promise<void> {
  const { current, notifier } = parts;
  const { log, paths } = current.context;
  const watchers = new Set<() => void>();
  const collector = createCollector(globalThis.gc, () => log.debug({}, 'memory given back'));
  const daemon = await assemble(parts, (trigger) => {
    for (const notify of watchers) notify();
    if (!BY_THE_CLOCK.has(trigger)) collector.worked();
  });
  const { service, exporter } = daemon;
  const reloadInTurn = inTurn(() => reload(daemon));
  const stopped = nextStopSignal();
  const control = await startControlServer({
    path: paths.control,
    handlers: handlersOf(daemon, reloadInTurn, watchers),
    log,
  });
  await exporter.configure(current.context.config.metrics);
  await wake.ready;
  bell.listen((trigger) => {
    if (trigger === 'config') void reloadInTurn();
    else service.ring(trigger);
  });
  service.ring('timer');
  const stopWatchdog = notifier.startWatchdog();
  notifier.ready(STATUS_LINE);
  log.info({ pid: process.pid }, 'ready');
  collector.worked();
  log.info({ signal: await stopped }, 'stopping');
  const told = notifier.stopping();
  bell.listen(() => {});
  stopWatchdog();
  await service.stop();
  await exporter.close();
  await control.close();
  await daemon.hooks.close();
  await told;
}

/** What makes the runs, and what counts them. */
async function assemble(
  parts: Omit<Daemon, 'service' | 'exporter'>,
  onRun: (trigger: Trigger) => void,
): Promise<Daemon> {
  const { context } = parts.current;
  const exporter = createDaemonExporter(context, () => service);
  const service = createService({
    reconciler: await makeReconciler({ ...parts, exporter }, context),
    log: context.log,
    onRun: (trigger, outcome) => {
      exporter.ran(trigger, outcome);
      ringHooks(parts, outcome);
      onRun(trigger);
    },
    onFailedRun: (trigger) => {
      exporter.ran(trigger, null);
      onRun(trigger);
    },
  });
  return { ...parts, service, exporter };
}

/** With the timeout of the configuration as it is then. */
function ringHooks(
  { hooks, current }: Pick<Daemon, 'hooks' | 'current'>,
  { events }: Pick<ReconcileOutcome, 'events'>,
): void {
  hooks.ring(events, current.context.config.hooks.timeoutMs);
}

/** A second one ends the process at once, as the kernel would. */
function nextStopSignal(): Promise<string> {
  const names = ['SIGTERM', 'SIGINT'] as const;
  return Promise.race(names.map((name) => once(process, name).then(() => name)));
}

/** One after the other, in the order in which they were asked for: the last one has read the file last, and what it read stays. */
function inTurn(work: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(work);
    return last;
  };
}

/** Invalid configuration changes nothing but the log. */
async function reload(daemon: Daemon): Promise<void> {
  const { environment, service, exporter, notifier, current } = daemon;
  const { log } = current.context;
  notifier.reloading();
  try {
    const context = { ...(await createContext(environment, 'daemon')), log };
    await service.replace(await makeReconciler(daemon, context));
    current.context = context;
    await exporter.configure(context.config.metrics);
    log.info({}, 'configuration loaded');
    service.ring('config');
  } catch (error) {
    log.error({ problem: errorMessage(error) }, 'configuration refused, the last valid one stays');
  }
  notifier.ready(STATUS_LINE);
}

async function makeReconciler(
  { environment, rtnetlink, ownFiles, exporter }: Omit<Daemon, 'service'>,
  context: Context,
): Promise<Omit<Reconciler, 'memory'>> {
  const reconciler = await createReconciler(environment, context, rtnetlink, ownFiles.changed);
  return { ...reconciler, provider: counted(reconciler.provider, exporter) };
}

function handlersOf(
  daemon: Daemon,
  reloadInTurn: () => Promise<void>,
  watchers: Set<() => void>,
): ControlHandlers {
  const { service, exporter } = daemon;
  const status = (): Promise<unknown> => makeReport(service.looker(), service.health());
  return {
    status,
    reconfigure: ({ selection, all }) =>
      service.exclusive(async (reconciler) => {
        const run = reconfigureWith(reconciler, selection, all);
        const outcome = await asRun(exporter, run, (result) => result);
        ringHooks(daemon, outcome);
        return toDocument(outcome);
      }),
    release: ({ selection }) =>
      service.exclusive(async (reconciler) => {
        const run = releaseSelected(reconciler, selection);
        const released = await asRun(exporter, run, ({ outcome }) => outcome);
        ringHooks(daemon, released.outcome);
        return toReleased(released);
      }),
    metrics: () => exporter.render(),
    reload: async () => {
      await reloadInTurn();
      return {};
    },
    watchStatus: (onChange, onFailure) => {
      const notify = (): void => {
        void status().then(onChange, onFailure);
      };
      watchers.add(notify);
      notify();
      return () => watchers.delete(notify);
    },
  };
}
