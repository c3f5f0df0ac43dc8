/**
 * A change that is rolled back unless somebody confirms it (docs/decisions/0015): what is written before it begins, how it is
 * kept, and how it is rolled back, by whoever comes first: the guardian at the deadline, or any run after it.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Applier } from '../apply/apply.ts';
import { linksByIndex } from '../apply/relink.ts';
import { type LeftBehind, readFilesBefore, undoTrial } from '../apply/undo.ts';
import { AgentError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { NetworkEvent } from '../model/events.ts';
import type { HostState, Link } from '../model/host.ts';
import type { Step } from '../model/plan.ts';
import type { AgentState, Lapse } from '../model/state.ts';
import type { Trial } from '../model/trial.ts';
import { observeLinks } from '../observe/links.ts';
import { stepKey } from '../plan/describe.ts';
import { isMissing, writeFileAtomically, writing } from '../system/atomic-file.ts';
import { withLock } from '../system/lock.ts';
import type { Paths } from '../system/paths.ts';
import { readState } from '../system/state-file.ts';
import { formatState, parseStateText } from '../system/state-text.ts';
import { deadlineIn, readTrial, removeTrial, timeLeft, writeTrial } from '../system/trial-file.ts';
import { eventsOfTrial } from './events.ts';
import { recordRun } from './record.ts';
import { beginRemembering } from './remember.ts';

/** Where there was none. */
const CONFIG_MODE = 0o644;
const PERMISSION_BITS = 0o7777;
const FOLDER_MODE = 0o755;
/** So long the daemon has to read its configuration when whoever confirmed is gone. */
const HANDOVER_MS = 5_000;

export interface TrialRequest {
  readonly id: string;
  readonly confirmMs: number;
  /** Text of the configuration that is tried in place of the standing one; null when it is the standing one. */
  readonly configuration: string | null;
  /** Digest of the standing one. */
  readonly standing: string;
  /** Resolves when it will roll back whatever becomes of us. AgentError `command-failed`. */
  readonly startGuardian: () => Promise<void>;
}

/**
 * Under the lock, ahead of everything else. Returns until when it can be confirmed; null when nothing waits for that: it was
 * not asked for, or nothing is to be done. AgentError `file-failed`.
 */
export async function beginTrial(
  request: TrialRequest | undefined,
  paths: Paths,
  { links }: HostState,
  steps: readonly Step[],
): Promise<string | null> {
  if (request === undefined || steps.length === 0) return null;
  const { id, confirmMs, configuration, standing } = request;
  const known = readTrial(paths);
  // The answer of the kernel was lost, and this is the second attempt: what was before the first is what counts.
  if (known?.id === id) return known.confirmBy;
  const files = await readFilesBefore(steps, paths);
  const state = formatState(readState(paths).state);
  const confirmBy = new Date(Date.now() + confirmMs).toISOString();
  const deadline = deadlineIn(confirmMs);
  const before = { configuration, standing, links: linksByIndex(links), files, state };
  await writeTrial(paths, { id, deadline, confirmBy, isConfirmed: false, steps, ...before });
  return confirmBy;
}

export interface Committed {
  /** Where the configuration that was tried is now; null when there was none. */
  readonly configuration: string | null;
  /** Of the change: they were kept for this moment. */
  readonly events: readonly NetworkEvent[];
}

/**
 * From now on the change is one like any other. `reload` resolves when the daemon, if there is one, has read its configuration.
 * AgentError `nothing-to-commit`.
 */
export async function commitTrial(paths: Paths, reload: () => Promise<void>): Promise<Committed> {
  const { trial, events } = await withLock(paths.lock, async () => {
    const confirmed = await confirm(paths);
    return { trial: confirmed, events: eventsSince(confirmed, readState(paths).state) };
  });
  const { id, configuration } = trial;
  if (configuration !== null) {
    await reload();
    await withLock(paths.lock, async () => {
      if (readTrial(paths)?.id === id) await removeTrial(paths);
    });
  }
  await ringDoorbell(paths);
  return { configuration: configuration === null ? null : paths.config, events };
}

/** Nobody else has changed anything meanwhile. */
function eventsSince({ state, steps }: Trial, { nics, metadata }: AgentState): readonly NetworkEvent[] {
  const before = parseStateText(state);
  return 'state' in before ? eventsOfTrial(before.state.nics, nics, metadata?.answer.primaryMac, steps) : [];
}

async function confirm(paths: Paths): Promise<Trial> {
  const trial = readTrial(paths);
  if (trial === null || timeLeft(trial) === 0) throw nothingToCommit(trial, readState(paths).state.lapsed);
  const { configuration } = trial;
  if (configuration === null) await removeTrial(paths);
  else {
    await installConfig(paths.config, configuration);
    await writeTrial(paths, { ...trial, isConfirmed: true, deadline: deadlineIn(HANDOVER_MS) });
  }
  return trial;
}

/** What was there is kept as `config.yaml.orig`. */
async function installConfig(target: string, text: string): Promise<void> {
  await writing(target, () => mkdir(path.dirname(target), { recursive: true, mode: FOLDER_MODE }));
  const before = await writing(target, () => readFile(target).catch(undefinedIfMissing));
  const stats = await stat(target).catch(undefinedIfMissing);
  const options = { mode: stats === undefined ? CONFIG_MODE : stats.mode & PERMISSION_BITS, durable: true };
  // No second name for the old one: who watches that file would not hear of the new one.
  if (before !== undefined) await writeFileAtomically(`${target}.orig`, before, options);
  await writeFileAtomically(target, text, options);
}

function undefinedIfMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}

export interface RollBackOptions {
  readonly applier: Applier;
  readonly log: Log;
}

/** Ahead of everything else: the change that is rolled back may be why nobody answers. AgentError `change-unconfirmed` while one waits. */
export async function requireNoTrial(options: RollBackOptions): Promise<void> {
  await rollBackOverdueTrial(options);
  const trial = readTrial(options.applier.paths);
  if (trial !== null) throw unconfirmed(trial);
}

/** Does what the guardian should have done. */
export async function rollBackOverdueTrial(options: RollBackOptions): Promise<void> {
  const trial = readTrial(options.applier.paths);
  if (trial !== null && timeLeft(trial) === 0) await rollBackTrial(options, trial);
}

/** Unless somebody else ended it. May be done again after any failure. */
export async function rollBackTrial({ applier, log }: RollBackOptions, { id }: Trial): Promise<void> {
  const { paths, kernel } = applier;
  await withLock(paths.lock, async () => {
    const startedAt = performance.now();
    const trial = readTrial(paths);
    if (trial?.id !== id) return;
    if (trial.isConfirmed) return removeTrial(paths);
    const links = await observeLinks(kernel.rtnetlink, paths);
    if (isOfAnotherMachine(trial, links)) {
      log.warn(
        { file: paths.trial },
        'a change of another machine waited for its confirmation, it is forgotten',
      );
      return removeTrial(paths);
    }
    const left = await undoTrial(applier, trial, links);
    await rememberRollback({ applier, log }, trial, left, startedAt);
    await removeTrial(paths);
    const fields = { steps: trial.steps.length, left: left.map(({ message }) => message) };
    log.warn(fields, 'nobody confirmed the change, it was rolled back');
  });
  await ringDoorbell(paths);
}

/** The disk was copied while it waited. */
function isOfAnotherMachine({ steps }: Trial, links: readonly Link[]): boolean {
  const macs = new Set(links.map(({ mac, permanentMac }) => permanentMac ?? mac));
  return !steps.some(({ mac }) => macs.has(mac));
}

/** What is left behind is still ours: the next run that may takes it away. */
async function rememberRollback(
  { applier: { paths }, log }: RollBackOptions,
  trial: Trial,
  left: LeftBehind,
  startedAt: number,
): Promise<void> {
  const { state, rejected } = readState(paths);
  const remembrance = await beginRemembering(paths, rejected, log);
  const parsed = parseStateText(trial.state);
  const before = 'state' in parsed ? parsed.state : state;
  const at = new Date().toISOString();
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
  const run = { at, trigger: 'command', outcome: 'rolled-back', durationMs } as const;
  await remembrance.write(
    {
      ...state,
      nics: left.length === 0 ? before.nics : state.nics,
      released: before.released,
      hasMarks: before.hasMarks || left.length > 0,
      lapsed: { at, configuration: trial.standing, steps: lapsedKeys(state, trial) },
      lastRun: { ...run, steps: trial.steps.length, failures: left },
    },
    { durable: true },
  );
  const record = { tried: trial.steps, done: [], storageProblem: remembrance.problem() };
  await recordRun({ paths, log }, { ...run, failures: left }, record);
}

/** With those of other NICs that had lapsed before. */
function lapsedKeys({ lapsed }: AgentState, { standing, steps }: Trial): readonly string[] {
  const earlier = lapsed?.configuration === standing ? lapsed.steps : [];
  return [...new Set([...earlier, ...steps.map(stepKey)])];
}

/** The daemon looks again at once; without one nobody hears it. */
async function ringDoorbell({ wake }: Paths): Promise<void> {
  await writeFile(wake, '').catch(() => undefined);
}

export function unconfirmed({ confirmBy }: Trial): AgentError {
  return new AgentError(
    'change-unconfirmed',
    `changing the network: a change waits for its confirmation until ${confirmBy}; \`eni-agent reconfigure --commit\` keeps it, without that it is rolled back then`,
  );
}

function nothingToCommit(late: Trial | null, lapsed: Lapse | null): AgentError {
  const cameBack =
    late === null
      ? `no change waits for one${lapsed === null ? '' : `, the last was rolled back at ${lapsed.at}`}`
      : `its time was over at ${late.confirmBy}, it is being rolled back`;
  return new AgentError('nothing-to-commit', `confirming the change: ${cameBack}`);
}
