/** Look-ups: which way a packet takes. What the kernel answers, and rules with all that they select by. */
import type { DeferralReason, Role } from './desired.ts';
import type { Link, RouteType, Rule } from './host.ts';
import type { Cidr, IpAddress, MacAddress } from './net.ts';

/** A packet that this machine sends or forwards, before it has a device or a mark. */
export interface Flow {
  readonly destination: IpAddress;
  /** null: of an unbound socket. */
  readonly source: IpAddress | null;
  /** By which it comes in to be forwarded; null for a packet of this machine. */
  readonly input: Pick<Link, 'ifname' | 'index'> | null;
}

export type WayType = RouteType | 'local' | 'broadcast' | 'multicast';

/** The kernel sends the packet. */
export interface Way {
  readonly kind: 'way';
  readonly type: WayType;
  readonly linkIndex: number | null;
  readonly gateway: IpAddress | null;
  /** That the kernel chooses for an unbound socket; null where it says none. */
  readonly source: IpAddress | null;
  /** Of the route that decided; null where the kernel does not say. */
  readonly table: number | null;
  /** The destination of that route; null where the kernel does not say. */
  readonly route: Cidr | null;
}

/** The kernel does not send it; `prohibited` and `invalid` are what a rule or route of type prohibit and blackhole answers. */
export type RefusalReason = 'no-route' | 'unreachable' | 'prohibited' | 'invalid' | 'other';

export interface Refusal {
  readonly kind: 'refusal';
  readonly reason: RefusalReason;
  /** The kernel's words. */
  readonly text: string;
}

export type LookupAnswer = Way | Refusal;

export type RuleAction = 'table' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';

/** A rule with everything that it selects by. */
export interface RuleDetails extends Rule {
  readonly action: RuleAction;
  /** Priority of the rule that a `goto` goes on with. */
  readonly target: number | null;
  /** Selects what the selectors do not. */
  readonly inverted: boolean;
  readonly destination: Cidr | null;
  readonly inputInterface: string | null;
  readonly mark: { readonly value: number; readonly mask: number } | null;
  readonly uids: { readonly first: number; readonly last: number } | null;
  /** In the words of `ip rule`: what only packets with a protocol, a port or a tos of their own have (`ipproto tcp`). */
  readonly special: readonly string[];
  /** Passes over routes whose prefix is not longer. */
  readonly suppressPrefixLength: number | null;
  /** It selects by something that is not known here. */
  readonly opaque: boolean;
}

/** A NIC of the cloud, as the last good answer of the metadata and the state file know it. */
export interface NicFacts {
  readonly mac: MacAddress;
  readonly link: Link;
  readonly role: Role;
  /** null while it has none. */
  readonly table: number | null;
  /** Why the agent leaves it alone; null when it does not. */
  readonly leftAlone: DeferralReason | null;
  /** That the metadata or the configuration lists on it. */
  readonly listed: readonly IpAddress[];
  /** Others' affair by the configuration. */
  readonly excluded: readonly Cidr[];
}
