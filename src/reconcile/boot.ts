/** One shot at boot: waits for the metadata, applies what is there, then waits for links that the metadata lists and that are late. */
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../errors.ts';
import type { Deferral } from '../model/desired.ts';
import type { MacAddress } from '../model/net.ts';
import { observe } from '../observe/observe.ts';
import { lookByLastAnswer } from './look.ts';
import type { ReconcileOutcome } from './outcome.ts';
import { type Fetched, fetchMetadata, readingOf, startingWith } from './reading.ts';
import { type Reconciler, reconcile } from './reconcile.ts';
import { requireNoTrial } from './trial.ts';

/** Between two questions to the metadata: each pause is twice the one before, up to the longest. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;
/** So long, or half of the time there is, the metadata has before the last good answer is taken. */
const PATIENCE_MS = 10_000;
/** CONTRACT: so long a listed link may be late. */
const LINK_PATIENCE_MS = 10_000;
const LINK_POLL_MS = 100;

export interface BootOptions {
  /** performance.now() from which on nothing is waited for and no run begins. */
  readonly deadline: number;
  /** Ends it at once, but for a run that is under way. */
  readonly signal: AbortSignal;
  readonly onRun: (outcome: ReconcileOutcome) => void;
}

/** The outcome of the last run. AgentError when there is neither metadata nor a last good answer of this machine. */
export async function boot(reconciler: Reconciler, options: BootOptions): Promise<ReconcileOutcome> {
  const run = async (fetched: Fetched): Promise<ReconcileOutcome> => {
    const provider = startingWith(fetched, reconciler.provider);
    const result = await reconcile({ ...reconciler, provider }, { trigger: 'boot', selection: null });
    options.onRun(result);
    return result;
  };
  await requireNoTrial(reconciler);
  let outcome = await run(await waitForMetadata(reconciler, options));
  const clock = createClock({
    ...options,
    deadline: Math.min(options.deadline, performance.now() + LINK_PATIENCE_MS),
  });
  while (pendingMacs(outcome).size > 0 && !clock.isOver()) {
    await clock.pause(LINK_POLL_MS);
    if (await hasLinkCome(reconciler, outcome)) {
      const fetched = await clock.within(fetchMetadata(reconciler.provider));
      outcome = await run(fetched ?? { failure: noAnswerYet() });
    }
  }
  return outcome;
}

/** A new answer; or the failure because of which a run will go by the last good one. */
async function waitForMetadata(reconciler: Reconciler, options: BootOptions): Promise<Fetched> {
  const now = performance.now();
  const patience = Math.min((options.deadline - now) / 2, PATIENCE_MS);
  const untilFallback = createClock({ ...options, deadline: now + patience });
  const untilEnd = createClock(options);
  let failure = noAnswerYet();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const clock = untilFallback.isOver() ? untilEnd : untilFallback;
    // A question that is cut short says less than the one before it.
    const fetched = (await clock.within(fetchMetadata(reconciler.provider))) ?? { failure };
    if ('metadata' in fetched) return fetched;
    failure = fetched.failure;
    await clock.pause(pauseMs);
    if (!clock.isOver()) continue;
    const problem = await lastAnswerProblem(reconciler, fetched);
    if (problem === null && !options.signal.aborted) return fetched;
    if (!untilEnd.isOver()) continue;
    const message = problem?.message ?? `${fetched.failure.message}; ended before it answered`;
    throw new AgentError(
      fetched.failure.code,
      `${message}; the network is as the distribution's files made it`,
      {
        cause: fetched.failure,
      },
    );
  }
}

/** Why the last good answer cannot be gone by; null when it can. */
async function lastAnswerProblem({ observer }: Reconciler, fetched: Fetched): Promise<AgentError | null> {
  const { host } = await observe(observer);
  try {
    readingOf(fetched, host);
    return null;
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
}

function noAnswerYet(): AgentError {
  return new AgentError('metadata-unreachable', 'reading the instance metadata: no answer yet');
}

function pendingMacs({ deferrals }: { readonly deferrals: readonly Deferral[] }): ReadonlySet<MacAddress> {
  const pending = deferrals.filter(({ reason }) => reason === 'no-link' || reason === 'not-ready');
  return new Set(pending.map(({ mac }) => mac));
}

async function hasLinkCome(reconciler: Reconciler, outcome: ReconcileOutcome): Promise<boolean> {
  const { view } = await lookByLastAnswer(reconciler);
  if (view === null) return false;
  const pending = pendingMacs(view.plan);
  return [...pendingMacs(outcome)].some((mac) => !pending.has(mac));
}

interface Clock {
  isOver(): boolean;
  /** At most that long, and not past the end. */
  pause(ms: number): Promise<void>;
  /** undefined when the work is not done by the end; it is not awaited any longer. */
  within<T>(work: Promise<T>): Promise<T | undefined>;
}

function createClock({ deadline, signal }: Pick<BootOptions, 'deadline' | 'signal'>): Clock {
  const left = (): number => Math.max(0, deadline - performance.now());
  return {
    isOver: () => signal.aborted || left() === 0,
    pause: (ms) => sleep(Math.min(ms, left()), signal),
    within: async (work) => {
      const done = new AbortController();
      try {
        return await Promise.race([work, sleep(left(), AbortSignal.any([signal, done.signal]))]);
      } finally {
        done.abort();
      }
    },
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<undefined> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
