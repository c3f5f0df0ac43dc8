/** One look at the host: kernel, files, state. Changes nothing. */
import { dumpRoutes } from '../kernel/routes.ts';
import { dumpRules } from '../kernel/rules.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { HostState } from '../model/host.ts';
import type { ConnectionMark } from '../model/mark.ts';
import type { Memo } from '../model/memo.ts';
import type { AgentState } from '../model/state.ts';
import type { Trial } from '../model/trial.ts';
import type { Paths } from '../system/paths.ts';
import { identifyState, type ReadState, readState } from '../system/state-file.ts';
import { readAllSysctls } from '../system/sysctl.ts';
import { readTrial } from '../system/trial-file.ts';
import { observeContainerNetwork } from './container-network.ts';
import { observeDistribution } from './distribution.ts';
import { observeFiles } from './files.ts';
import { observeLinks } from './links.ts';
import { observeMarks } from './marks.ts';

export interface Observer {
  readonly rtnetlink: Rtnetlink;
  readonly paths: Paths;
  /** Connection marks are configured; when they were before, the state says so. */
  readonly wantsMarks: boolean;
  /** For a dry run: the state as it would be written first. */
  readonly assume?: (state: AgentState) => AgentState;
  /** For who looks again and again: what has not changed is the very same object, the host as a whole, too. */
  readonly memo: Memo;
}

export interface Observation {
  /** performance.now() when it was begun. */
  readonly at: number;
  readonly host: HostState;
  /** Of the state file, at the latest when it was read. */
  readonly stateIdentity: string;
  readonly rejectedState: ReadState['rejected'];
  /** Why the state is not on the disk; null when it is. */
  readonly parkedState: string | null;
  /** A change that waits for its confirmation. */
  readonly trial: Trial | null;
}

const KEEP: (state: AgentState) => AgentState = (state) => state;
const NO_MARKS: readonly ConnectionMark[] = [];

export async function observe({
  rtnetlink,
  paths,
  wantsMarks,
  assume = KEEP,
  memo,
}: Observer): Promise<Observation> {
  const at = performance.now();
  // The identity first: a file that is replaced in between has another one afterwards.
  const stateIdentity = identifyState(paths);
  const { state: found, rejected, parked } = readStateAgain(memo, paths, stateIdentity);
  const state = memo.of('assumed', [found, assume], () => assume(found));
  const files = observeFiles(paths, memo);
  const distribution = bySight(memo, 'distribution', observeDistribution(paths));
  const containerNetwork = observeContainerNetwork(paths);
  const allSysctls = bySight(memo, 'sysctls', readAllSysctls());
  const [{ links, routes, rules }, marks] = await Promise.all([
    observeKernel({ rtnetlink, paths, memo }),
    wantsMarks || found.hasMarks ? observeMarks() : NO_MARKS,
  ]);
  const parts = [links, routes, rules, marks, files, distribution, containerNetwork, allSysctls, state];
  const host = memo.of('host', parts, () => ({
    links,
    routes,
    rules,
    marks,
    ...files,
    distribution,
    containerNetwork,
    allSysctls,
    state,
  }));
  return { at, stateIdentity, host, rejectedState: rejected, parkedState: parked, trial: readTrial(paths) };
}

/** What the kernel alone tells, and what a run changes there: whether it took everything. */
export async function observeKernel({
  rtnetlink,
  paths,
  memo,
}: Pick<Observer, 'rtnetlink' | 'paths' | 'memo'>): Promise<Pick<HostState, 'links' | 'routes' | 'rules'>> {
  const [links, routes, rules] = await Promise.all([
    observeLinks(rtnetlink, paths, memo),
    dumpRoutes(rtnetlink),
    dumpRules(rtnetlink),
  ]);
  return { links, routes, rules };
}

/** A state that is good is good as long as it is the same file; anything else may heal. */
function readStateAgain(memo: Memo, paths: Paths, identity: string): ReadState {
  const read = memo.of('state', [identity], () => readState(paths));
  return read.rejected === null && read.parked === null && identity.trim() !== '' ? read : readState(paths);
}

/** For what is small: the very same one as long as it says the same. */
function bySight<Found>(memo: Memo, what: string, found: Found): Found {
  return memo.of(what, [JSON.stringify(found)], () => found);
}
