/** The per-interface IPv4 sysctls that the agent knows, by their names below net.ipv4.conf.IF. */
export type SysctlName = 'rp_filter' | 'arp_ignore' | 'arp_announce' | 'promote_secondaries';
export type Sysctls = Readonly<Record<SysctlName, number>>;

export const SYSCTL_NAMES: readonly SysctlName[] = [
  'rp_filter',
  'arp_ignore',
  'arp_announce',
  'promote_secondaries',
];
