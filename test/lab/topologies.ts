/** The ways in which three NICs can lie in subnets, and what traffic each must carry. */
import type { Eni } from './cloud.ts';
import { PLACES, PUBLISHED_PORT } from './surroundings.ts';
import {
  METADATA_ADDRESS,
  METADATA_PORT,
  STATIC_HOST,
  STATIC_HOST6,
  SUBNETS,
  type Subnet,
  subnetOf,
  VM_ADDRESS,
} from './topology.ts';
import type { Cell } from './traffic.ts';

export interface Topology {
  readonly name: string;
  /** IPv4 addresses of each NIC, the primary NIC first; the IPv6 ones are their twins. */
  readonly nics: readonly (readonly string[])[];
}

const PRIMARY = [VM_ADDRESS, '10.0.0.5'];

export const TOPOLOGIES = {
  separate: {
    name: 'Three subnets',
    nics: [PRIMARY, ['10.0.1.4', '10.0.1.5'], ['10.0.2.4', '10.0.2.5']],
  },
  withPrimary: {
    name: "One secondary in the primary's subnet",
    nics: [PRIMARY, ['10.0.0.20', '10.0.0.21'], ['10.0.1.4', '10.0.1.5']],
  },
  secondaries: {
    name: 'Two secondaries in one subnet',
    nics: [PRIMARY, ['10.0.1.4', '10.0.1.5'], ['10.0.1.20', '10.0.1.21']],
  },
  together: {
    name: 'All in one subnet',
    nics: [PRIMARY, ['10.0.0.20', '10.0.0.21'], ['10.0.0.30', '10.0.0.31']],
  },
} as const satisfies Record<string, Topology>;

const EVERY_PROTOCOL = ['tcp', 'udp', 'ping'] as const;
const OUTSIDE = 'outside';

export interface TrafficOptions {
  readonly family: 4 | 6;
  /** In the order in which their links got their addresses: main's route to a subnet is that of the first NIC in it. */
  readonly managed: readonly Eni[];
  readonly unmanaged: Eni;
}

/** From the clients to every address, from every address to everybody, and from the clients to the port of the container. */
export interface Traffic {
  readonly family: 4 | 6;
  readonly inbound: readonly Cell[];
  readonly outbound: readonly Cell[];
  readonly published: readonly Cell[];
}

export function trafficOf(options: TrafficOptions): Traffic {
  const inbound = inboundCells(options);
  return {
    family: options.family,
    inbound,
    outbound: outboundCells(options),
    published: inbound.map(publishedCell),
  };
}

/** Those outside, and in each subnet in which the VM has a NIC. */
function clientsOf({ managed, unmanaged }: TrafficOptions): readonly Subnet[] {
  return SUBNETS.filter(
    (subnet) => subnet.client.name === OUTSIDE || [...managed, unmanaged].some((eni) => isIn(eni, subnet)),
  );
}

function isIn({ addresses: [primary = ''] }: Eni, subnet: Subnet): boolean {
  return subnetOf(primary) === subnet;
}

function wayTo(subnet: Subnet, { managed, unmanaged }: TrafficOptions): string {
  return [...managed, unmanaged].find((eni) => isIn(eni, subnet))?.linkName ?? 'eth0';
}

function addressesOf({ addresses }: Eni, family: 4 | 6): readonly string[] {
  return addresses.filter((address) => address.includes(':') === (family === 6));
}

function inboundCells(options: TrafficOptions): readonly Cell[] {
  return clientsOf(options).flatMap((subnet) =>
    options.managed.flatMap((eni) =>
      addressesOf(eni, options.family).map(
        (to): Cell => ({
          family: options.family,
          row: subnet.client.name,
          column: `${eni.linkName} ${to}`,
          flows: EVERY_PROTOCOL.map((protocol) => ({ from: subnet.client.name, host: 'vm', to, protocol })),
          nic: eni.linkName,
          way: wayTo(subnet, options),
          isNear: isIn(eni, subnet),
        }),
      ),
    ),
  );
}

function publishedCell(cell: Cell): Cell {
  const flows = cell.flows.filter(({ protocol }) => protocol === 'tcp');
  return { ...cell, flows: flows.map((flow) => ({ ...flow, host: 'container', port: PUBLISHED_PORT })) };
}

interface Asker {
  readonly row: string;
  readonly from: string;
  readonly nic: string | null;
  readonly source?: string;
}

interface Asked {
  readonly column: string;
  readonly host: string;
  readonly to: readonly string[];
  readonly way: string | null;
  readonly protocols?: Cell['flows'][number]['protocol'][];
  readonly port?: number;
  /** Of those, the NICs from whose addresses it can be reached; the unbound socket can always. */
  readonly onlyFrom?: string;
}

function outboundCells(options: TrafficOptions): readonly Cell[] {
  const { managed, family } = options;
  const bound = managed.flatMap((eni) =>
    addressesOf(eni, family).map(
      (source): Asker => ({ row: `${eni.linkName} ${source}`, from: 'vm', nic: eni.linkName, source }),
    ),
  );
  const unbound: Asker = { row: 'unbound', from: 'vm', nic: null };
  const container: Asker = { row: 'container', from: 'container', nic: null };
  const all = askedBy(options);
  const fromContainer = all.filter(
    ({ column, onlyFrom }) => column !== 'container' && onlyFrom === undefined,
  );
  return [
    ...bound.flatMap((asker) =>
      all
        .filter(({ onlyFrom = asker.nic }) => onlyFrom === asker.nic)
        .map((asked) => outboundCell(family, asker, asked)),
    ),
    ...all.map((asked) => outboundCell(family, unbound, asked)),
    ...fromContainer.map((asked) => outboundCell(family, container, asked)),
  ];
}

function askedBy(options: TrafficOptions): readonly Asked[] {
  const { managed, family } = options;
  const { container, vpn, branch } = PLACES[family];
  const neighbours = clientsOf(options).map(
    (subnet): Asked => ({
      column: subnet.client.name,
      host: subnet.client.name,
      to: [family === 4 ? subnet.client.address : subnet.client.address6],
      way: wayTo(subnet, options),
    }),
  );
  const metadata: Asked = {
    column: 'metadata',
    host: 'vpc',
    to: [METADATA_ADDRESS],
    way: 'eth0',
    protocols: ['http', 'ping'],
    port: METADATA_PORT,
    onlyFrom: 'eth0',
  };
  return [
    ...neighbours,
    ...managed.map(
      (eni): Asked => ({
        column: ownColumn(eni),
        host: 'vm',
        to: addressesOf(eni, family),
        way: null,
        // A ping takes a process each, and what does not leave the VM is the same for all.
        protocols: ['tcp', 'udp'],
      }),
    ),
    { column: 'container', host: 'container', to: [container], way: null },
    { column: 'VPN', host: 'vpn', to: [vpn], way: null },
    {
      column: 'static, eth0',
      host: 'router',
      to: [family === 4 ? STATIC_HOST : STATIC_HOST6],
      way: 'eth0',
      onlyFrom: 'eth0',
    },
    { column: 'static, eth1', host: 'branch', to: [branch], way: 'eth1', onlyFrom: 'eth1' },
    ...(family === 4 ? [metadata] : []),
  ];
}

/** The VM asks itself, at the addresses of that NIC. */
export function ownColumn({ linkName }: Pick<Eni, 'linkName'>): string {
  return `own, ${linkName}`;
}

function outboundCell(family: 4 | 6, { row, from, nic, source }: Asker, asked: Asked): Cell {
  const { column, host, to, way, protocols = EVERY_PROTOCOL, port } = asked;
  const flows = to.flatMap((address) =>
    protocols.map((protocol) => ({
      from,
      host,
      to: address,
      protocol,
      ...(source === undefined ? {} : { source }),
      ...(port === undefined ? {} : { port }),
    })),
  );
  return { family, row, column, flows, nic, way, isNear: false };
}
