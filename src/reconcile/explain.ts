/** Asks the kernel which way a packet takes, and finds out what decided. Changes nothing, asks no metadata service. */
import { findLink, joinNics } from '../desired/nics.ts';
import { SLOTS } from '../desired/slots.ts';
import { decide } from '../explain/decide.ts';
import {
  arrivalLink,
  deviceOf,
  type Findings,
  isCloudLink,
  type Lookup,
  linkOf,
  type World,
} from '../explain/findings.ts';
import { isRefusedThere, lookUp } from '../kernel/lookup.ts';
import { dumpRuleDetails } from '../kernel/rule-details.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { Config } from '../model/config.ts';
import type { HostState, Link } from '../model/host.ts';
import type { Flow, LookupAnswer, NicFacts } from '../model/lookup.ts';
import type { IpAddress, MacAddress } from '../model/net.ts';
import { type Observer, observe } from '../observe/observe.ts';

export interface Explainer {
  readonly observer: Observer;
  readonly config: Config;
}

/** Somebody may change rules and routes between the look at them and the kernel's answer. */
const ATTEMPTS = 3;

/** What the operator asks. */
export type Question = Omit<Flow, 'input'>;

export async function explain(explainer: Explainer, flow: Question): Promise<Findings> {
  for (let attempt = 1; ; attempt += 1) {
    const findings = await explainOnce(explainer, flow);
    const lookups = [findings.forward, ...(findings.reply === null ? [] : [findings.reply])];
    if (attempt === ATTEMPTS || lookups.every(({ decision }) => decision.kind !== 'unknown')) return findings;
  }
}

async function explainOnce({ observer, config }: Explainer, asked: Question): Promise<Findings> {
  const { rtnetlink } = observer;
  const [{ host }, rules] = await Promise.all([observe(observer), dumpRuleDetails(rtnetlink)]);
  const world: World = {
    links: host.links,
    rules,
    routes: host.routes,
    allSysctls: host.allSysctls,
    nics: nicFacts(host, config),
    tableBase: config.routing.tableBase,
    slots: SLOTS,
    isPrimaryRouted: config.routing.primary !== 'never',
  };
  const whereabouts = asked.source === null ? HERE : await whereaboutsOf(asked.source, world, rtnetlink);
  const flow: Flow = { ...asked, input: whereabouts.input };
  const forward = await lookUpAndDecide(rtnetlink, world, flow);
  const source = flow.source ?? chosenSource(forward.answer);
  const hasReply = source !== null && whereabouts.isHere && deviceOf(forward) !== null;
  const reply = hasReply ? await replyOf(source, forward, world, rtnetlink) : null;
  return {
    forward,
    source,
    isSourceHere: whereabouts.isHere,
    reply,
    isArrivalRefused: hasReply && (await isArrivalRefused(source, reply ?? forward, world, rtnetlink)),
    world,
  };
}

/** To a packet from the destination to the source: with the source, as the packet itself where it was asked for with one. */
async function replyOf(
  source: IpAddress,
  forward: Lookup,
  world: World,
  rtnetlink: Rtnetlink,
): Promise<Lookup> {
  const { flow } = forward;
  return flow.source === source ? forward : lookUpAndDecide(rtnetlink, world, { ...flow, source });
}

async function lookUpAndDecide(rtnetlink: Rtnetlink, world: World, flow: Flow): Promise<Lookup> {
  const answer = await lookUp(rtnetlink, flow);
  return { flow, answer, decision: decide(world, flow, answer) };
}

function chosenSource(answer: LookupAnswer): IpAddress | null {
  return answer.kind === 'way' && answer.type === 'unicast' ? answer.source : null;
}

interface Whereabouts {
  readonly isHere: boolean;
  /** The link that it is behind, when that is no NIC of the cloud: its packets are forwarded. */
  readonly input: Link | null;
}

const HERE: Whereabouts = { isHere: true, input: null };

/** On a link, in the table local by somebody's hand, or behind a bridge or a VPN. */
async function whereaboutsOf(source: IpAddress, world: World, rtnetlink: Rtnetlink): Promise<Whereabouts> {
  if (linkOf(source, world, null) !== undefined) return HERE;
  const answer = await lookUp(rtnetlink, { destination: source, source: null, input: null });
  if (answer.kind === 'refusal') return { isHere: false, input: null };
  if (answer.type === 'local') return HERE;
  const isBehind = answer.type === 'unicast' && !isCloudLink(answer.linkIndex, world);
  const link = world.links.find(({ index }) => index === answer.linkIndex);
  return { isHere: false, input: isBehind ? (link ?? null) : null };
}

async function isArrivalRefused(
  source: IpAddress,
  reply: Lookup,
  world: World,
  rtnetlink: Rtnetlink,
): Promise<boolean> {
  const arrival = arrivalLink(source, deviceOf(reply), world);
  if (arrival === undefined || !arrival.up) return false;
  return isRefusedThere(rtnetlink, reply.flow.destination, source, arrival.index);
}

/** By the last good answer; and what was a NIC of the cloud before is one still. */
export function nicFacts(host: HostState, config: Config): readonly NicFacts[] {
  const metadata = host.state.metadata?.answer;
  if (metadata === undefined) return [];
  const { nics, deferrals } = joinNics(metadata, host, config);
  const tableOf = (mac: MacAddress): number | null => {
    const slot = mac === metadata.primaryMac ? 0 : host.state.nics[mac]?.slot;
    return slot === undefined ? null : config.routing.tableBase + slot;
  };
  const listed = nics.map(({ mac, link, role, reading, config: own }) => ({
    mac,
    link,
    role,
    table: tableOf(mac),
    leftAlone: deferrals.find((deferral) => deferral.mac === mac)?.reason ?? null,
    listed: [...(reading?.addresses ?? []), ...own.addresses].map(({ address }) => address),
    excluded: own.excludeAddresses,
  }));
  const known = new Set(listed.map(({ link }) => link.index));
  return [...listed, ...formerNics(host, known).map((nic) => ({ ...nic, table: tableOf(nic.mac) }))];
}

/** That the metadata lists no more, while their links are still there. */
function formerNics(
  { state, links }: HostState,
  known: ReadonlySet<number>,
): readonly Omit<NicFacts, 'table'>[] {
  return Object.keys(state.nics).flatMap((key) => {
    const mac = key as MacAddress;
    const link = findLink(mac, links);
    if (link === undefined || known.has(link.index)) return [];
    return [{ mac, link, role: 'secondary', leftAlone: 'no-metadata', listed: [], excluded: [] }];
  });
}
