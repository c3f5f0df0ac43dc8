/** A NetworkManager that runs is told of the profiles that a run writes (docs/decisions/0019). Where nothing is to be told no process is started. */
import { isDeepStrictEqual } from 'node:util';
import { isFileStep } from '../apply/executors.ts';
import { prepareFiles, removeFile } from '../apply/files.ts';
import { findNetworkManager, isManagerGone, type NetworkManager } from '../apply/network-manager.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { NicProblem } from '../model/desired.ts';
import { isProfile } from '../model/files.ts';
import type { LinkAddress } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { FileStep, Step, StepOf } from '../model/plan.ts';
import { observe } from '../observe/observe.ts';
import { planChanges } from '../plan/diff.ts';
import type { Paths } from '../system/paths.ts';
import { planOptions, type View } from './look.ts';
import type { Reconciler } from './reconcile.ts';

type Write = StepOf<'write-file'>;

export interface HandedOver {
  /** Their profiles are there. */
  readonly writes: readonly Write[];
  /** Of those, the ones that NetworkManager has read. */
  readonly told: readonly Write[];
  /** What is left to do, by us. */
  readonly steps: readonly Step[];
}

/**
 * NICs that are new and have no address yet are configured by NetworkManager itself, from their profile, ahead of us: one that has an
 * address when its profile is activated loses it for a moment, and one without a profile gets a made-up one, with DHCP and a default route.
 * It does in 10 ms what we would do, and we do the rest. Whatever fails here is left to us, and told of by tellOfProfiles(). A file for
 * network-scripts is read as well: its NM_CONTROLLED=no takes the NIC from NetworkManager, before there is anything to take along.
 */
export async function handOver(
  reconciler: Reconciler,
  view: View,
  steps: readonly Step[],
): Promise<HandedOver> {
  const fresh = steps.filter(isProfileWrite).filter((step) => isNew(step, view));
  const isInUse = view.host.distribution.networkManager?.isInUse === true;
  if (!isInUse || fresh.length === 0) return { writes: [], told: [], steps };
  const { paths, onFile } = reconciler.applier;
  const writes: Write[] = [];
  const told: Write[] = [];
  try {
    const manager = await findNetworkManager(paths);
    if (manager === null) return { writes, told, steps };
    for (const step of fresh) {
      await (await prepareFiles([step], paths, onFile ?? (() => {}))).commit();
      writes.push(step);
    }
    const refused = await manager.load(fresh.map((step) => step.arguments.path));
    told.push(...fresh.filter((step) => !refused.includes(step.arguments.path)));
    if (isByNetworkManager(view))
      await Promise.all(told.map((step) => manager.activate(step.interface, step.arguments.path)));
  } catch (error) {
    reconciler.log.debug({ problem: errorMessage(error) }, 'NetworkManager does not take a new NIC over');
  }
  return { writes, told, steps: await stepsLeft(reconciler, view, steps, writes) };
}

/** Of the steps that were planned, those that are not done by now. */
async function stepsLeft(
  { observer, config }: Reconciler,
  { desired }: View,
  steps: readonly Step[],
  writes: readonly Write[],
): Promise<readonly Step[]> {
  const macs = new Set(writes.map(({ mac }) => mac));
  const { host } = await observe(observer);
  const open = planChanges(host, desired, planOptions(config)).steps;
  const isOpen = (step: Step): boolean =>
    open.some((other) => other.kind === step.kind && isDeepStrictEqual(other.arguments, step.arguments));
  return steps.filter((step) => !macs.has(step.mac) || isOpen(step));
}

/** The NIC did not become what it should be: its profile goes, and with it what NetworkManager made of it. */
export async function takeBack(
  { paths, log }: { readonly paths: Paths; readonly log: Log },
  writes: HandedOver['writes'],
  failedMacs: ReadonlySet<MacAddress>,
): Promise<void> {
  const failed = writes.filter(({ mac }) => failedMacs.has(mac)).map((step) => step.arguments.path);
  if (failed.length === 0) return;
  try {
    for (const path of failed) removeFile(paths.below(path), 'leave');
    await (await findNetworkManager(paths))?.load(failed);
  } catch (error) {
    log.warn({ problem: errorMessage(error) }, 'profile not taken back');
  }
}

/**
 * After the files have their names. Not told of a file that is gone while its NIC stays: NetworkManager would take the addresses along.
 */
export async function tellOfProfiles(
  { applier: { paths } }: Reconciler,
  view: View,
  steps: readonly Step[],
  { told }: HandedOver,
): Promise<readonly NicProblem[]> {
  const attached = new Set(view.desired.interfaces.filter((nic) => nic.attached).map(({ mac }) => mac));
  const news = steps
    .filter(isFileStep)
    .filter((step) => isProfile(step.arguments.path) && !told.some((write) => write === step))
    .filter((step) => (isProfileWrite(step) ? isByNetworkManager(view) : !attached.has(step.mac)));
  if (news.length === 0) return [];
  try {
    const manager = await findNetworkManager(paths);
    return manager === null ? [] : await tell(manager, news);
  } catch (error) {
    return isManagerGone(error) ? [] : news.map((step) => problemOf(step, errorMessage(error)));
  }
}

async function tell(manager: NetworkManager, news: readonly FileStep[]): Promise<readonly NicProblem[]> {
  const refused = await manager.load(news.map((step) => step.arguments.path));
  const isTaken = (step: FileStep): boolean => !refused.includes(step.arguments.path);
  await Promise.all(
    news
      .filter(isTaken)
      .filter(isProfileWrite)
      .map((step) => manager.reapply(step.interface, step.arguments.path)),
  );
  return news.filter((step) => !isTaken(step)).map((step) => problemOf(step, 'it refuses the file'));
}

function problemOf(step: FileStep, cameBack: string): NicProblem {
  const message = `telling NetworkManager of ${step.arguments.path}: ${cameBack}; it will read it when it starts`;
  return { mac: step.mac, message, isAboutFiles: true, stepKind: step.kind };
}

function isByNetworkManager({ desired }: View): boolean {
  return desired.backend.backend.startsWith('networkmanager-');
}

function isProfileWrite(step: Step): step is Write {
  return step.kind === 'write-file' && isProfile(step.arguments.path);
}

/** Its file is new, and whatever addresses it has NetworkManager leased from somebody. */
function isNew({ mac, arguments: { path } }: Write, { desired, host }: View): boolean {
  const nic = desired.interfaces.find((other) => other.mac === mac);
  const link = host.links.find(({ index }) => index === nic?.linkIndex);
  const isThere = host.files.some((file) => file.path === path);
  return nic?.role === 'secondary' && link !== undefined && !isThere && link.addresses.every(isPassing);
}

function isPassing({ scope, leased }: LinkAddress): boolean {
  return scope !== 'global' || leased === true;
}
