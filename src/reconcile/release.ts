/**
 * `release` and its end. All that is decided here is which NICs the operator took from us: the state file says so before anything
 * else happens, and any run, whoever starts it, acts on it. So a release that was killed is completed by the next run.
 */
import { isDeepStrictEqual } from 'node:util';
import { findLink } from '../desired/nics.ts';
import { AgentError } from '../errors.ts';
import type { HostState } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { AgentState } from '../model/state.ts';
import { type Observer, observe } from '../observe/observe.ts';
import { withLock } from '../system/lock.ts';
import { readState } from '../system/state-file.ts';
import { type Looker, look, namedMacs, type Selection, type View } from './look.ts';
import type { ReconcileOutcome } from './outcome.ts';
import { type Fetched, fetchMetadata, type Reading, readingOf, startingWith } from './reading.ts';
import { type Reconciler, reconcile } from './reconcile.ts';
import { beginRemembering } from './remember.ts';
import { requireNoTrial } from './trial.ts';

type Released = AgentState['released'];

export interface Release {
  /** Name of each NIC, or its MAC where it has no link. */
  readonly names: readonly string[];
  readonly outcome: ReconcileOutcome;
}

/** Gives back what is ours on the selected NICs, and remembers that they are nobody's of ours. AgentError `usage` for no NIC. */
export async function releaseSelected(reconciler: Reconciler, selection: Selection): Promise<Release> {
  await requireNoTrial(reconciler);
  const { macs, names, fetched } = await findTargets(reconciler, selection);
  await changeReleased(reconciler, (released) => [...released, ...macs]);
  const provider = startingWith(fetched, reconciler.provider);
  const outcome = await reconcile({ ...reconciler, provider }, { trigger: 'command', selection });
  return { names, outcome };
}

/** What releaseSelected() would do. */
export async function lookReleased(looker: Looker, selection: Selection): Promise<View> {
  const { macs, fetched } = await findTargets(looker, selection);
  const observer = assuming(looker.observer, (released) => [...released, ...macs]);
  return look({ ...looker, observer }, fetched, selection);
}

/**
 * Ends the release of the selected NICs: the next run takes them back. Nothing is written, and nobody asked, where none of them
 * was released. AgentError `usage` before anything is written when one of the names is no NIC of this VM.
 */
export async function resumeSelected(reconciler: Reconciler, selection: Selection): Promise<void> {
  await requireNoTrial(reconciler);
  const { host } = await observe(reconciler.observer);
  if (!isReleased(selection, host)) return;
  if (selection !== null)
    namedMacs(selection, readingOf(await fetchMetadata(reconciler.provider), host), host);
  await changeReleased(reconciler, withoutSelected(selection, host));
}

/** Looks as if the release of the selected NICs were over. */
export async function assumingResumed<L extends Looker>(looker: L, selection: Selection): Promise<L> {
  const { host } = await observe(looker.observer);
  return { ...looker, observer: assuming(looker.observer, withoutSelected(selection, host)) };
}

interface Targets {
  readonly macs: readonly MacAddress[];
  readonly names: readonly string[];
  readonly fetched: Fetched;
}

async function findTargets(looker: Looker, selection: Selection): Promise<Targets> {
  const fetched = await fetchMetadata(looker.provider);
  const { host } = await observe(looker.observer);
  const reading = readingOf(fetched, host);
  const macs = selection === null ? allMacs(reading, host) : namedMacs(selection, reading, host);
  const names = macs.map((mac) => findLink(mac, host.links)?.ifname ?? mac);
  return { macs, names, fetched };
}

/** Those of the metadata, and those that we are not through with. */
function allMacs({ metadata }: Reading, { state }: HostState): readonly MacAddress[] {
  const listed = [...metadata.nics, ...metadata.invalid].map(({ mac }) => mac);
  const ours = Object.entries(state.nics).filter(([, { detachedAt }]) => detachedAt === null);
  return [...new Set([...listed, ...ours.map(([mac]) => mac as MacAddress)])];
}

function isReleased(selection: Selection, host: HostState): boolean {
  const { released } = host.state;
  return withoutSelected(selection, host)(released).length < released.length;
}

/** By name or MAC; also one that is neither a link nor listed any more. */
function withoutSelected(selection: Selection, { links }: HostState): (released: Released) => Released {
  if (selection === null) return () => [];
  const named = new Set(selection.map((name) => name.toLowerCase()));
  const isNamed = (mac: MacAddress): boolean => {
    const link = findLink(mac, links);
    return named.has(mac) || (link !== undefined && selection.includes(link.ifname));
  };
  return (released) => released.filter((mac) => !isNamed(mac));
}

function assuming(observer: Observer, change: (released: Released) => Released): Observer {
  return { ...observer, assume: (state) => ({ ...state, released: sorted(change(state.released)) }) };
}

/** Under the lock, and durable, in both generations: the operator's word must outlive a power cut and a bad disk. */
async function changeReleased(
  { applier: { paths }, log }: Reconciler,
  change: (released: Released) => Released,
): Promise<void> {
  const isNews = ({ released }: AgentState): boolean =>
    !isDeepStrictEqual(sorted(change(released)), released);
  if (!isNews(readState(paths).state)) return;
  await withLock(paths.lock, async () => {
    const { state, rejected } = readState(paths);
    const remembrance = await beginRemembering(paths, rejected, log);
    const changed = { ...state, released: sorted(change(state.released)) };
    await remembrance.write(changed, { durable: false });
    await remembrance.write(changed, { durable: true });
    if (rejected?.isUnreadable === true) {
      throw new AgentError('state-unreadable', `${rejected.problem}; who is released cannot be written down`);
    }
  });
}

function sorted(released: Released): Released {
  return [...new Set(released)].toSorted();
}
