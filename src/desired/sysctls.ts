/** Per-NIC sysctls: what policy routing and two NICs in one subnet need, and no more. */
import type { Config } from '../model/config.ts';
import type { DesiredSysctl } from '../model/desired.ts';
import type { HostState } from '../model/host.ts';
import { familyOf } from '../model/net.ts';
import type { SysctlName } from '../model/sysctl.ts';
import type { CloudNic } from './nics.ts';

const RP_FILTER_STRICT = 1;
const RP_FILTER_LOOSE = 2;
const ARP_ONLY_OWN_ADDRESSES = 1;
const ARP_ANNOUNCE_BEST_LOCAL = 2;

export interface SysctlContext {
  readonly host: HostState;
  readonly config: Config;
  /** Every NIC of the cloud, managed or not. */
  readonly cloudNics: readonly CloudNic[];
}

export function nicSysctls(
  nic: CloudNic,
  { host, config, cloudNics }: SysctlContext,
): readonly DesiredSysctl[] {
  const wanted: DesiredSysctl[] = [];
  const want = (
    name: SysctlName,
    value: number,
    isNeeded: (effective: number) => boolean,
    reason: string,
  ): void => {
    if (isOurs(nic, host, name) || isNeeded(effective(nic, host, name))) wanted.push({ name, value, reason });
  };
  if (config.sysctl.promoteSecondaries) {
    want(
      'promote_secondaries',
      1,
      (now) => now < 1,
      'the first address of a subnet must not take the others with it',
    );
  }
  if (config.sysctl.rpFilter === 'loose') {
    const reason = 'a strict filter drops forwarded traffic under policy routing';
    want('rp_filter', RP_FILTER_LOOSE, (now) => now === RP_FILTER_STRICT, reason);
  }
  const neighbour = config.sysctl.arp === 'auto' ? neighbourInSubnet(nic, cloudNics) : undefined;
  if (neighbour !== undefined) {
    const reason = `shares its subnet with ${neighbour.link.ifname}: each answers ARP for itself alone`;
    want('arp_ignore', ARP_ONLY_OWN_ADDRESSES, (now) => now < ARP_ONLY_OWN_ADDRESSES, reason);
    want('arp_announce', ARP_ANNOUNCE_BEST_LOCAL, (now) => now < ARP_ANNOUNCE_BEST_LOCAL, reason);
  }
  return wanted;
}

/** For each of these four the kernel uses the larger of `all` and the NIC's own value (inetdevice.h: MAXCONF, ORCONF). */
function effective(nic: CloudNic, host: HostState, name: SysctlName): number {
  return Math.max(nic.link.sysctls[name], host.allSysctls[name]);
}

/** We set it, and it is still as we set it. */
function isOurs(nic: CloudNic, host: HostState, name: SysctlName): boolean {
  return host.state.nics[nic.mac]?.sysctls[name]?.value === nic.link.sysctls[name];
}

function neighbourInSubnet(nic: CloudNic, cloudNics: readonly CloudNic[]): CloudNic | undefined {
  const subnets = new Set(nic.subnets.filter((subnet) => familyOf(subnet) === 4));
  return cloudNics.find(
    ({ mac, subnets: theirs }) => mac !== nic.mac && theirs.some((one) => subnets.has(one)),
  );
}
