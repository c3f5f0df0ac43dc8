/** Asks the kernel which way a packet takes, and finds out what decided. Changes nothing, asks no metadata service. */
import { joinNics } from '../desired/nics.ts';
import { SLOTS } from '../desired/slots.ts';
import { decide } from '../explain/decide.ts';
import {
  arrivalLink,
  deviceOf,
  type Findings,
  type Lookup,
  linkOf,
  type World,
} from '../explain/findings.ts';
import { isRefusedThere, lookUp } from '../kernel/lookup.ts';
import { dumpRuleDetails } from '../kernel/rule-details.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { Config } from '../model/config.ts';
import type { HostState } from '../model/host.ts';
import type { Flow, LookupAnswer, NicFacts } from '../model/lookup.ts';
import type { IpAddress } from '../model/net.ts';
import { type Observer, observe } from '../observe/observe.ts';

export interface Explainer {
  readonly observer: Observer;
  readonly config: Config;
}

/** Somebody may change rules and routes between the look at them and the kernel's answer. */
const ATTEMPTS = 3;

export async function explain(explainer: Explainer, flow: Flow): Promise<Findings> {
  for (let attempt = 1; ; attempt += 1) {
    const findings = await explainOnce(explainer, flow);
    const lookups = [findings.forward, ...(findings.reply === null ? [] : [findings.reply])];
    if (attempt === ATTEMPTS || lookups.every(({ decision }) => decision.kind !== 'unknown')) return findings;
  }
}

async function explainOnce({ observer, config }: Explainer, flow: Flow): Promise<Findings> {
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
  const ask = async (asked: Flow): Promise<Lookup> => lookUpAndDecide(rtnetlink, world, asked);
  const forward = await ask(flow);
  const source = flow.source ?? chosenSource(forward.answer);
  const isSourceHere = source === null || (await isHere(source, world, rtnetlink));
  const hasReply = source !== null && isSourceHere && deviceOf(forward) !== null;
  const reply = hasReply ? await (flow.source === null ? ask({ ...flow, source }) : forward) : null;
  return {
    forward,
    source,
    isSourceHere,
    reply,
    isArrivalRefused: hasReply && (await isArrivalRefused(source, reply ?? forward, world, rtnetlink)),
    world,
  };
}

async function lookUpAndDecide(rtnetlink: Rtnetlink, world: World, flow: Flow): Promise<Lookup> {
  const answer = await lookUp(rtnetlink, flow);
  return { flow, answer, decision: decide(world, flow, answer) };
}

function chosenSource(answer: LookupAnswer): IpAddress | null {
  return answer.kind === 'way' && answer.type === 'unicast' ? answer.source : null;
}

/** On a link, or in the table local by somebody's hand. */
async function isHere(source: IpAddress, world: World, rtnetlink: Rtnetlink): Promise<boolean> {
  if (linkOf(source, world, null) !== undefined) return true;
  const answer = await lookUp(rtnetlink, { destination: source, source: null });
  return answer.kind === 'way' && answer.type === 'local';
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
function nicFacts(host: HostState, config: Config): readonly NicFacts[] {
  const metadata = host.state.metadata?.answer;
  if (metadata === undefined) return [];
  const { nics, deferrals } = joinNics(metadata, host, config);
  return nics.map(({ mac, link, role, reading }) => {
    const slot = role === 'primary' ? 0 : host.state.nics[mac]?.slot;
    return {
      mac,
      link,
      role,
      table: slot === undefined ? null : config.routing.tableBase + slot,
      leftAlone: deferrals.find((deferral) => deferral.mac === mac)?.reason ?? null,
      listed: (reading?.addresses ?? []).map(({ address }) => address),
    };
  });
}
