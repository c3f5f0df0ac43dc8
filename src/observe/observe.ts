/** One look at the host: kernel, files, state. Changes nothing. */
import { dumpRoutes } from '../kernel/routes.ts';
import { dumpRules } from '../kernel/rules.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { HostState } from '../model/host.ts';
import type { AgentState } from '../model/state.ts';
import type { Paths } from '../system/paths.ts';
import { type ReadState, readState } from '../system/state-file.ts';
import { readAllSysctls } from '../system/sysctl.ts';
import { observeFiles } from './files.ts';
import { observeLinks } from './links.ts';

export interface Observer {
  readonly rtnetlink: Rtnetlink;
  readonly paths: Paths;
  /** For a dry run: the state as it would be written first. */
  readonly assume?: (state: AgentState) => AgentState;
}

export interface Observation {
  readonly host: HostState;
  readonly rejectedState: ReadState['rejected'];
}

export async function observe({
  rtnetlink,
  paths,
  assume = (state) => state,
}: Observer): Promise<Observation> {
  const [links, routes, rules, { files, hasNetworkScripts }, allSysctls, { state, rejected }] =
    await Promise.all([
      observeLinks(rtnetlink, paths),
      dumpRoutes(rtnetlink),
      dumpRules(rtnetlink),
      observeFiles(paths),
      readAllSysctls(),
      readState(paths),
    ]);
  return {
    host: { links, routes, rules, files, hasNetworkScripts, allSysctls, state: assume(state) },
    rejectedState: rejected,
  };
}
