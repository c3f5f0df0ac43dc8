/** One look: what is, what should be, and the steps between them. Changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { buildDesired } from '../desired/build.ts';
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
import { type Fetched, type Reading, readingOf, rememberedAnswer } from './reading.ts';

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
}

/** NICs by name or MAC as the operator typed them; null for all. */
export type Selection = readonly string[] | null;

/** ARCHITECTURE, decision 7: at most this long for udev. */
const UDEV_TIMEOUT_MS = 5_000;
const UDEV_POLL_MS = 50;
/** An observation is gone by that long. */
const FRESH_MS = 100;

export function planOptions({ routing }: Config): PlanOptions {
  const { tableBase, protocol, forwardedMask } = routing;
  return { tableBase, slots: SLOTS, protocol, forwardedMask };
}

/** `trustsLinks`: udev has had its time, links that it is not done with are taken as they are. */
export async function look(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
  trustsLinks = false,
): Promise<View> {
  return lookAt(looker, fetched, selection, await observe(looker.observer), trustsLinks);
}

/** Asks the metadata and observes the host at the same time; an observation that an answer kept waiting is made again. */
export async function lookMeanwhile(
  looker: Looker,
  asking: Promise<Fetched>,
  trustsLinks: boolean,
): Promise<View> {
  const [fetched, observation] = await Promise.all([asking, observe(looker.observer)]);
  if (!isFresh(observation)) return look(looker, fetched, null, trustsLinks);
  return lookAt(looker, fetched, null, observation, trustsLinks);
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
  trustsLinks: boolean,
): View {
  return viewOf(looker, fetched, selection, trustsLinks ? withoutUdev(observation) : observation);
}

export interface ReadyView {
  readonly view: View;
  readonly trustsLinks: boolean;
}

/** Like look(), but gives udev its time to finish with a NIC, and then goes on without it. */
export async function lookWhenReady(
  looker: Looker,
  fetched: Fetched,
  selection: Selection,
): Promise<ReadyView> {
  const deadline = Date.now() + UDEV_TIMEOUT_MS;
  for (;;) {
    const view = await look(looker, fetched, selection);
    if (!view.plan.deferrals.some(({ reason }) => reason === 'not-ready'))
      return { view, trustsLinks: false };
    if (Date.now() >= deadline) {
      return { view: await look(looker, fetched, selection, true), trustsLinks: true };
    }
    await delay(UDEV_POLL_MS);
  }
}

/** By the last good answer, without asking anybody; the view is null where there is none yet. */
export async function lookByLastAnswer(
  looker: Looker,
): Promise<{ readonly view: View | null; readonly state: AgentState }> {
  const observation = await observe(looker.observer);
  const { state } = observation.host;
  const metadata = state.metadata?.answer;
  if (metadata === undefined) return { state, view: null };
  // What a NIC lacks it lacks also while it is left alone.
  const memory = { ...looker.memory, paused: () => new Set<MacAddress>() };
  return { state, view: viewOf({ ...looker, memory }, { metadata }, null, observation) };
}

function withoutUdev(observation: Observation): Observation {
  const links = observation.host.links.map((link) => ({ ...link, ready: true }));
  return { ...observation, host: { ...observation.host, links } };
}

function viewOf(looker: Looker, fetched: Fetched, selection: Selection, observation: Observation): View {
  const { host } = observation;
  const reading = readingOf(fetched, host);
  const { config, templates, memory } = looker;
  const { metadata } = reading;
  const awaited = memory.awaited(host.links, metadata);
  const desired = buildDesired({ metadata, host, config, templates, awaited });
  const macs = selection === null ? null : selectedMacs(selection, reading, host);
  const paused = memory.paused();
  const isSelected = ({ mac }: { readonly mac: MacAddress }): boolean => macs === null || macs.has(mac);
  const isChosen = (of: { readonly mac: MacAddress }): boolean => isSelected(of) && !paused.has(of.mac);
  const { steps, deferrals, problems } = planChanges(host, desired, planOptions(config));
  const plan = {
    steps: steps.filter(isChosen),
    deferrals: deferrals.filter(isSelected),
    problems: problems.filter(isSelected),
  };
  const chosen = desired.interfaces.filter(isChosen);
  return { ...observation, reading, desired, chosen, plan };
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
  return known !== null && isDeepStrictEqual(answer, known.answer) ? known : { readAt: at, answer };
}
