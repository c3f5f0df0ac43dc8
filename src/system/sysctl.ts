/** net.ipv4.conf.all, from /proc: rtnetlink gives the values of a link only. Values of links are set over rtnetlink. */
import { readFile } from 'node:fs/promises';
import { AgentError, errorMessage } from '../errors.ts';
import type { SysctlName, Sysctls } from '../model/sysctl.ts';

export async function readAllSysctls(): Promise<Sysctls> {
  const [rpFilter, arpIgnore, arpAnnounce, promoteSecondaries] = await Promise.all([
    readValue('rp_filter'),
    readValue('arp_ignore'),
    readValue('arp_announce'),
    readValue('promote_secondaries'),
  ]);
  return {
    rp_filter: rpFilter,
    arp_ignore: arpIgnore,
    arp_announce: arpAnnounce,
    promote_secondaries: promoteSecondaries,
  };
}

async function readValue(name: SysctlName): Promise<number> {
  const file = `/proc/sys/net/ipv4/conf/all/${name}`;
  try {
    return Number.parseInt(await readFile(file, 'utf8'), 10);
  } catch (error) {
    throw new AgentError('kernel-unavailable', `reading ${file}: ${errorMessage(error)}`, { cause: error });
  }
}
