/** CONTRACT of `explain --json` (docs/cli.md): what was found, as plain values. */
import type { DeferralReason, Role } from '../model/desired.ts';
import type { RuleAction, RuleDetails, WayType } from '../model/lookup.ts';
import type { Decision } from './decide.ts';
import { describeRule, describeSelector, nameRule } from './describe.ts';
import type { Problem } from './diagnose.ts';
import {
  arrivalLink,
  deviceOf,
  type Findings,
  isOurs,
  type Lookup,
  linkName,
  linkOf,
  nicAt,
  type World,
} from './findings.ts';

interface RuleDocument {
  readonly priority: number;
  /** As `ip rule` writes it: `from 10.0.1.4`. */
  readonly selector: string;
  readonly action: RuleAction;
  /** null for an action that looks up none. */
  readonly table: number | null;
  /** By its shape it is the agent's. */
  readonly ours: boolean;
}

interface LookupDocument {
  /** null when the kernel refuses. */
  readonly type: WayType | null;
  /** The kernel's words; null when it does not refuse. */
  readonly refusal: string | null;
  readonly interface: string | null;
  readonly gateway: string | null;
  readonly source: string | null;
  /** That decided; null where none did, or it cannot be told. */
  readonly rule: RuleDocument | null;
  readonly route: { readonly type: WayType; readonly destination: string; readonly table: number } | null;
}

export interface ExplainDocument {
  readonly destination: string;
  readonly from: string | null;
  readonly way: LookupDocument;
  /** The NIC of the cloud by which it leaves. */
  readonly nic: {
    readonly name: string;
    readonly mac: string;
    readonly role: Role;
    readonly table: number | null;
    readonly leftAlone: DeferralReason | null;
  } | null;
  /** null when there is nobody who replies. */
  readonly reply:
    | (LookupDocument & { readonly arrivesBy: string | null; readonly sameInterface: boolean })
    | null;
  readonly good: boolean;
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}

export function documentOf(findings: Findings, problems: readonly Problem[]): ExplainDocument {
  const { forward, reply, world } = findings;
  const nic = nicAt(deviceOf(forward), world);
  return {
    destination: forward.flow.destination,
    from: forward.flow.source,
    way: lookupDocument(forward, world),
    nic:
      nic === undefined
        ? null
        : {
            name: nic.link.ifname,
            mac: nic.mac,
            role: nic.role,
            table: nic.table,
            leftAlone: nic.leftAlone,
          },
    reply: reply === null ? null : replyDocument(reply, findings),
    good: problems.length === 0,
    problems,
    notes: notesOf(findings),
  };
}

function replyDocument(reply: Lookup, { source, world }: Findings): NonNullable<ExplainDocument['reply']> {
  const device = deviceOf(reply);
  const arrival = source === null ? undefined : arrivalLink(source, device, world);
  return {
    ...lookupDocument(reply, world),
    arrivesBy: arrival?.ifname ?? null,
    sameInterface: device !== null && device === arrival?.index,
  };
}

function lookupDocument({ answer, decision, flow }: Lookup, world: World): LookupDocument {
  const { rule, route } = decision;
  const isWay = answer.kind === 'way';
  const matched =
    isWay && answer.route !== null && answer.table !== null
      ? { type: answer.type, destination: answer.route, table: answer.table }
      : null;
  return {
    type: isWay ? answer.type : null,
    refusal: isWay ? null : answer.text,
    interface: isWay && answer.linkIndex !== null ? linkName(answer.linkIndex, world) : null,
    gateway: isWay ? answer.gateway : null,
    source: flow.source ?? (isWay ? answer.source : null),
    rule: rule === null ? null : ruleDocument(rule, world),
    route:
      route === null ? matched : { type: route.type, destination: route.destination, table: route.table },
  };
}

function ruleDocument(rule: RuleDetails, world: World): RuleDocument {
  const { priority, action, table } = rule;
  const ours = isOurs(rule, world);
  return {
    priority,
    selector: describeSelector(rule),
    action,
    table: action === 'table' ? table : null,
    ours,
  };
}

/** What is right, or cannot be told, and is worth knowing. */
function notesOf(findings: Findings): readonly string[] {
  const { forward, reply, world } = findings;
  const decisions = [forward, ...(reply === null ? [] : [reply])].map(({ decision }) => decision);
  const notes = [
    ...(isSourceRefused(findings) ? [] : decisions.flatMap(undecidedNote)),
    ...decisions.flatMap(({ others }) => others.filter((rule) => !isOurs(rule, world)).map(otherNote)),
    ...translationNote(findings),
    ...forwardingNote(findings),
  ];
  return [...new Set(notes)];
}

/** The kernel has not looked at any rule. */
export function isSourceRefused({ isSourceHere, forward }: Findings): boolean {
  return !isSourceHere && forward.flow.input === null && forward.answer.kind === 'refusal';
}

function undecidedNote({ kind, candidates }: Decision): readonly string[] {
  if (kind !== 'unknown') return [];
  const among = candidates.length === 0 ? '' : `; it is one of ${candidates.map(nameRule).join(', ')}`;
  return [`which rule decided cannot be told from the rules and routes that are there${among}`];
}

function otherNote(rule: RuleDetails): string {
  return `packets with the mark, protocol, port or user of rule ${rule.priority} go by that one: ${describeRule(rule)}`;
}

function translationNote({ forward, source, world }: Findings): readonly string[] {
  const device = deviceOf(forward);
  const { input } = forward.flow;
  const home = input ?? (source === null ? undefined : linkOf(source, world, device));
  if (home === undefined || nicAt(device, world) === undefined || nicAt(home.index, world) !== undefined)
    return [];
  const where = `${source} is ${input === null ? 'on' : 'behind'} ${home.ifname}`;
  return [`${where}, no NIC of the cloud: it gets out only where it is translated (NAT)`];
}

/** No source rule can match what is forwarded: replies need the mark of their connection. */
function forwardingNote({ forward, world }: Findings): readonly string[] {
  const device = deviceOf(forward);
  const isMarked = world.rules.some((rule) => rule.mark !== null && isOurs(rule, world));
  if (forward.flow.input === null || isMarked || world.nics.length < 2) return [];
  if (nicAt(device, world) === undefined) return [];
  return [
    `replies of forwarded connections (published ports) that came in by another NIC leave by ${linkName(device, world)}, too, ` +
      'where the cloud drops them; with routing.forwarded: connmark they would not',
  ];
}
