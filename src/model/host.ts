/** What the host is: the kernel's network objects, our files, and the state that says what we own. */
import type { ConnectionMark, FirewallMark } from './mark.ts';
import type { Cidr, Family, IfName, InterfaceAddress, IpAddress, MacAddress } from './net.ts';
import type { AgentState } from './state.ts';
import type { Sysctls } from './sysctl.ts';

export interface LinkAddress extends InterfaceAddress {
  readonly scope: 'global' | 'other';
  /** IPv6: another host of the subnet has it, and the kernel does not use it (IFA_F_DADFAILED). */
  readonly duplicate: boolean;
  /** It ends by itself: by DHCP, or by a router's advertisement. */
  readonly leased?: boolean;
}

export interface Link {
  readonly index: number;
  readonly ifname: IfName;
  readonly mac: MacAddress | null;
  /** The address burnt into the NIC (IFLA_PERM_ADDRESS, kernel 5.6 and later); null where the kernel gives none. */
  readonly permanentMac: MacAddress | null;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** The driver's kind (`veth`, `bridge`, `vlan`, …); null for hardware. Never decides what an ENI is. */
  readonly kind: string | null;
  /** Index of the bridge, bond or VRF that it belongs to. */
  readonly masterIndex: number | null;
  /** Index of the link in this namespace that it is stacked on (VLAN, macvlan). */
  readonly lowerIndex: number | null;
  readonly sysctls: Sysctls;
  readonly addresses: readonly LinkAddress[];
  /** udev is done with it (or there is no udev). */
  readonly ready: boolean;
}

export type RouteType = 'unicast' | 'throw' | 'unreachable' | 'blackhole' | 'prohibit' | 'other';

export interface Nexthop {
  readonly gateway: IpAddress | null;
  readonly linkIndex: number;
}

export interface Route {
  readonly family: Family;
  readonly table: number;
  readonly type: RouteType;
  readonly destination: Cidr;
  /** Empty for the types without a device; more than one for multipath. */
  readonly nexthops: readonly Nexthop[];
  readonly metric: number;
  /** rtnetlink protocol (RTPROT_*). */
  readonly protocol: number;
  /** Kernel value (RT_SCOPE_*): a delete must give it back. */
  readonly scope: number;
}

/** A policy routing rule that looks up a table. */
export interface Rule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly source: Cidr | null;
  readonly outputInterface: string | null;
  /** Of packets; never with a mask of all bits. */
  readonly mark: FirewallMark | null;
  readonly protocol: number;
  /** It has an action or a selector beyond `from`, `oif` and some bits of `fwmark`: not of our making, never ours to change. */
  readonly foreign: boolean;
}

/** A file of the distribution's network configuration that belongs to an interface. */
export interface HostFile {
  /** Path below the root directory, as the distribution knows it: `/etc/sysconfig/network-scripts/ifcfg-eth1`. */
  readonly path: string;
  /** '' also for what is no regular file, or cannot be read. */
  readonly content: string;
  /** It is there, but whose it is the state alone can tell. */
  readonly isUnreadable?: boolean;
}

export interface NetworkManagerFacts {
  /** `1.40.16`; null when its files do not tell. */
  readonly version: string | null;
  /** Its plugin for ifcfg files is installed. */
  readonly readsIfcfg: boolean;
  /** It is started at boot, or has run since. */
  readonly isInUse: boolean;
}

/** What of the distribution's network configuration is installed, as far as files tell. */
export interface Distribution {
  /** /etc/sysconfig/network-scripts */
  readonly hasScriptsFolder: boolean;
  /** ifup and its helpers, which read the files of that folder. */
  readonly hasNetworkScripts: boolean;
  /** network.service brings them up at boot. */
  readonly isNetworkServiceEnabled: boolean;
  /** null where it is not installed. */
  readonly networkManager: NetworkManagerFacts | null;
  /** Of Enterprise Linux (PLATFORM_ID `platform:el9`, or VERSION_ID of what is like it); null when it is none, or does not tell. */
  readonly release: number | null;
}

export interface HostState {
  /** Sorted by index. */
  readonly links: readonly Link[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  /** Those of our own table of the firewall. */
  readonly marks: readonly ConnectionMark[];
  readonly files: readonly HostFile[];
  readonly distribution: Distribution;
  /** Why it is not known which files there are: then none is written, and none is taken for somebody's. */
  readonly filesProblem?: string;
  /** What container network takes the ENIs for its pods, and how we know; null without one. */
  readonly containerNetwork: string | null;
  /** net.ipv4.conf.all */
  readonly allSysctls: Sysctls;
  readonly state: AgentState;
}

export const MAIN_TABLE = 254;
export const SCOPE_UNIVERSE = 0;
export const SCOPE_LINK = 253;
