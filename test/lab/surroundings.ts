/**
 * What else a busy VM has beside the ENIs that the agent manages: containers behind a bridge, a VPN, a branch office behind a router
 * in a secondary's subnet, and an ENI that is somebody else's.
 */
import type { Eni } from './cloud.ts';
import type { Lab } from './lab.ts';
import { setUp } from './netns.ts';
import { RESPONDER_PORT, SPARE_SUBNET, subnetOf, twinOf, withPrefix } from './topology.ts';

/** Of one family. */
export interface Places {
  readonly container: string;
  readonly vpn: string;
  readonly branch: string;
}

export const PLACES: Readonly<Record<4 | 6, Places>> = {
  4: { container: '172.17.0.2', vpn: '192.168.50.10', branch: '172.20.0.10' },
  6: { container: 'fd00:17::2', vpn: 'fd00:50::10', branch: 'fd00:20::10' },
};

/** Of the VM, DNATed to the container's responder. */
export const PUBLISHED_PORT = 8080;
const BRANCH_NETWORKS = { 4: '172.20.0.0/16', 6: 'fd00:20::/64' } as const;

/** As docker leaves it: the container is published by DNAT, and masqueraded on its way out. */
const DOCKER_NAT = `
table ip docker {
  chain prerouting {
    type nat hook prerouting priority dstnat
    fib daddr type local tcp dport ${PUBLISHED_PORT} dnat to ${PLACES[4].container}:${RESPONDER_PORT}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
  }
}
table ip6 docker {
  chain prerouting {
    type nat hook prerouting priority dstnat
    fib daddr type local tcp dport ${PUBLISHED_PORT} dnat to [${PLACES[6].container}]:${RESPONDER_PORT}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip6 saddr fd00:17::/64 oifname != "docker0" masquerade
  }
}
`;

const FORWARDING = { 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1 };

/** `docker0` in the VM, and the machine `container` behind it. */
export async function addContainer(lab: Lab): Promise<void> {
  const container = await lab.addMachine({ name: 'container' });
  await setUp(lab.vm.namespace, {
    sysctls: FORWARDING,
    nft: DOCKER_NAT,
    ipAfter: [
      ...BRIDGE.up,
      `link add vethc type veth peer name eth0 netns ${container}`,
      'link set vethc master docker0 up',
    ],
  });
  await setUp(container, {
    ip: [
      'link set eth0 up',
      `addr add ${PLACES[4].container}/16 dev eth0`,
      `addr add ${PLACES[6].container}/64 dev eth0 nodad`,
      'route add default via 172.17.0.1',
      'route add default via fd00:17::1',
    ],
  });
}

/** Lines of an `ip -batch` in the VM. */
export interface Change {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

export const BRIDGE: Change = {
  up: [
    'link add docker0 type bridge',
    'link set docker0 up',
    'addr add 172.17.0.1/16 dev docker0',
    'addr add fd00:17::1/64 dev docker0 nodad',
  ],
  down: ['link del docker0'],
};

/**
 * `tun0` in the VM, and the machine `vpn` at its other end, which masquerades what leaves it for the world. It has a leg outside, as a
 * VPN server has, that the tunnel does not really go through.
 */
export async function addVpn(lab: Lab): Promise<void> {
  const vpn = await lab.addMachine({ name: 'vpn', addresses: [VPN_SERVER, twinOf(VPN_SERVER)] });
  await setUp(lab.vm.namespace, {
    ip: [
      `link add tun0 type veth peer name tun0 netns ${vpn}`,
      'link set tun0 up',
      'addr add 10.8.0.2/24 dev tun0',
      'addr add fd00:8::2/64 dev tun0 nodad',
    ],
  });
  await setUp(vpn, {
    sysctls: FORWARDING,
    ip: [
      'link set tun0 up',
      'addr add 10.8.0.1/24 dev tun0',
      'addr add fd00:8::1/64 dev tun0 nodad',
      `addr add ${PLACES[4].vpn}/32 dev lo`,
      `addr add ${PLACES[6].vpn}/128 dev lo`,
      'route add 10.0.0.0/16 via 10.8.0.2 dev tun0',
      `route add ${VPC6} via fd00:8::2 dev tun0`,
    ],
    nft: `
table inet vpn {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "eth0" masquerade
  }
}
`,
  });
}

const VPN_SERVER = '203.0.113.251';
/** All subnets of the VPC, and not the one outside. */
const VPC6 = '2001:db8::/44';

/** What the VPN pushes. */
export type VpnRoute = 'subnet' | 'covering' | 'halves';

const byTunnel = (network: string): string =>
  `${network} via ${network.includes(':') ? 'fd00:8::1' : '10.8.0.1'} dev tun0`;
/** OpenVPN's `net_gateway`: the server itself, and the metadata service, which half of the world would take along. */
const byNetGateway = (network: string): string => `${network} via ${subnetOf('10.0.0.4').gateway} dev eth0`;

const VPN_ROUTES: Readonly<Record<VpnRoute, readonly string[]>> = {
  subnet: ['192.168.50.0/24', 'fd00:50::/64'].map(byTunnel),
  covering: ['10.0.0.0/8', VPC6].map(byTunnel),
  halves: [
    ...['0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1'].map(byTunnel),
    ...[`${VPN_SERVER}/32`, '169.254.0.0/16'].map(byNetGateway),
  ],
};

export function vpnRoute(name: VpnRoute): Change {
  const lines = VPN_ROUTES[name];
  return { up: lines.map((line) => `route add ${line}`), down: lines.map((line) => `route del ${line}`) };
}

/** A machine `branch` in the NIC's subnet, the router to a network that no gateway of the VPC knows. Returns the static route to it. */
export async function addBranch(
  lab: Lab,
  { linkName, addresses }: Eni,
  families: readonly (4 | 6)[],
): Promise<Change> {
  const [primary = ''] = addresses;
  const router = `${subnetOf(primary).gateway.replace(/\.1$/, '')}.252`;
  const namespace = await lab.addMachine({
    name: 'branch',
    addresses: [router, twinOf(router)],
    sourceCheckOff: Object.values(BRANCH_NETWORKS),
  });
  await setUp(namespace, {
    ip: [`addr add ${PLACES[4].branch}/32 dev lo`, `addr add ${PLACES[6].branch}/128 dev lo`],
  });
  const routes = families.map(
    (family) => `${BRANCH_NETWORKS[family]} via ${family === 4 ? router : twinOf(router)} dev ${linkName}`,
  );
  return {
    up: routes.map((route) => `route add ${route}`),
    down: routes.map((route) => `route del ${route}`),
  };
}

/** In the spare subnet, with the client that lives there; set up by its owner with an address and nothing else. */
export async function addUnmanagedEni(lab: Lab): Promise<Eni> {
  const { client, gateway } = SPARE_SUBNET;
  await lab.addMachine({ name: client.name, addresses: [client.address, client.address6] });
  const address = gateway.replace(/\.1$/, '.4');
  const eni = await lab.attachEni({ addresses: [address, twinOf(address)] });
  await setUp(lab.vm.namespace, { ip: byHand(eni) });
  return eni;
}

/** What an operator types who knows of addresses alone. */
export function byHand({ linkName, addresses }: Eni): readonly string[] {
  return [
    `link set ${linkName} up`,
    ...addresses.map(
      (address) => `addr add ${withPrefix(address)} dev ${linkName}${address.includes(':') ? ' nodad' : ''}`,
    ),
  ];
}
