/**
 * For a NIC that no profile claims NetworkManager makes a connection up, with a default route, in the milliseconds before we know whose
 * it is. The daemon gives it a profile for such NICs that has none, once per boot (docs/decisions/0019).
 */
import path from 'node:path';
import { findNetworkManager, hasBeenStarted } from '../apply/network-manager.ts';
import { unclaimedProfile } from '../desired/unclaimed.ts';
import { AgentError, errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { MARKER, UNCLAIMED_PROFILE } from '../model/files.ts';
import type { MacAddress } from '../model/net.ts';
import { isNoAutoDefaultSet } from '../observe/no-auto-default.ts';
import { isMissing, makeFolder, writeFileAtomically } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { readOwnFile } from '../system/read-file.ts';
import type { View } from './look.ts';

/** NetworkManager refuses a keyfile that others may read. */
const MODE = 0o600;
const FOLDER_MODE = 0o700;

type Seen = Pick<View, 'host' | 'desired' | 'reading'>;

export interface UnclaimedNics {
  /** After each run; does something once, as soon as NetworkManager is there. */
  cover(view: Seen, parts: { readonly paths: Paths; readonly log: Log }): Promise<void>;
}

export function createUnclaimedNics(): UnclaimedNics {
  let isDone = false;
  return {
    cover: async (view, { paths, log }) => {
      if (isDone || !isWanted(view) || !(await hasBeenStarted(paths))) return;
      isDone = true;
      try {
        if (!(await isNoAutoDefaultSet(paths))) await giveProfile(view, paths);
      } catch (error) {
        const problem = errorMessage(error);
        log.warn({ problem }, 'NetworkManager may give a new NIC a second default route until it is set up');
      }
    },
  };
}

/** The primary may live by such a connection, and must be known to keep it. */
function isWanted({ host, desired, reading }: Seen): boolean {
  return (
    host.distribution.networkManager?.isInUse === true &&
    desired.backend.backend !== 'none' &&
    host.links.some(({ mac }) => mac === reading.metadata.primaryMac)
  );
}

/** One of a former process stays as it is: NICs that came since are up by it. */
async function giveProfile(view: Seen, paths: Paths): Promise<void> {
  const file = paths.below(UNCLAIMED_PROFILE);
  if (!isFor(view.reading.metadata.primaryMac, file)) {
    makeFolder(path.dirname(file), FOLDER_MODE);
    await writeFileAtomically(file, unclaimedProfile(othersThan(view)), { mode: MODE, durable: false });
  }
  const refused = (await (await findNetworkManager(paths))?.load([UNCLAIMED_PROFILE])) ?? [];
  if (refused.length > 0)
    throw new AgentError('command-failed', `NetworkManager refuses ${UNCLAIMED_PROFILE}`);
}

function isFor(primaryMac: MacAddress, file: string): boolean {
  try {
    const text = readOwnFile(file) ?? '';
    return text.startsWith(MARKER) && text.includes(`${primaryMac};`);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Every NIC that is here already, but for those that have a profile of ours. */
function othersThan({ host, desired }: Seen): readonly MacAddress[] {
  const ours = new Set(
    desired.interfaces.filter(({ role, attached }) => role === 'secondary' && attached).map(({ mac }) => mac),
  );
  const macs = host.links.flatMap(({ mac }) => (mac === null || ours.has(mac) ? [] : [mac]));
  return [...new Set(macs)].toSorted();
}
