/** Everything that a diagnosis of the surroundings is made from. */
import type { Backend, Config } from '../model/config.ts';
import type { HostState, Link } from '../model/host.ts';
import type { NicFacts } from '../model/lookup.ts';
import type { Cidr, IfName, IpAddress, MacAddress } from '../model/net.ts';
import type { Known, Surroundings } from '../model/surroundings.ts';

export interface Facts {
  /** What is put before every path; '' for none. */
  readonly root: string;
  /** The defaults while the file cannot be used. */
  readonly config: Config;
  /** Of the file; '' without one. */
  readonly configText: string;
  /** Why the file cannot be used, and the commands that mend it; null when it can. */
  readonly configProblem: { readonly message: string; readonly fixes: readonly string[] } | null;
  readonly host: HostState;
  /** The cloud's, by this reading of the metadata or else the last good one. */
  readonly nics: readonly NicFacts[];
  /** ENIs whose reading contradicts itself. */
  readonly contradictions: readonly { readonly mac: MacAddress; readonly problem: string }[];
  /** Gateways that the metadata gives, of IPv4. */
  readonly gateways: ReadonlyMap<MacAddress, IpAddress>;
  readonly backend: Backend;
  readonly metadata: Known<MetadataReading>;
  /** By which link an answer from the first address of each NIC leaves for the world; null for none. */
  readonly answers: readonly Answer[];
  /** The file of the active profile of NetworkManager; null for a NIC without one. */
  readonly profiles: Known<ReadonlyMap<IfName, string | null>>;
  readonly surroundings: Surroundings;
  /** A daemon answers on the socket. */
  readonly hasDaemon: Known<boolean>;
  /** Why what the agent remembers is not on the disk; null when it is. */
  readonly storageProblem: string | null;
  /** A line of `status` for each NIC that is not as it should be. */
  readonly status: Known<readonly string[]>;
  /** How many tables the agent may have, from tableBase on. */
  readonly slots: number;
  readonly machine: Machine;
}

export interface Answer {
  readonly nic: NicFacts;
  readonly source: IpAddress;
  readonly leavesBy: IfName | null;
}

export interface MetadataReading {
  /** Of all that was asked for, in milliseconds. */
  readonly durationMs: number;
  /** Why there was no answer; null when there was one. */
  readonly failure: string | null;
  /** null where it is a file, or its address is not known. */
  readonly way: MetadataWay | null;
}

/** As the kernel sends a request from the primary NIC's own address. */
export interface MetadataWay {
  readonly address: IpAddress;
  readonly link: Link | null;
  /** A rule that is neither the kernel's own nor the agent's, in the words of `ip rule`; null where none decides. */
  readonly foreignRule: string | null;
  readonly route: string;
  /** Of main; null where another table decides, or it cannot be told. */
  readonly mainRoute: Cidr | null;
}

export interface Machine {
  /** `20.19.0` */
  readonly nodeVersion: string;
  /** Of package.json, `>=20.19.0`. */
  readonly engines: string;
  /** The program that runs Node. */
  readonly nodePath: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** `2026-11-22` */
  readonly today: string;
}

export function linkName(index: number, { host }: Facts): string {
  return host.links.find((link) => link.index === index)?.ifname ?? `link ${index}`;
}

export function primaryOf({ nics }: Facts): NicFacts | undefined {
  return nics.find(({ role }) => role === 'primary');
}

/** Those that the agent sets up. */
export function managedSecondaries({ nics }: Facts): readonly NicFacts[] {
  return nics.filter(({ role, leftAlone }) => role === 'secondary' && leftAlone === null);
}
