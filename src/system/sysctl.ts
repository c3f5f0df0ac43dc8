/** net.ipv4.conf.all, from /proc: rtnetlink gives the values of a link only. Values of links are set over rtnetlink. */
import { readFileSync } from 'node:fs';
import { AgentError, errorMessage } from '../errors.ts';
import type { SysctlName, Sysctls } from '../model/sysctl.ts';

export function readAllSysctls(): Sysctls {
  return {
    rp_filter: readValue('rp_filter'),
    arp_ignore: readValue('arp_ignore'),
    arp_announce: readValue('arp_announce'),
    promote_secondaries: readValue('promote_secondaries'),
  };
}

function readValue(name: SysctlName): number {
  const file = `/proc/sys/net/ipv4/conf/all/${name}`;
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10);
  } catch (error) {
    throw new AgentError('kernel-unavailable', `reading ${file}: ${errorMessage(error)}`, { cause: error });
  }
}
