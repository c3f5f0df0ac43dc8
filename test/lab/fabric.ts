/**
 * The VPC fabric: a namespace with one bridge per subnet, the gateway's address on it, and one port per ENI.
 * Each port's ingress drops every packet whose source is not an address of its ENI, as the real fabric does, and counts
 * what it accepts and what it drops by source.
 */
import { execa } from 'execa';
import * as v from 'valibot';
import { inNamespace, type NamespaceSetup, type Setup, setUp, setUpAll } from './netns.ts';
import {
  GATEWAY6,
  isIpv6,
  METADATA_ADDRESS,
  macFor,
  SUBNETS,
  type Subnet,
  subnetOf,
  withPrefix,
} from './topology.ts';

export interface PortOptions {
  readonly mac: string;
  /** IPv4 or IPv6; the first IPv4 one decides the subnet. */
  readonly addresses: readonly string[];
  /** Where the other end appears, down and without an address. */
  readonly namespace: string;
  readonly linkName: string;
  /** Whose it is: the VM's primary or secondary ENI, or another machine's. Only the VM's primary reaches the metadata service. */
  readonly role: 'primary' | 'secondary' | 'other';
  /** Networks that the ENI may send from without owning them (a router: its source check is off). */
  readonly sourceCheckOff?: readonly string[];
}

interface Port {
  readonly name: string;
  readonly options: PortOptions;
  readonly addresses: Set<string>;
}

/** What is set up in the same go: each program that is started costs milliseconds. */
export interface Surroundings {
  readonly before?: readonly NamespaceSetup[];
  readonly after?: readonly NamespaceSetup[];
}

/** Packets by source address. */
export type PacketCounts = Readonly<Record<string, number>>;

export interface PortCounters {
  readonly accepted: PacketCounts;
  /** Dropped: packets and ARP messages in the name of an address that the ENI does not have. */
  readonly spoofed: PacketCounts;
}

const FILTER = `
table netdev fabric {
  set owned4 {
    type ifname . ipv4_addr
  }
  set owned6 {
    type ifname . ipv6_addr
  }
  set metadata {
    type ifname
  }
  set accepted4 {
    type ifname . ipv4_addr
    flags dynamic
  }
  set accepted6 {
    type ifname . ipv6_addr
    flags dynamic
  }
  set spoofed4 {
    type ifname . ipv4_addr
    flags dynamic
  }
  set spoofed6 {
    type ifname . ipv6_addr
    flags dynamic
  }
  chain antispoof {
    iifname != @metadata ip daddr 169.254.0.0/16 drop
    iifname != @metadata arp daddr ip 169.254.0.0/16 drop
    iifname . ip saddr @owned4 update @accepted4 { iifname . ip saddr counter } accept
    iifname . ip6 saddr @owned6 update @accepted6 { iifname . ip6 saddr counter } accept
    iifname . arp saddr ip @owned4 accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    ip6 saddr { ::, fe80::/10 } accept
    meta protocol ip update @spoofed4 { iifname . ip saddr counter } drop
    meta protocol ip6 update @spoofed6 { iifname . ip6 saddr counter } drop
    meta protocol arp update @spoofed4 { iifname . arp saddr ip counter } drop
    drop
  }
}
`;

const SYSCTLS = {
  'ipv4/ip_forward': 1,
  'ipv4/conf/all/rp_filter': 0,
  'ipv4/conf/default/rp_filter': 0,
  // A gateway of the cloud never sends a host elsewhere.
  'ipv4/conf/all/send_redirects': 0,
  'ipv4/conf/default/send_redirects': 0,
  'ipv6/conf/all/forwarding': 1,
  'ipv6/conf/default/accept_dad': 0,
};

/** Of the namespace before its first port. */
export const FABRIC: Setup = {
  sysctls: SYSCTLS,
  ip: ['link set lo up', `addr add ${METADATA_ADDRESS}/32 dev lo`, ...SUBNETS.flatMap(bridgeLines)],
  nft: FILTER,
};

/**
 * An address that did not answer is asked for again every 50 ms instead of every second, so that a failed attempt does not
 * outlast the deadline of the next one. By netlink: a user namespace has no sysctls for neighbours.
 */
function impatientLines(link: string): readonly string[] {
  return ['arp_cache', 'ndisc_cache'].map((table) => `ntable change name ${table} dev ${link} retrans 50`);
}

export class Fabric {
  readonly #namespace: string;
  readonly #ports = new Map<string, Port>();
  /** Port names are never used twice, so that counters of a detached ENI never mix with another's. */
  #portsMade = 0;
  /** One at a time: for a moment the names that links have in the VMs are names here. */
  #plugging: Promise<unknown> = Promise.resolve();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** The other end of each port is there, down, when it returns, and what else is to be done `before` and `after` that. */
  async addPorts(
    options: readonly PortOptions[],
    { before = [], after = [] }: Surroundings = {},
  ): Promise<void> {
    const ports = options.map((option): Port => {
      this.#portsMade += 1;
      return { name: `p${this.#portsMade}`, options: option, addresses: new Set(option.addresses) };
    });
    const own: NamespaceSetup = {
      namespace: this.#namespace,
      ip: ports.flatMap(linkLines),
      nft: ports.flatMap(filterLines).join('\n'),
      ipAfter: ports.flatMap(plugLines),
    };
    const impatience = options.map(({ namespace, linkName }) => ({
      namespace,
      ip: impatientLines(linkName),
    }));
    const plugging = this.#plugging.then(() => setUpAll([...before, own, ...impatience, ...after]));
    this.#plugging = plugging.catch(() => undefined);
    await plugging;
    for (const port of ports) this.#ports.set(port.options.mac, port);
  }

  async removePort(mac: string): Promise<void> {
    const port = this.#port(mac);
    this.#ports.delete(mac);
    // The kernel removes the port's chain with its device.
    await setUp(this.#namespace, {
      ip: [`link del ${port.name}`],
      nft: [...port.addresses].map((address) => element('delete', port, address)).join('\n'),
    });
    await this.#forgetNeighbours([...port.addresses]);
  }

  async assign(mac: string, address: string): Promise<void> {
    const port = this.#port(mac);
    await setUp(this.#namespace, { nft: element('add', port, address) });
    port.addresses.add(address);
  }

  async unassign(mac: string, address: string): Promise<void> {
    const port = this.#port(mac);
    await setUp(this.#namespace, { nft: element('delete', port, address) });
    port.addresses.delete(address);
    await this.#forgetNeighbours([address]);
  }

  /** Without it the link in the VM stays up and has no carrier. */
  async setCarrier(mac: string, carrier: 'on' | 'off'): Promise<void> {
    const state = carrier === 'on' ? 'up' : 'down';
    await setUp(this.#namespace, { ip: [`link set ${this.#port(mac).name} ${state}`] });
  }

  /** By MAC of the ENI, since the lab began. */
  async counters(): Promise<Readonly<Record<string, PortCounters>>> {
    const [file, ...args] = inNamespace(this.#namespace, ['nft', '-j', 'list', 'table', 'netdev', 'fabric']);
    const { nftables } = v.parse(RULESET, JSON.parse((await execa(file, args)).stdout));
    const countsOf = (port: Port, prefix: string): PacketCounts =>
      Object.fromEntries(
        nftables
          .filter((item) => item.set?.name.startsWith(prefix))
          .flatMap((item) => item.set?.elem ?? [])
          .flatMap((entry) => (v.is(COUNTED, entry) ? [entry.elem] : []))
          .filter(({ val }) => val.concat[0] === port.name)
          .map(({ val, counter }) => [val.concat[1], counter.packets]),
      );
    return Object.fromEntries(
      [...this.#ports].map(([mac, port]) => [
        mac,
        { accepted: countsOf(port, 'accepted'), spoofed: countsOf(port, 'spoofed') },
      ]),
    );
  }

  #port(mac: string): Port {
    const port = this.#ports.get(mac);
    if (port === undefined) throw new Error(`looking up the port of ${mac}: no such ENI is attached`);
    return port;
  }

  /** The real fabric knows at once who owns an address; here gateways and clients would remember the last owner's MAC. */
  async #forgetNeighbours(addresses: readonly string[]): Promise<void> {
    const flush = addresses.map((address) => `neigh flush to ${address}`);
    const machines = [...this.#ports.values()].filter(({ options }) => options.role === 'other');
    const namespaces = [this.#namespace, ...machines.map(({ options }) => options.namespace)];
    await setUpAll(namespaces.map((namespace) => ({ namespace, ip: flush })));
  }
}

const RULESET = v.object({
  nftables: v.array(
    v.object({ set: v.optional(v.object({ name: v.string(), elem: v.optional(v.array(v.unknown())) })) }),
  ),
});

const COUNTED = v.object({
  elem: v.object({
    val: v.object({ concat: v.tuple([v.string(), v.string()]) }),
    counter: v.object({ packets: v.number() }),
  }),
});

function bridgeName({ cidr }: Subnet): string {
  return `br-${cidr.replace(/\.0\/\d+$/, '')}`;
}

function bridgeLines(subnet: Subnet): readonly string[] {
  const bridge = bridgeName(subnet);
  return [
    // Of its own: by default it is the lowest of its ports', and an ENI that comes or goes would change the gateway's MAC.
    `link add ${bridge} address ${macFor(subnet.gateway)} type bridge mcast_snooping 0`,
    `link set ${bridge} up`,
    `addr add ${withPrefix(subnet.gateway)} dev ${bridge}`,
    `addr add ${withPrefix(GATEWAY6)} dev ${bridge} nodad`,
    `route add ${subnet.cidr6} dev ${bridge}`,
    ...impatientLines(bridge),
  ];
}

function linkLines({ name, options }: Port): readonly string[] {
  const { mac, addresses } = options;
  return [
    `link add ${name} type veth peer name ${otherEnd(name)} address ${mac}`,
    `link set ${name} master ${bridgeName(subnetOf(addresses[0] ?? ''))}`,
  ];
}

/**
 * The fabric is ready when the link appears, as the cloud's is. It comes with its name: when it gets that on the way, the event
 * that udev hears first is about the one before.
 */
function plugLines({ name, options: { namespace, linkName } }: Port): readonly string[] {
  return [
    `link set ${name} up`,
    `link set ${otherEnd(name)} name ${linkName}`,
    `link set ${linkName} netns ${namespace}`,
  ];
}

function otherEnd(port: string): string {
  return `${port}v`;
}

function filterLines(port: Port): readonly string[] {
  const { name, options } = port;
  return [
    `add chain netdev fabric ${name} { type filter hook ingress device "${name}" priority 0; }`,
    ...(options.sourceCheckOff ?? []).flatMap((network) =>
      (isIpv6(network) ? ['ip6 saddr'] : ['ip saddr', 'arp saddr ip']).map(
        (source) => `add rule netdev fabric ${name} ${source} ${network} accept`,
      ),
    ),
    `add rule netdev fabric ${name} jump antispoof`,
    ...(options.role === 'primary' ? [`add element netdev fabric metadata { "${name}" }`] : []),
    ...[...port.addresses].map((address) => element('add', port, address)),
  ];
}

function element(action: 'add' | 'delete', { name }: Port, address: string): string {
  return `${action} element netdev fabric ${isIpv6(address) ? 'owned6' : 'owned4'} { "${name}" . ${address} }`;
}
