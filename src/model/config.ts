/** The effective configuration: every value is there, defaults filled in. CONTRACT of the keys: docs/configuration.md. */
import type { Cidr, IfName, InterfaceAddress, IpAddress, ListenAddress, MacAddress } from './net.ts';

export type ProviderName = 'auto' | 'tencent' | 'file';
/** What brings the files of an interface up at boot: which files there are, and in which form. */
export const BACKENDS = [
  'network-scripts',
  'networkmanager-ifcfg',
  'networkmanager-keyfile',
  'none',
] as const;
export type Backend = (typeof BACKENDS)[number];
/** From the least important on. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** All given keys must hold. */
export interface InterfaceMatch {
  readonly mac?: MacAddress;
  readonly name?: IfName;
  readonly subnet?: Cidr;
  readonly role?: 'primary' | 'secondary';
}

/** A route through one NIC, in main and in the NIC's table. */
export interface ExtraRoute {
  readonly to: Cidr;
  readonly via: IpAddress;
}

export interface InterfaceConfig {
  readonly match: InterfaceMatch;
  /** null: unless a container network takes the ENIs for its pods. */
  readonly manage: boolean | null;
  /** Bytes; null leaves it alone. */
  readonly mtu: number | null;
  /** Networks whose addresses are never added and never removed; a single address is a /32 or /128. */
  readonly excludeAddresses: readonly Cidr[];
  /** Addresses beyond what the metadata lists. */
  readonly addresses: readonly InterfaceAddress[];
  readonly gateway6: IpAddress | null;
  readonly routes: readonly ExtraRoute[];
}

export interface Config {
  readonly metadata: {
    readonly provider: ProviderName;
    readonly endpoint: string;
    readonly fallbackEndpoints: readonly string[];
    /** Of one request. */
    readonly timeoutMs: number;
    readonly file: string;
  };
  readonly daemon: {
    readonly resyncIntervalMs: number;
    /** Equal consecutive answers before anything is withdrawn. */
    readonly removalConfirmations: number;
  };
  readonly routing: {
    readonly tableBase: number;
    readonly primary: 'auto' | 'always' | 'never';
    readonly localRoutes: 'auto' | 'off';
    /** Whether replies of forwarded connections leave by the NIC they came in by. */
    readonly forwarded: 'connmark' | 'off';
    /** The bits of packet and connection marks that may be used for it. */
    readonly forwardedMask: number;
    /** rtnetlink protocol number stamped on routes, and on rules where the kernel can. */
    readonly protocol: number;
  };
  readonly sysctl: {
    readonly rpFilter: 'loose' | 'leave';
    readonly arp: 'auto' | 'leave';
    readonly promoteSecondaries: boolean;
  };
  readonly persistence: {
    readonly backend: 'auto' | Backend;
    readonly existingFiles: 'respect' | 'replace';
  };
  /** Both of the daemon, and null for off. */
  readonly metrics: {
    readonly listen: ListenAddress | null;
    /** What is written after each run, for the textfile collector of node_exporter. */
    readonly textfile: string | null;
  };
  /** `timeoutMs`: of one of the operator's hooks. */
  readonly hooks: { readonly timeoutMs: number };
  readonly interfaces: readonly InterfaceConfig[];
  readonly log: { readonly level: LogLevel };
}
