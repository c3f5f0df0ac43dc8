/** One look at the host: kernel, files, state. Changes nothing. */
import { dumpRoutes } from '../kernel/routes.ts';
import { dumpRules } from '../kernel/rules.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { HostState } from '../model/host.ts';
import type { AgentState } from '../model/state.ts';
import type { Paths } from '../system/paths.ts';
import { identifyState, type ReadState, readState } from '../system/state-file.ts';
import { readAllSysctls } from '../system/sysctl.ts';
import { observeContainerNetwork } from './container-network.ts';
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
}

export interface Observation {
  /** performance.now() when it was begun. */
  readonly at: number;
  readonly host: HostState;
  /** Of the state file, at the latest when it was read. */
  readonly stateIdentity: string;
  readonly rejectedState: ReadState['rejected'];
}

export async function observe({
  rtnetlink,
  paths,
  wantsMarks,
  assume = (state) => state,
}: Observer): Promise<Observation> {
  const at = performance.now();
  // The identity first: a file that is replaced in between has another one afterwards.
  const stateIdentity = identifyState(paths);
  const { state, rejected } = readState(paths);
  const files = observeFiles(paths);
  const containerNetwork = observeContainerNetwork(paths);
  const allSysctls = readAllSysctls();
  const [links, routes, rules, marks] = await Promise.all([
    observeLinks(rtnetlink, paths),
    dumpRoutes(rtnetlink),
    dumpRules(rtnetlink),
    wantsMarks || state.hasMarks ? observeMarks() : [],
  ]);
  return {
    at,
    stateIdentity,
    host: { links, routes, rules, marks, ...files, containerNetwork, allSysctls, state: assume(state) },
    rejectedState: rejected,
  };
}
