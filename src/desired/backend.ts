/**
 * Which of the distribution's programs will bring the network up at the next boot, and so in which form files are written. By what is
 * installed and how the primary NIC is configured; what a rule goes by is its evidence, in the words that `config` and `status` show.
 */
import type { Config } from '../model/config.ts';
import type { BackendChoice } from '../model/desired.ts';
import { isKeyfile, isOriginal, isOurs, isProfile, subjectOf, valueOf } from '../model/files.ts';
import type { HostFile, HostState, NetworkManagerFacts } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import { findLink } from './nics.ts';

/** NetworkManager reads ROUTING_RULE_n from this version on (FACTS §3). */
const RULES_SINCE = [1, 18] as const;
/** The first release of Enterprise Linux whose profiles are keyfiles; its NetworkManager still reads ifcfg files. */
const KEYFILE_RELEASE = 9;

export function chooseBackend(host: HostState, config: Config, primaryMac: MacAddress | null): BackendChoice {
  const { backend } = config.persistence;
  if (backend !== 'auto') return { backend, evidence: ['persistence.backend in the configuration'] };
  const { networkManager, hasScriptsFolder } = host.distribution;
  if (networkManager?.isInUse !== true) {
    const noManager =
      networkManager === null ? 'NetworkManager is not installed' : 'NetworkManager is not in use';
    return hasScriptsFolder
      ? { backend: 'network-scripts', evidence: [noManager, '/etc/sysconfig/network-scripts is there'] }
      : { backend: 'none', evidence: [noManager, 'there is no /etc/sysconfig/network-scripts'] };
  }
  return chooseOfNetworkManager(host, networkManager, primaryMac);
}

function chooseOfNetworkManager(
  host: HostState,
  networkManager: NetworkManagerFacts,
  primaryMac: MacAddress | null,
): BackendChoice {
  const { version, readsIfcfg } = networkManager;
  const { hasNetworkScripts, isNetworkServiceEnabled, release } = host.distribution;
  const evidence = [`NetworkManager${version === null ? '' : ` ${version}`} is in use`];
  const primary = primaryProfile(host, primaryMac);
  if (primary !== undefined && isLeftToScripts(primary) && hasNetworkScripts)
    return { backend: 'network-scripts', evidence: [...evidence, `NM_CONTROLLED=no in ${primary.path}`] };
  if (!readsIfcfg)
    return { backend: 'networkmanager-keyfile', evidence: [...evidence, 'it has no plugin for ifcfg files'] };
  evidence.push('it reads ifcfg files');
  if (release !== null && release >= KEYFILE_RELEASE)
    return {
      backend: 'networkmanager-keyfile',
      evidence: [...evidence, `release ${release} prefers keyfiles`],
    };
  if (release === null && primary !== undefined && isKeyfile(primary.path))
    return {
      backend: 'networkmanager-keyfile',
      evidence: [...evidence, `the primary NIC has ${primary.path}`],
    };
  if (version !== null && isBefore(version, RULES_SINCE)) {
    const old = `it is older than ${RULES_SINCE.join('.')} and knows no routing rules`;
    return isNetworkServiceEnabled
      ? { backend: 'network-scripts', evidence: [...evidence, old, 'network.service is enabled'] }
      : { backend: 'none', evidence: [...evidence, old, 'network.service is not enabled'] };
  }
  if (release !== null) evidence.push(`release ${release}`);
  if (primary !== undefined) evidence.push(`the primary NIC has ${primary.path}`);
  return { backend: 'networkmanager-ifcfg', evidence };
}

/** How whoever set the VM up configured its primary NIC. */
function primaryProfile(host: HostState, primaryMac: MacAddress | null): HostFile | undefined {
  const link = primaryMac === null ? undefined : findLink(primaryMac, host.links);
  if (link === undefined) return undefined;
  return host.files.find((file) => {
    if (!isProfile(file.path) || isOurs(file) || isOriginal(file.path)) return false;
    const { ifname, mac } = subjectOf(file);
    return ifname === link.ifname || mac === primaryMac;
  });
}

function isLeftToScripts(file: HostFile): boolean {
  return !isKeyfile(file.path) && valueOf(file, 'NM_CONTROLLED')?.toLowerCase() === 'no';
}

function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split('.').map(Number);
  return foundMajor < major || (foundMajor === major && foundMinor < minor);
}
