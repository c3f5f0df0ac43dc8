/**
 * What the daemon does whenever something rings: ask the metadata when that may have news, look, settle, and set the clock for
 * what is waited for. It remembers only what makes it polite and careful: equal answers, new links, NICs that failed.
 */
import { isMarkStep } from '../apply/executors.ts';
import { AgentError } from '../errors.ts';
import { dumpLinks } from '../kernel/links.ts';
import type { Log } from '../log.ts';
import type { IpAddress, MacAddress } from '../model/net.ts';
import type { Step } from '../model/plan.ts';
import type { Trigger } from '../model/state.ts';
import { describeStep } from '../plan/describe.ts';
import { timeLeft } from '../system/trial-file.ts';
import { ANSWER_INTERVAL_MS, type AnswerCount, countAnswer } from './answers.ts';
import { createBackoff } from './backoff.ts';
import { createFights } from './fights.ts';
import { createInquiry } from './inquiry.ts';
import { createLagTracker, type Lag } from './lag.ts';
import { type Looker, lookMeanwhile, type Memory, type View } from './look.ts';
import { failedNics, type ReconcileOutcome } from './outcome.ts';
import { createPublicAddresses } from './public-addresses.ts';
import type { Fetched } from './reading.ts';
import { type Reconciler, settle } from './reconcile.ts';
import { createRunner } from './runner.ts';
import { createTold, type Told } from './told.ts';
import { rollBackOverdueTrial } from './trial.ts';
import { createUdevPatience } from './udev-patience.ts';
import { createUnclaimedNics } from './unclaimed.ts';

/** While the metadata lags behind the links it is asked this often (ARCHITECTURE); so is for an answer that is to be confirmed. */
const NEWS_INTERVAL_MS = ANSWER_INTERVAL_MS;
const UDEV_POLL_MS = 200;
/** Of the links that came at once: a container engine brings many, and none of them is an ENI. */
const MOST_EXPECTED = 4;
/** A change that nobody confirmed is rolled back by its guardian; so much later it is ours to do. */
const GUARDIAN_LEAD_MS = 1_000;

export interface Health {
  /** Milliseconds since the last good answer of this process; null before the first. */
  readonly ageMs: number | null;
  readonly failure: AgentError | null;
  /** What somebody else keeps undoing. */
  readonly fights: ReadonlyMap<MacAddress, string>;
  /** By private address. */
  readonly publicAddresses: ReadonlyMap<IpAddress, IpAddress>;
}

export interface Service {
  ring(trigger: Trigger): void;
  /** Operator's work: not beside a run. */
  exclusive<T>(work: (reconciler: Reconciler) => Promise<T>): Promise<T>;
  /** For who only looks, beside a run: that one may have to wait for the metadata. */
  looker(): Looker;
  /** From now on with this one: the configuration has changed. The one before is closed. */
  replace(reconciler: Omit<Reconciler, 'memory'>): Promise<void>;
  health(): Health;
  /** Ends what is under way in good order. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly reconciler: Omit<Reconciler, 'memory'>;
  readonly log: Log;
  /** After every run. */
  readonly onRun: (trigger: Trigger, outcome: ReconcileOutcome) => void;
  /** After one that could do nothing at all. */
  readonly onFailedRun: (trigger: Trigger) => void;
}

/** A kernel event alone is no reason to ask the metadata: what drifted is put back by the answer that is known. */
function mayHaveNews(triggers: ReadonlySet<Trigger>): boolean {
  return [...triggers].some((trigger) => trigger !== 'kernel');
}

/** Somebody did something; the clock and the service itself only ask again. */
function bringsNews(trigger: Trigger): boolean {
  return !['kernel', 'metadata', 'timer'].includes(trigger);
}

export function createService(options: ServiceOptions): Service {
  return new ReconcilingService(options);
}

class ReconcilingService implements Service {
  readonly #log: Log;
  readonly #told: Told;
  readonly #onRun: ServiceOptions['onRun'];
  readonly #onFailedRun: ServiceOptions['onFailedRun'];
  readonly #backoff = createBackoff();
  /** Of the connection marks alone: the rest of such a NIC goes on. */
  readonly #markBackoff = createBackoff();
  readonly #fights = createFights();
  readonly #publicAddresses = createPublicAddresses();
  readonly #lagTracker = createLagTracker();
  readonly #inquiry = createInquiry(() => this.ring('metadata'));
  readonly #runner = createRunner<Trigger>((triggers) => this.#run(triggers));
  readonly #memory: Memory = {
    awaited: (links, metadata) => {
      this.#lag = this.#lagTracker.update(links, metadata, performance.now());
      return this.#lag.newcomers;
    },
    paused: () => this.#backoff.paused(performance.now()),
    isFought: (step) => this.#fights.isPaused(step, performance.now()) || this.#isMarkPaused(step),
  };
  /** What is being read when the end comes was cut short by us, and says nothing of the metadata. */
  readonly #end = new AbortController();
  #reconciler: Reconciler;
  /** Null until the first good answer, and while the metadata fails. */
  #answers: AnswerCount | null = null;
  #answeredAt: number | null = null;
  /** Or told to wait. */
  #askedAt = 0;
  #failure: AgentError | null = null;
  readonly #udev = createUdevPatience();
  readonly #unclaimed = createUnclaimedNics();
  /** At the last look. */
  #lag: Lag = { newcomers: new Set(), departed: new Set() };
  #alarm: NodeJS.Timeout | undefined;

  constructor({ reconciler, log, onRun, onFailedRun }: ServiceOptions) {
    this.#log = log;
    this.#told = createTold(log);
    this.#onRun = onRun;
    this.#onFailedRun = onFailedRun;
    this.#reconciler = { ...reconciler, memory: this.#memory };
  }

  ring(trigger: Trigger): void {
    this.#runner.ring(trigger);
  }

  exclusive<T>(work: (reconciler: Reconciler) => Promise<T>): Promise<T> {
    return this.#runner.exclusive(() => {
      this.#fights.forget();
      return work(this.#reconciler);
    });
  }

  looker(): Looker {
    return this.#reconciler;
  }

  replace(next: Omit<Reconciler, 'memory'>): Promise<void> {
    return this.#runner.exclusive(async () => {
      this.#reconciler.provider.close();
      this.#reconciler = { ...next, memory: this.#memory };
      this.#inquiry.forget();
      this.#answers = null;
      this.#failure = null;
      this.#fights.forget();
    });
  }

  health(): Health {
    const ageMs = this.#answeredAt === null ? null : performance.now() - this.#answeredAt;
    return {
      ageMs,
      failure: this.#failure,
      fights: this.#fights.reasons(performance.now()),
      publicAddresses: this.#publicAddresses.known(),
    };
  }

  async stop(): Promise<void> {
    clearTimeout(this.#alarm);
    this.#inquiry.forget();
    this.#end.abort();
    this.#reconciler.provider.close();
    await this.#runner.stop();
    clearTimeout(this.#alarm);
  }

  async #run(triggers: ReadonlySet<Trigger>): Promise<void> {
    clearTimeout(this.#alarm);
    const [trigger = 'timer'] = triggers;
    if (triggers.has('link') || triggers.has('config') || triggers.has('wake')) {
      this.#backoff.forget();
      this.#markBackoff.forget();
    }
    try {
      const outcome = await this.#reconcile(triggers, trigger);
      const { steps, durationMs } = outcome;
      this.#log.debug({ trigger, outcome: outcome.outcome, steps: steps.length, durationMs }, 'run');
      this.#onRun(trigger, outcome);
    } catch (error) {
      if (error === this.#end.signal.reason) return;
      // What is no AgentError is a bug: the service manager starts a new process, which looks at everything anew.
      if (!(error instanceof AgentError)) throw error;
      this.#told.failed(trigger, error);
      this.#onFailedRun(trigger);
    }
  }

  async #reconcile(triggers: ReadonlySet<Trigger>, trigger: Trigger): Promise<ReconcileOutcome> {
    const startedAt = performance.now();
    await rollBackOverdueTrial(this.#reconciler);
    const overdue = this.#udev.overdue(startedAt);
    const view = await lookMeanwhile(this.#reconciler, this.#readMetadata(triggers), overdue);
    await this.#unclaimed.cover(view, { paths: this.#reconciler.applier.paths, log: this.#log });
    const needed = this.#reconciler.config.daemon.removalConfirmations;
    const isConfirmed = this.#failure === null && (this.#answers?.count ?? 0) >= needed;
    const request = { trigger, selection: null };
    const outcome = await settle(this.#reconciler, request, { view, overdue, isConfirmed }, startedAt);
    this.#noteFailures(outcome, view);
    this.#noteFights(outcome);
    this.#told.ran({ ...outcome, trial: view.trial });
    this.#setAlarm(view, outcome);
    if (this.#failure === null) {
      const { nics } = view.reading.metadata;
      this.#publicAddresses.refresh(this.#reconciler.provider, nics, performance.now());
    }
    return outcome;
  }

  async #readMetadata(triggers: ReadonlySet<Trigger>): Promise<Fetched> {
    const known = this.#lastFetched();
    if (known !== null && !mayHaveNews(triggers)) return known;
    const { provider, config } = this.#reconciler;
    this.#askedAt = performance.now();
    const fetched = await this.#inquiry.ask({
      provider,
      known,
      bringsNews: [...triggers].some(bringsNews),
      ...(triggers.has('link') ? { expected: this.#newLinks() } : {}),
      longestPauseMs: config.daemon.resyncIntervalMs,
    });
    this.#end.signal.throwIfAborted();
    if (fetched !== known) this.#note(fetched);
    // An answer that says the same is the very same object: nothing is built again.
    return this.#lastFetched() ?? fetched;
  }

  /** Most likely the metadata lists them by now. */
  async #newLinks(): Promise<readonly MacAddress[]> {
    try {
      const links = await dumpLinks(this.#reconciler.applier.kernel.rtnetlink);
      return this.#lagTracker.unseen(links).slice(0, MOST_EXPECTED);
    } catch (error) {
      if (error instanceof AgentError) return [];
      throw error;
    }
  }

  /** What is gone by between two readings. */
  #lastFetched(): Fetched | null {
    if (this.#failure !== null) return { failure: this.#failure };
    return this.#answers === null ? null : { metadata: this.#answers.metadata };
  }

  #note(fetched: Fetched): void {
    if ('failure' in fetched) {
      // Which key failed first is chance, and no news.
      if (this.#failure?.code !== fetched.failure.code) {
        const problem = fetched.failure.message;
        this.#log.warn({ problem }, 'metadata unavailable, nothing is taken away');
      }
      this.#failure = fetched.failure;
      this.#answers = null;
      return;
    }
    if (this.#failure !== null) this.#log.info({}, 'metadata available again');
    this.#failure = null;
    this.#answeredAt = performance.now();
    const known = this.#answers;
    this.#answers = countAnswer(known, fetched.metadata, this.#answeredAt);
    if (this.#answers.metadata !== known?.metadata) this.#fights.forget();
  }

  #noteFailures({ problems, steps }: ReconcileOutcome, { chosen, plan }: View): void {
    const failed = failedNics(problems, plan);
    for (const { mac, isAboutMarks } of problems)
      if (isAboutMarks === true) this.#markBackoff.failed(mac, performance.now());
    for (const { mac } of steps.filter(isMarkStep)) this.#markBackoff.worked(mac);
    for (const { mac } of chosen) if (!failed.has(mac)) this.#backoff.worked(mac);
    const touched = new Set(steps.map(({ mac }) => mac));
    for (const mac of failed) if (!touched.has(mac)) this.#backoff.failed(mac, performance.now());
  }

  #isMarkPaused(step: Step): boolean {
    return isMarkStep(step) && this.#markBackoff.paused(performance.now()).has(step.mac);
  }

  #noteFights({ steps, held }: ReconcileOutcome): void {
    this.#fights.left(held);
    for (const step of this.#fights.done(steps, performance.now())) {
      const { mac, interface: ifname } = step;
      this.#log.warn({ mac, interface: ifname, step: describeStep(step) }, 'somebody else keeps undoing it');
    }
  }

  /** For what is waited for; everything else rings by itself, the timer at the latest. */
  #setAlarm({ plan, trial }: View, { held }: ReconcileOutcome): void {
    const { newcomers, departed } = this.#lag;
    const now = performance.now();
    this.#udev.note(plan.deferrals, now);
    const isUnconfirmed =
      this.#failure === null && held.some((step) => step.withdrawal && !this.#fights.isPaused(step, now));
    const awaitsNews = newcomers.size > 0 || departed.size > 0;
    // From the answer on, not from this run: whatever else rings must not put it off. Asked since in vain: from then on.
    const news = (since: number | null | undefined): number => {
      const due = (since ?? now) + NEWS_INTERVAL_MS;
      if (due > now) return due - now;
      return this.#askedAt < due ? 0 : this.#askedAt + NEWS_INTERVAL_MS - now;
    };
    const delay = Math.min(
      this.#udev.isWaiting() ? UDEV_POLL_MS : Number.POSITIVE_INFINITY,
      awaitsNews ? news(this.#answeredAt) : Number.POSITIVE_INFINITY,
      isUnconfirmed ? news(this.#answers?.countedAt) : Number.POSITIVE_INFINITY,
      this.#backoff.nextDelay(now) ?? Number.POSITIVE_INFINITY,
      this.#markBackoff.nextDelay(now) ?? Number.POSITIVE_INFINITY,
      this.#fights.nextDelay(now) ?? Number.POSITIVE_INFINITY,
      trial === null ? Number.POSITIVE_INFINITY : timeLeft(trial) + GUARDIAN_LEAD_MS,
    );
    if (Number.isFinite(delay)) this.#alarm = setTimeout(() => this.ring('metadata'), delay);
  }
}
