/** What should be, for each NIC that the agent manages, and what it puts off and why. */
import type { Backend } from './config.ts';
import type { RouteType } from './host.ts';
import type { ConnectionMark, FirewallMark } from './mark.ts';
import type { Cidr, Family, IfName, InterfaceAddress, IpAddress, MacAddress } from './net.ts';
import type { StepKind } from './plan.ts';
import type { SysctlName } from './sysctl.ts';

export type Role = 'primary' | 'secondary';

export interface DesiredAddress extends InterfaceAddress {
  /** Where it comes from, in the words of a plan: `assigned in metadata`. */
  readonly reason: string;
  /**
   * IPv6 only: added with preferred lifetime 0, so that it never becomes the source of unbound sockets
   * (the kernel prefers the address that was added last).
   */
  readonly deprecated: boolean;
}

export interface DesiredRoute {
  readonly family: Family;
  readonly table: number;
  readonly type: Extract<RouteType, 'unicast' | 'throw' | 'unreachable'>;
  readonly destination: Cidr;
  readonly gateway: IpAddress | null;
  /** null for the types without a device. */
  readonly linkIndex: number | null;
  readonly metric: number;
  readonly reason: string;
}

export interface DesiredRule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly source: Cidr | null;
  readonly outputInterface: IfName | null;
  readonly mark: FirewallMark | null;
  readonly reason: string;
}

export interface DesiredSysctl {
  readonly name: SysctlName;
  readonly value: number;
  readonly reason: string;
}

export interface DesiredFile {
  readonly path: string;
  readonly content: string;
}

export interface DesiredFiles {
  readonly present: readonly DesiredFile[];
  /** Somebody's files in the way: kept as `*.orig`. */
  readonly displaced: readonly string[];
  /** Ours, and not needed any more. */
  readonly absent: readonly string[];
  /** Where somebody's file was that is kept as `*.orig` and has none of ours in its place. */
  readonly vacant: readonly string[];
}

export interface DesiredInterface {
  readonly mac: MacAddress;
  readonly ifname: IfName;
  /** null when the link is gone and only its leavings are to be cleared. */
  readonly linkIndex: number | null;
  readonly role: Role;
  readonly slot: number;
  readonly table: number;
  /** Set up; false for a NIC that is being withdrawn or released. */
  readonly attached: boolean;
  /**
   * What goes by the operator's word, and so without a confirmation by the metadata: everything of a NIC that is released, the
   * primary's table and rules when that was the last one that needed them.
   */
  readonly released: 'all' | 'table' | null;
  readonly mtu: number | null;
  /** Primary first. What is excluded, and the primary NIC's primary address, are not in it: nobody adds or removes those. */
  readonly addresses: readonly DesiredAddress[];
  /** Networks whose addresses are neither added nor removed, whoever put them there. */
  readonly excluded: readonly Cidr[];
  /** In the NIC's table. */
  readonly routes: readonly DesiredRoute[];
  /** In main, from `interfaces[].routes`. */
  readonly mainRoutes: readonly DesiredRoute[];
  readonly rules: readonly DesiredRule[];
  readonly marks: readonly ConnectionMark[];
  readonly sysctls: readonly DesiredSysctl[];
  /** null: leave whatever is there (a render failed, or no backend). */
  readonly files: DesiredFiles | null;
}

export type DeferralReason =
  | 'no-link'
  | 'no-metadata'
  | 'not-ready'
  | 'unmanaged'
  | 'released'
  | 'foreign-config'
  | 'invalid-metadata'
  | 'table-in-use';

/** A NIC that is left as it is, and why. */
export interface Deferral {
  readonly mac: MacAddress;
  readonly ifname: IfName | null;
  readonly reason: DeferralReason;
  /** What was seen and, where the operator can do something, what to do. */
  readonly detail: string;
}

/** Something that went wrong for one NIC while the rest of it goes on. */
export interface NicProblem {
  readonly mac: MacAddress;
  readonly message: string;
  /** The step that failed, where it was one. */
  readonly stepKind?: StepKind;
  /** Its link went away meanwhile. */
  readonly isGone?: boolean;
  /** Only its connection marks: everything else of it is as it should be. */
  readonly isAboutMarks?: boolean;
  /** Only the distribution's files: the kernel has what it should. */
  readonly isAboutFiles?: boolean;
}

/** What will bring the network up at the next boot. */
export interface BackendChoice {
  readonly backend: Backend;
  /** What speaks for it, in words. */
  readonly evidence: readonly string[];
}

export interface DesiredState {
  /** In the order of application: the primary first, then by slot. */
  readonly interfaces: readonly DesiredInterface[];
  readonly deferrals: readonly Deferral[];
  readonly problems: readonly NicProblem[];
  readonly backend: BackendChoice;
}
