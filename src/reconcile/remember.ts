/** The state file of one run: what cannot be used is set aside first; what cannot be written stops nobody (docs/decisions/0016). */
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { AgentState } from '../model/state.ts';
import { removeIfThere } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { parkState, type RejectedState, setStateAside, writeState } from '../system/state-file.ts';

export interface Remembrance {
  /** `durable`: survives a power cut. AgentError `file-failed` when there is no place for it at all. */
  write(state: AgentState, options: { readonly durable: boolean }): Promise<void>;
  /** Why the disk does not have what was written last; null when it has. */
  problem(): string | null;
}

/** Only under the lock. `rejected`: what was found wrong with the file as it is. */
export async function beginRemembering(
  paths: Paths,
  rejected: RejectedState | null,
  log: Log,
): Promise<Remembrance> {
  let problem = rejected?.isUnreadable === true ? rejected.problem : null;
  // It may be good, and is read again by the next run: nothing takes its place, nor precedence over it.
  if (problem !== null) return { write: async () => {}, problem: () => problem };
  const obstacle = rejected === null ? null : await clearAway(paths, rejected, log);
  return {
    write: async (state, options) => {
      problem =
        obstacle === null ? await writeState(paths, state, options) : await parkState(paths, state, obstacle);
    },
    problem: () => problem,
  };
}

/** Returns why what must not be overwritten is still there. */
async function clearAway(
  paths: Paths,
  { problem, asideName, isForeign }: RejectedState,
  log: Log,
): Promise<string | null> {
  try {
    // What another machine was, and what was done to it, is not told of this one.
    if (isForeign === true) for (const file of [paths.previousState, paths.history]) removeIfThere(file);
    const aside = asideName === null ? null : await setStateAside(paths, asideName);
    log.warn({ file: paths.state, aside, problem }, 'state file set aside');
    return null;
  } catch (error) {
    return errorMessage(error);
  }
}
