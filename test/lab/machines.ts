/** How each machine of the lab is set up inside, once its ENI is there. */
import type { PortOptions } from './fabric.ts';
import { type Setup, setUp } from './netns.ts';
import {
  addressRange,
  GATEWAY6,
  isIpv6,
  macFor,
  ROUTER_ADDRESS,
  STATIC_HOST,
  STATIC_NETWORK,
  SUBNETS,
  subnetOf,
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
}

const ROUTER = 'router';

/** CentOS sets rp_filter to 1; the others are the kernel's defaults, written out since a namespace inherits its creator's. */
const VM_SYSCTLS = {
  'ipv4/ip_forward': 0,
  ...Object.fromEntries(
    ['all', 'default'].flatMap((scope) => [
      [`ipv4/conf/${scope}/rp_filter`, 1],
      [`ipv4/conf/${scope}/arp_ignore`, 0],
      [`ipv4/conf/${scope}/arp_announce`, 0],
      [`ipv4/conf/${scope}/promote_secondaries`, 0],
    ]),
  ),
};

/** An IPv6 address can be used at once: duplicate address detection takes a second. */
const COMMON_SYSCTLS = { 'ipv6/conf/default/accept_dad': 0 };

/** `vm`, `vm2` …, all machines after them; `namespaceOf` gives the namespace of a machine's name. */
export function describeMachines(
  namespaceOf: (name: string) => string,
  vms: number,
): { readonly vms: readonly Machine[]; readonly others: readonly Machine[] } {
  const clients = SUBNETS.map(({ client }) =>
    neighbour(client.name, [client.address, client.address6], namespaceOf),
  );
  return {
    vms: addressRange(VM_ADDRESS, vms).map((address, index) => {
      const name = index === 0 ? 'vm' : `vm${index + 1}`;
      return virtualMachine(name, address, namespaceOf(name));
    }),
    others: [router(namespaceOf), ...clients],
  };
}

/** First the defaults, without its ENI. */
export function prepareMachine({ port, sysctls }: Machine): Promise<void> {
  return setUp(port.namespace, { sysctls });
}

export function configureMachine({ port, ip }: Machine): Promise<void> {
  const setup: Setup = { ip: ['link set lo up', 'link set eth0 up', ...ip] };
  return setUp(port.namespace, setup);
}

/** As a DHCP client leaves it, plus an administrator's static route. */
function virtualMachine(name: string, address: string, namespace: string): Machine {
  const lease = 'valid_lft 86400 preferred_lft 86400';
  return {
    name,
    port: { mac: macFor(address), addresses: [address], namespace, linkName: 'eth0', role: 'primary' },
    sysctls: { ...COMMON_SYSCTLS, ...VM_SYSCTLS },
    ip: [
      `addr add ${withPrefix(address)} brd + dev eth0 ${lease}`,
      `route add default via ${subnetOf(address).gateway} dev eth0 proto dhcp src ${address} metric 100`,
      `route add ${STATIC_NETWORK} via ${ROUTER_ADDRESS} dev eth0`,
    ],
  };
}

function router(namespaceOf: (name: string) => string): Machine {
  const machine = neighbour(ROUTER, [ROUTER_ADDRESS], namespaceOf);
  return {
    ...machine,
    port: { ...machine.port, sourceCheckOff: STATIC_NETWORK },
    ip: [...machine.ip, `addr add ${STATIC_HOST}/32 dev lo`],
  };
}

/** Another VM of the VPC: one ENI, everything by its gateway. */
function neighbour(
  name: string,
  addresses: readonly string[],
  namespaceOf: (name: string) => string,
): Machine {
  const [address = ''] = addresses;
  return {
    name,
    port: { mac: macFor(address), addresses, namespace: namespaceOf(name), linkName: 'eth0', role: 'other' },
    sysctls: COMMON_SYSCTLS,
    ip: [
      ...addresses.map((own) => `addr add ${withPrefix(own)} dev eth0${isIpv6(own) ? ' nodad' : ''}`),
      `route add default via ${subnetOf(address).gateway}`,
      `route add default via ${GATEWAY6} dev eth0`,
    ],
  };
}
