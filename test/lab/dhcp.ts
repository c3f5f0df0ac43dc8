/** Debian's dnsmasq in a subnet of the fabric, at its gateway's address, as the DHCP server that answers at once. */
import type { Children } from './children.ts';
import { NETMASK, subnetOf } from './topology.ts';
import { until } from './until.ts';

export interface DhcpLease {
  readonly mac: string;
  readonly address: string;
}

/** All of one subnet. Returns when it listens. */
export async function serveDhcp(
  children: Children,
  namespace: string,
  leases: readonly DhcpLease[],
): Promise<void> {
  const { gateway } = subnetOf(leases[0]?.address ?? '');
  const server = children.start({
    name: 'dnsmasq',
    namespace,
    command: [
      'dnsmasq',
      // It stays in the foreground, and the user that it is: it could not become another one without root.
      '--no-daemon',
      '--conf-file=/dev/null',
      '--pid-file=',
      '--port=0',
      '--no-ping',
      '--leasefile-ro',
      '--bind-interfaces',
      `--listen-address=${gateway}`,
      `--dhcp-option=option:router,${gateway}`,
      `--dhcp-range=${gateway},static,${NETMASK},1h`,
      ...leases.map(({ mac, address }) => `--dhcp-host=${mac},${address}`),
    ],
  });
  await until({
    what: 'the DHCP server listens',
    read: () => ({ log: server.stderr, death: server.death }),
    holds: ({ log }) => log.includes('DHCP, static leases only'),
  });
}
