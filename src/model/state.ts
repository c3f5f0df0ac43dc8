/** What the agent remembers between runs: ownership, slots, the last good answer of the metadata. */
import type { InstanceMetadata } from './metadata.ts';
import type { Cidr, IfName, InterfaceAddress, IpAddress, MacAddress } from './net.ts';
import type { SysctlName } from './sysctl.ts';

/** A route that the agent added to the main table (`interfaces[].routes`). */
export interface OwnedRoute {
  readonly to: Cidr;
  readonly via: IpAddress;
}

/** A value that the agent set, and the one to give back. */
export interface OwnedValue {
  readonly before: number;
  readonly value: number;
}

export interface NicState {
  /** 0–255: table and priority are tableBase + slot. Kept after detach, so that a NIC that comes back has its old table. */
  readonly slot: number;
  readonly ifname: IfName;
  /** ISO time at which everything of it was cleared, since it was detached or released; null while it is ours to set up. */
  readonly detachedAt: string | null;
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly OwnedRoute[];
  readonly sysctls: Readonly<Partial<Record<SysctlName, OwnedValue>>>;
  readonly mtu: OwnedValue | null;
  /** Paths that the agent wrote. */
  readonly files: readonly string[];
}

export interface LastAnswer {
  /** ISO time at which it was read. */
  readonly readAt: string;
  readonly answer: InstanceMetadata;
}

export const TRIGGERS = ['boot', 'link', 'kernel', 'metadata', 'timer', 'config', 'wake', 'command'] as const;
export type Trigger = (typeof TRIGGERS)[number];
export const OUTCOMES = ['in-sync', 'applied', 'degraded', 'failed', 'rolled-back'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface LastRun {
  readonly at: string;
  readonly trigger: Trigger;
  readonly outcome: Outcome;
  readonly steps: number;
  readonly durationMs: number;
  /** What went wrong, per NIC. */
  readonly failures: readonly { readonly mac: MacAddress; readonly message: string }[];
}

/** Left undone until the operator says `reconfigure`, or the configuration is another one. */
export interface Lapse {
  /** ISO time of the rollback. */
  readonly at: string;
  /** Digest of the configuration that stood then. */
  readonly configuration: string;
  /** Keys of steps (`stepKey`). */
  readonly steps: readonly string[];
}

export interface AgentState {
  readonly metadata: LastAnswer | null;
  readonly nics: Readonly<Record<MacAddress, NicState>>;
  /** What the operator took from us: nothing of it is ours, attached or not, until `reconfigure` names it. Sorted. */
  readonly released: readonly MacAddress[];
  /** The firewall may have connection marks of ours. */
  readonly hasMarks: boolean;
  /** What was rolled back since nobody confirmed it. */
  readonly lapsed: Lapse | null;
  readonly lastRun: LastRun | null;
}

export const EMPTY_STATE: AgentState = {
  metadata: null,
  nics: {},
  released: [],
  hasMarks: false,
  lapsed: null,
  lastRun: null,
};
