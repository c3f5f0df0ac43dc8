/**
 * /var/lib/eni-agent/state.json, 0600, and beside it the generation before it. A file that cannot be used (truncated, garbage, of
 * a newer version, no file at all) is never overwritten: it is set aside before the first write, and the run goes on with the
 * generation before, else with what the kernel and our own files show. While the disk cannot be written the state is in
 * /run/eni-agent (docs/decisions/0016).
 */
import { renameSync } from 'node:fs';
import path from 'node:path';
import { AgentError, errorMessage } from '../errors.ts';
import { formatInterfaceAddress } from '../model/net.ts';
import { type AgentState, EMPTY_STATE, type NicState } from '../model/state.ts';
import {
  isDenied,
  isMissing,
  makeFolder,
  removeIfThere,
  writeFileAtomically,
  writing,
} from './atomic-file.ts';
import { identify } from './own-files.ts';
import type { Paths } from './paths.ts';
import { readOwnFile } from './read-file.ts';
import { formatState, type ParsedState, parseStateText } from './state-text.ts';

const STATE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const ROOT = 0;

export interface RejectedState {
  readonly problem: string;
  /** What the file is to be set aside under; null when it is not there, or stays because it cannot be read just now. */
  readonly asideName: string | null;
  /** It may be good, but cannot be read just now: nothing is written in its place. */
  readonly isUnreadable: boolean;
  /** It is another machine's, and so is the generation before it. */
  readonly isForeign?: boolean;
}

export interface ReadState {
  readonly state: AgentState;
  /** Why the file is not used; null when it is used, or there never was one. */
  readonly rejected: RejectedState | null;
  /** Why the state was written to /run and not to the disk; null when it was not. */
  readonly parked: string | null;
}

/** Reads without changing anything. AgentError `state-unreadable` only for a user who may not read it. */
export function readState(paths: Paths): ReadState {
  const parked = readGeneration(paths.parkedState);
  // It is removed as soon as the disk has the state again, so it is the newer one.
  if ('state' in parked) {
    return { state: parked.state, rejected: null, parked: parked.parked ?? 'unknown' };
  }
  const current = readGeneration(paths.state);
  if ('state' in current) return { state: current.state, rejected: null, parked: null };
  const previous = readGeneration(paths.previousState);
  const isThere = current.problem !== MISSING;
  if (!isThere && !('state' in previous)) return { state: EMPTY_STATE, rejected: null, parked: null };
  const used = 'state' in previous ? 'the one before it is used' : 'there is none before it';
  const rejected: RejectedState = {
    problem: `${current.problem}; ${used}`,
    asideName: isThere && current.suffix !== null ? `state.json.${current.suffix}` : null,
    isUnreadable: isThere && current.suffix === null,
  };
  return { state: 'state' in previous ? provable(previous.state) : EMPTY_STATE, rejected, parked: null };
}

const MISSING = 'it is not there';

type Generation =
  | Extract<ParsedState, { readonly state: AgentState }>
  | {
      readonly problem: string;
      /** null for what is not there, or not readable now. */
      readonly suffix: string | null;
    };

function readGeneration(file: string): Generation {
  try {
    const text = readOwnFile(file);
    return text === undefined
      ? { problem: 'it is no regular file, or much too large', suffix: 'corrupt' }
      : parseStateText(text);
  } catch (error) {
    if (isMissing(error)) return { problem: MISSING, suffix: null };
    const message = `reading ${file}: ${errorMessage(error)}`;
    // For root it is the disk or SELinux that says no; for others there is a way.
    if (isDenied(error) && process.geteuid?.() !== ROOT)
      throw new AgentError('state-unreadable', `${message}; run as root`, { cause: error });
    return { problem: message, suffix: null };
  }
}

/**
 * What an older generation can prove. An address that it has may have been taken back since, and be somebody else's by now: only
 * what its own answer of the metadata lists is ours for certain. Routes, rules and files are known by themselves.
 */
function provable(state: AgentState): AgentState {
  const listed = new Map(
    state.metadata?.answer.nics.map(({ mac, addresses }) => [mac, addresses.map(formatInterfaceAddress)]),
  );
  const nics = Object.entries(state.nics).map(([mac, nic]): [string, NicState] => {
    const known = listed.get(mac as keyof typeof state.nics) ?? [];
    const addresses = nic.addresses.filter((entry) => known.includes(formatInterfaceAddress(entry)));
    return [mac, { ...nic, addresses }];
  });
  return { ...state, nics: Object.fromEntries(nics) };
}

/** Another one after every write: a write is a new file that takes the name. '' when there is none. */
export function identifyState(paths: Paths): string {
  return `${identify(paths.parkedState)} ${identify(paths.state)}`;
}

/**
 * Only under the lock. Keeps the generation that it replaces. When the disk cannot be written it writes to /run, and returns why;
 * null when the disk has it. AgentError `file-failed` when neither can be written.
 */
export async function writeState(
  paths: Paths,
  state: AgentState,
  { durable }: { durable: boolean },
): Promise<string | null> {
  try {
    await writing(paths.stateDirectory, () => makeFolder(paths.stateDirectory, FOLDER_MODE));
    const options = { mode: STATE_MODE, durable, keepPreviousAs: paths.previousState };
    await writeFileAtomically(paths.state, formatState(state), options);
    await writing(paths.parkedState, () => removeIfThere(paths.parkedState));
    return null;
  } catch (error) {
    return parkState(paths, state, errorMessage(error));
  }
}

/** Only under the lock. Writes it to /run and returns why, and that it is there. AgentError `file-failed`. */
export async function parkState(paths: Paths, state: AgentState, problem: string): Promise<string> {
  const reason = `${problem}; kept in ${paths.parkedState} until the disk can be written`;
  await writeFileAtomically(paths.parkedState, formatState(state, reason), {
    mode: STATE_MODE,
    durable: false,
  });
  return reason;
}

/**
 * Only under the lock, before the first write. What was set aside before stays: a second of the name has `.2` behind it.
 * Returns where it is. AgentError `file-failed`.
 */
export async function setStateAside(paths: Paths, asideName: string): Promise<string> {
  const wanted = path.join(paths.stateDirectory, asideName);
  return writing(wanted, () => {
    for (let count = 1; ; count += 1) {
      const aside = count === 1 ? wanted : `${wanted}.${count}`;
      if (identify(aside) !== '') continue;
      // Whatever it is: a folder and a FIFO, too, have their names changed.
      renameSync(paths.state, aside);
      return aside;
    }
  });
}
