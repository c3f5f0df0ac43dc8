/** The distribution's own programs, where they set up what the agent sets up. */

import { CONNECTIONS, filePath, NETWORK_SCRIPTS } from '../model/files.ts';
import { shellWord } from '../model/shell-word.ts';
import { type Facts, managedSecondaries } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { pathIn } from './shell.ts';

/** What NetworkManager makes up for a NIC that no profile claims. */
const MADE_UP = /\/Wired connection \d+/;

/** A profile of somebody else is active on a NIC of ours. */
export function checkNetworkManager(facts: Facts): Verdict {
  if (!facts.backend.startsWith('networkmanager-')) return verdict();
  const { profiles } = facts;
  if ('unknown' in profiles) return notChecked(profiles.unknown);
  const findings = managedSecondaries(facts).flatMap(({ link }): readonly Finding[] => {
    const file = profiles.value.get(link.ifname) ?? null;
    const kind = facts.backend === 'networkmanager-keyfile' ? 'keyfile' : 'ifcfg';
    const own = filePath(kind, link.ifname);
    if (file === null || file.endsWith(own) || !isSomebodys(file)) return [];
    return [
      {
        severity: 'warning',
        title: `NetworkManager runs ${link.ifname} by a profile that is not the agent's: each takes away what the other adds`,
        evidence: [`active is ${file}`, `the agent's is ${own}`],
        fix: [
          `nmcli connection modify ${shellWord(profileName(file))} connection.autoconnect no`,
          `nmcli connection up ${kind === 'keyfile' ? `eni-agent-${link.ifname}` : shellWord(`System ${link.ifname}`)}`,
        ],
      },
    ];
  });
  return verdict(...findings);
}

/** Not what stands for a NIC that NetworkManager found configured, and leaves alone. */
function isSomebodys(file: string): boolean {
  return file.includes(`${CONNECTIONS}/`) || file.includes(`${NETWORK_SCRIPTS}/`) || MADE_UP.test(file);
}

/** By the rules of NetworkManager: that of a keyfile is its name, unless it says otherwise. */
function profileName(file: string): string {
  const name = file.slice(file.lastIndexOf('/') + 1);
  return name.startsWith('ifcfg-')
    ? `System ${name.slice('ifcfg-'.length)}`
    : name.replace(/\.nmconnection$/, '');
}

export function checkNetworkService(facts: Facts): Verdict {
  const { isNetworkServiceEnabled, hasNetworkScripts } = facts.host.distribution;
  if (!facts.backend.startsWith('networkmanager-') || !isNetworkServiceEnabled || !hasNetworkScripts)
    return verdict();
  return verdict({
    severity: 'warning',
    title:
      'network.service and NetworkManager both bring the NICs up at boot: the second takes away what the first has set up',
    evidence: ['network.service is enabled', `NetworkManager is in use (${facts.backend})`],
    fix: ['systemctl disable network.service'],
  });
}

export function checkCloudInit(facts: Facts): Verdict {
  const { isCloudInitFree } = facts.surroundings;
  if ('unknown' in isCloudInitFree) return notChecked(isCloudInitFree.unknown);
  if (!isCloudInitFree.value || managedSecondaries(facts).length === 0) return verdict();
  const file = '/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg';
  return verdict({
    severity: 'warning',
    title: 'cloud-init may write the files of the NICs again, with DHCP and a default route for each',
    evidence: ['/etc/cloud/cloud.cfg is there, and nothing says network: {config: disabled}'],
    fix: [`echo 'network: {config: disabled}' > ${pathIn(facts, file)}`],
  });
}
