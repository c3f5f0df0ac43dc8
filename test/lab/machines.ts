/** How each machine of the lab is set up inside, once its ENI is there. */
import type { Fabric, PortOptions } from './fabric.ts';
import { type NamespaceSetup, setUp } from './netns.ts';
import {
  addressRange,
  CLIENT_SUBNETS,
  GATEWAY6,
  isIpv6,
  macFor,
  ROUTER_ADDRESS,
  ROUTER_ADDRESS6,
  STATIC_HOST,
  STATIC_HOST6,
  STATIC_NETWORK,
  STATIC_NETWORK6,
  subnetOf,
  twinOf,
  VM_ADDRESS,
  withPrefix,
} from './topology.ts';

export interface Machine {
  readonly name: string;
  readonly port: PortOptions;
  /** Before its ENI appears: a link takes over the defaults of its namespace when it comes. */
  readonly sysctls: Readonly<Record<string, number>>;
  /** Lines of an `ip -batch`, with the ENI there. */
  readonly ip: readonly string[];
  /** Addresses that it has besides those of its ENI. */
  readonly behind?: readonly string[];
}

export interface VmOptions {
  /** How many; default 1, at most 200: their addresses follow each other from 10.0.0.4 on. */
  readonly vms?: number;
  /** Global (`all` and `default`); CentOS sets it to 1, which is the default here. */
  readonly rpFilter?: 0 | 1;
  /** The primary NIC has an IPv6 address, as DHCPv6 gives it, and a default route; the administrator has an IPv6 static route, too. */
  readonly ipv6?: boolean;
}

const ROUTER = 'router';

/** But for rp_filter the kernel's defaults, written out since a namespace inherits its creator's. */
function vmSysctls({ rpFilter = 1 }: VmOptions): Machine['sysctls'] {
  const scopes = ['all', 'default'].flatMap((scope) => [
    [`ipv4/conf/${scope}/rp_filter`, rpFilter],
    [`ipv4/conf/${scope}/arp_ignore`, 0],
    [`ipv4/conf/${scope}/arp_announce`, 0],
    [`ipv4/conf/${scope}/promote_secondaries`, 0],
  ]);
  return { ...COMMON_SYSCTLS, 'ipv4/ip_forward': 0, ...Object.fromEntries(scopes) };
}

/** An IPv6 address can be used at once: duplicate address detection takes a second. */
const COMMON_SYSCTLS = { 'ipv6/conf/default/accept_dad': 0 };

/** `vm`, `vm2` …, all machines after them; `namespaceOf` gives the namespace of a machine's name. */
export function describeMachines(
  namespaceOf: (name: string) => string,
  options: VmOptions,
): { readonly vms: readonly Machine[]; readonly others: readonly Machine[] } {
  const clients = CLIENT_SUBNETS.map(({ client }) =>
    neighbour(client.name, [client.address, client.address6], namespaceOf(client.name)),
  );
  return {
    vms: addressRange(VM_ADDRESS, options.vms ?? 1).map((address, index) => {
      const name = index === 0 ? 'vm' : `vm${index + 1}`;
      return virtualMachine(name, address, namespaceOf(name), options);
    }),
    others: [router(namespaceOf), ...clients],
  };
}

/** `also` comes first, before there is a machine. */
export async function addMachines(
  machines: readonly Machine[],
  fabric: Fabric,
  also: readonly NamespaceSetup[] = [],
): Promise<void> {
  await fabric.addPorts(
    machines.map(({ port }) => port),
    {
      before: [...also, ...machines.map(({ port, sysctls }) => ({ namespace: port.namespace, sysctls }))],
      after: machines.map(({ port, ip }) => ({
        namespace: port.namespace,
        ip: ['link set lo up', 'link set eth0 up', ...ip],
      })),
    },
  );
}

export interface ExtraMachine {
  readonly name: string;
  /** Of its ENI, the first one IPv4; none: no ENI. */
  readonly addresses?: readonly string[];
  /** Networks that it may send from without owning them. */
  readonly sourceCheckOff?: readonly string[];
}

/** Into a lab that runs already. */
export async function addMachine(
  { name, addresses = [], sourceCheckOff = [] }: ExtraMachine,
  namespace: string,
  fabric: Fabric,
): Promise<void> {
  if (addresses.length === 0) return setUp(namespace, { sysctls: COMMON_SYSCTLS, ip: ['link set lo up'] });
  const machine = neighbour(name, addresses, namespace);
  await addMachines([{ ...machine, port: { ...machine.port, sourceCheckOff } }], fabric);
}

/** As a DHCP client leaves it, plus an administrator's static route. */
function virtualMachine(name: string, address: string, namespace: string, options: VmOptions): Machine {
  const lease = 'valid_lft 86400 preferred_lft 86400';
  const address6 = twinOf(address);
  const ip6 = [
    `addr add ${withPrefix(address6)} dev eth0 nodad ${lease}`,
    `route add default via ${GATEWAY6} dev eth0 proto ra metric 100`,
    `route add ${STATIC_NETWORK6} via ${ROUTER_ADDRESS6} dev eth0`,
  ];
  const addresses = options.ipv6 === true ? [address, address6] : [address];
  return {
    name,
    port: { mac: macFor(address), addresses, namespace, linkName: 'eth0', role: 'primary' },
    sysctls: vmSysctls(options),
    ip: [
      `addr add ${withPrefix(address)} brd + dev eth0 ${lease}`,
      `route add default via ${subnetOf(address).gateway} dev eth0 proto dhcp src ${address} metric 100`,
      `route add ${STATIC_NETWORK} via ${ROUTER_ADDRESS} dev eth0`,
      ...(options.ipv6 === true ? ip6 : []),
    ],
  };
}

function router(namespaceOf: (name: string) => string): Machine {
  const machine = neighbour(ROUTER, [ROUTER_ADDRESS, ROUTER_ADDRESS6], namespaceOf(ROUTER));
  return {
    ...machine,
    port: { ...machine.port, sourceCheckOff: [STATIC_NETWORK, STATIC_NETWORK6] },
    ip: [...machine.ip, `addr add ${STATIC_HOST}/32 dev lo`, `addr add ${STATIC_HOST6}/128 dev lo`],
    behind: [STATIC_HOST, STATIC_HOST6],
  };
}

/** Another VM of the VPC: one ENI, everything by its gateway. */
function neighbour(name: string, addresses: readonly string[], namespace: string): Machine {
  const [address = ''] = addresses;
  return {
    name,
    port: { mac: macFor(address), addresses, namespace, linkName: 'eth0', role: 'other' },
    sysctls: COMMON_SYSCTLS,
    ip: [
      ...addresses.map((own) => `addr add ${withPrefix(own)} dev eth0${isIpv6(own) ? ' nodad' : ''}`),
      `route add default via ${subnetOf(address).gateway}`,
      `route add default via ${GATEWAY6} dev eth0`,
    ],
  };
}
