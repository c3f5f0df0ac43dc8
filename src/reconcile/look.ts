/** One look: what is, what should be, and the steps between them. Changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { buildDesired } from '../desired/build.ts';
import { withRebuiltNics } from '../desired/rebuilt.ts';
import { SLOTS } from '../desired/slots.ts';
import { AgentError } from '../errors.ts';
import type { MetadataProvider } from '../metadata/provider.ts';
import type { Config } from '../model/config.ts';
import type { DesiredInterface, DesiredState } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import { type MacAddress, parseMacAddress } from '../model/net.ts';
import type { Plan, Step } from '../model/plan.ts';
import type { AgentState } from '../model/state.ts';
import type { Templates } from '../model/templates.ts';
import { type Observation, type Observer, observe } from '../observe/observe.ts';
import { type PlanOptions, planChanges } from '../plan/diff.ts';
import { identifyState } from '../system/state-file.ts';
import { isSameAnswer } from './answers.ts';
import { asClonePlan, findOrigin, withoutOrigin } from './clone.ts';
import {
  type Fetched,
  isOfThisMachine,
  type Reading,
  readingOf,
  rememberedAnswer,
  trusted,
} from './reading.ts';
import { createUdevPatience } from './udev-patience.ts';

/** What the daemon knows from one run to the next; a one-shot run knows nothing (`NO_MEMORY`). */
export interface Memory {
  /** MACs of links that are too new for the metadata to list them. */
  awaited(links: readonly Link[], metadata: InstanceMetadata): ReadonlySet<MacAddress>;
  /** NICs that failed and are left alone for a while. */
  paused(): ReadonlySet<MacAddress>;
  /** What somebody else keeps undoing is left undone for a while, and so are connection marks that failed. */
  isFought(step: Step): boolean;
}

export const NO_MEMORY: Memory = {
  awaited: () => new Set(),
  paused: () => new Set(),
  isFought: () => false,
};

export interface Looker {
  readonly memory: Memory;
  readonly provider: MetadataProvider;
  readonly observer: Observer;
  readonly config: Config;
  /** Of the configuration's text. */
  readonly configDigest: string;
  readonly templates: Templates;
}

export interface View extends Observation {
  readonly reading: Reading;
  /** Of all NICs, whatever was selected. */
  readonly desired: DesiredState;
  /** Those that were selected. */
  readonly chosen: readonly DesiredInterface[];
  /** For those that were selected. */
  readonly plan: Plan;
  /** The state is another machine's, as far as one answer can tell: nothing is done before it is confirmed. */
  readonly isClone: boolean;
}

/** NICs by name or MAC as the operator typed them; null for all. */
export type Selection = readonly string[] | null;

const UDEV_POLL_MS = 50;
/** An observation is gone by that long. */
const FRESH_MS = 100;

export function planOptions({ routing }: Config): PlanOptions {
  const { tableBase, protocol, forwardedMask } = routing;
  return { tableBase, slots: SLOTS, protocol, forwardedMask };
}

/** `overdue`: udev has had its time for these, and they are taken as they are. */
export async function look(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
  overdue: ReadonlySet<MacAddress> = new Set(),
): Promise<View> {
  return lookAt(looker, fetched, selection, await observe(looker.observer), overdue);
}

/** Asks the metadata and observes the host at the same time; an observation that an answer kept waiting is made again. */
export async function lookMeanwhile(
  looker: Looker,
  asking: Promise<Fetched>,
  overdue: ReadonlySet<MacAddress>,
): Promise<View> {
  const [fetched, observation] = await Promise.all([asking, observe(looker.observer)]);
  if (!isFresh(observation)) return look(looker, fetched, null, overdue);
  return lookAt(looker, fetched, null, observation, overdue);
}

/**
 * Whether the view is as good as one that is made now. Under the lock: nobody else has had it since, or the state file would be
 * another one; and what others do to the kernel in so short a time they may as well do after any look.
 */
export function isCurrent({ observer }: Looker, view: View): boolean {
  return isFresh(view) && identifyState(observer.paths) === view.stateIdentity;
}

function isFresh({ at }: Observation): boolean {
  return performance.now() - at < FRESH_MS;
}

function lookAt(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
  observation: Observation,
  overdue: ReadonlySet<MacAddress>,
): View {
  return viewOf(
    looker,
    fetched,
    selection,
    overdue.size > 0 ? withoutUdev(observation, overdue) : observation,
  );
}

export interface ReadyView {
  readonly view: View;
  readonly overdue: ReadonlySet<MacAddress>;
}

/** Like look(), but gives udev its time to finish with the NICs, and then goes on without it; one that came meanwhile is put off. */
export async function lookWhenReady(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
): Promise<ReadyView> {
  const patience = createUdevPatience();
  for (;;) {
    const overdue = patience.overdue(performance.now());
    const view = await look(looker, fetched, selection, overdue);
    patience.note(view.plan.deferrals, performance.now());
    if (overdue.size > 0 || !patience.isWaiting()) return { view, overdue };
    await delay(UDEV_POLL_MS);
  }
}

/**
 * By the last good answer, without asking anybody; the view is null where there is none yet. `isFailing`: runs go by it, too, also for
 * the NICs that it has only from an answer before.
 */
export async function lookByLastAnswer(
  looker: Looker,
  isFailing = false,
): Promise<{
  readonly view: View | null;
  readonly state: AgentState;
  readonly storageProblem: string | null;
}> {
  const observation = await observe(looker.observer);
  const { state } = observation.host;
  const storageProblem = observation.parkedState ?? observation.rejectedState?.problem ?? null;
  const answer = state.metadata?.answer;
  if (answer === undefined || !isOfThisMachine(answer, observation.host))
    return { state, storageProblem, view: null };
  const metadata = isFailing ? trusted(answer) : answer;
  // What a NIC lacks it lacks also while it is left alone.
  const memory = { ...looker.memory, paused: () => new Set<MacAddress>() };
  return {
    state,
    storageProblem,
    view: viewOf({ ...looker, memory }, { metadata }, null, observation, 'plan by the last answer'),
  };
}

function withoutUdev(observation: Observation, overdue: ReadonlySet<MacAddress>): Observation {
  const isOverdue = ({ permanentMac, mac }: Link): boolean =>
    [permanentMac, mac].some((each) => each !== null && overdue.has(each));
  const links = observation.host.links.map((link) => (isOverdue(link) ? { ...link, ready: true } : link));
  return { ...observation, host: { ...observation.host, links } };
}

/** `plan`: the name of the plan, for it to be remembered beside others. */
function viewOf(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
  observed: Observation,
  plan = 'plan',
): View {
  const reading = readingOf(fetched, observed.host);
  const { metadata, failure } = reading;
  const origin = failure === null ? findOrigin(observed.host.state, metadata, observed.host.links) : null;
  const observation = origin === null ? observed : withoutOrigin(observed, origin);
  const { config, templates, memory, observer } = looker;
  const { memo } = observer;
  const { tableBase } = config.routing;
  const host = memo.of('rebuilt', [observation.host, tableBase], () =>
    withRebuiltNics(observation.host, tableBase),
  );
  const awaited = memory.awaited(host.links, metadata);
  const paused = memory.paused();
  const waiting = [awaited, paused].map((macs) => [...macs].join(' '));
  const parts = [host, metadata, config, templates, origin, JSON.stringify(selection), ...waiting];
  const made = memo.of(plan, parts, () => {
    const desired = buildDesired({ metadata, host, config, templates, awaited });
    const changes = planChanges(host, desired, planOptions(config));
    const all = origin === null ? changes : asClonePlan(changes, observed, metadata.primaryMac, origin);
    const macs = selection === null ? null : selectedMacs(selection, reading, host);
    return { desired, ...choose(desired, all, macs, paused) };
  });
  return { ...observation, host, reading, ...made, isClone: origin !== null };
}

/** `macs`: those that were selected; null for all. */
function choose(
  desired: DesiredState,
  { steps, deferrals, problems }: Plan,
  macs: ReadonlySet<MacAddress> | null,
  paused: ReadonlySet<MacAddress>,
): Pick<View, 'chosen' | 'plan'> {
  const isSelected = ({ mac }: { readonly mac: MacAddress }): boolean => macs === null || macs.has(mac);
  const isChosen = (of: { readonly mac: MacAddress }): boolean => isSelected(of) && !paused.has(of.mac);
  const plan = {
    steps: steps.filter(isChosen),
    deferrals: deferrals.filter(isSelected),
    problems: problems.filter(isSelected),
  };
  return { chosen: desired.interfaces.filter(isChosen), plan };
}

/** What was asked for, and the primary: its rules and its table are part of what any NIC needs. */
function selectedMacs(
  selection: readonly string[],
  reading: Reading,
  host: HostState,
): ReadonlySet<MacAddress> {
  return new Set([reading.metadata.primaryMac, ...namedMacs(selection, reading, host)]);
}

/** What was asked for, and nothing else. AgentError `usage` for what is no NIC of this VM. */
export function namedMacs(
  selection: readonly string[],
  reading: Reading,
  host: HostState,
): readonly MacAddress[] {
  const known = [...reading.metadata.nics, ...reading.metadata.invalid].map(({ mac }) => mac);
  return selection.map((name) => {
    const link = host.links.find(({ ifname }) => ifname === name);
    const mac = parseMacAddress(name) ?? link?.permanentMac ?? link?.mac ?? null;
    if (mac === null || !(known.includes(mac) || mac in host.state.nics)) {
      const what =
        link === undefined ? 'there is no such interface' : 'the metadata does not list it, so it is no ENI';
      throw new AgentError(
        'usage',
        `selecting ${name}: ${what}; \`eni-agent status\` shows the NICs there are`,
      );
    }
    return mac;
  });
}

/** What to remember of the metadata: the very same object when it says nothing new. */
export function rememberedMetadata({ reading, host }: View, at: string): AgentState['metadata'] {
  const known = host.state.metadata;
  if (reading.failure !== null) return known;
  const answer = rememberedAnswer(reading.metadata, known?.answer);
  return known !== null && isSameAnswer(answer, known.answer) ? known : { readAt: at, answer };
}
