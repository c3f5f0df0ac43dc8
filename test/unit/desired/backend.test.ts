/** Which backend is chosen, and what is said to speak for it. */
import { expect, test } from 'vitest';
import { chooseBackend } from '../../../src/desired/backend.ts';
import { CONNECTIONS, NETWORK_SCRIPTS } from '../../../src/model/files.ts';
import type { Distribution } from '../../../src/model/host.ts';
import { configOf, DISTRIBUTIONS, hostOf, link, macOf, networkManager } from '../builders.ts';

const IFCFG = `${NETWORK_SCRIPTS}/ifcfg-eth0`;
const KEYFILE = `${CONNECTIONS}/cloud-init-eth0.nmconnection`;
const READS_IFCFG = networkManager({ readsIfcfg: true });
const CENTOS_7 = { networkManager: networkManager({ readsIfcfg: true, version: '1.18.8' }), release: 7 };
const OLD = { networkManager: networkManager({ readsIfcfg: true, version: '1.12.0' }), release: 7 };
const SCRIPTS = { hasNetworkScripts: true, isNetworkServiceEnabled: true };

type Case = readonly [
  what: string,
  facts: Partial<Distribution>,
  files: Readonly<Record<string, string>>,
  backend: string,
  evidence: string,
];

test.each<Case>([
  [
    'CentOS 7 without NetworkManager',
    SCRIPTS,
    { [IFCFG]: 'DEVICE=eth0\n' },
    'network-scripts',
    'NetworkManager is not installed',
  ],
  [
    'CentOS 7 whose NetworkManager is off',
    { ...SCRIPTS, networkManager: networkManager({ isInUse: false, readsIfcfg: true }) },
    { [IFCFG]: 'DEVICE=eth0\n' },
    'network-scripts',
    'NetworkManager is not in use',
  ],
  [
    'CentOS 7 with NetworkManager, to whom the primary is not left',
    { ...SCRIPTS, ...CENTOS_7 },
    { [IFCFG]: 'DEVICE=eth0\nNM_CONTROLLED="no"\n' },
    'network-scripts',
    'NM_CONTROLLED=no in /etc/sysconfig/network-scripts/ifcfg-eth0',
  ],
  [
    'CentOS 7 with NetworkManager',
    { ...SCRIPTS, ...CENTOS_7 },
    { [IFCFG]: 'DEVICE=eth0\n' },
    'networkmanager-ifcfg',
    'release 7',
  ],
  [
    'an old CentOS 7',
    { ...SCRIPTS, ...OLD },
    { [IFCFG]: 'DEVICE=eth0\n' },
    'network-scripts',
    'knows no routing rules',
  ],
  [
    'an old one without network.service',
    { ...OLD, isNetworkServiceEnabled: false },
    {},
    'none',
    'network.service is not enabled',
  ],
  [
    'CentOS 8',
    { networkManager: READS_IFCFG, release: 8, hasNetworkScripts: false },
    { [IFCFG]: 'HWADDR=02:00:00:00:00:01\nNM_CONTROLLED=no\n' },
    'networkmanager-ifcfg',
    'the primary NIC has /etc/sysconfig/network-scripts/ifcfg-eth0',
  ],
  [
    'Stream 9',
    { networkManager: READS_IFCFG, release: 9 },
    { [IFCFG]: 'DEVICE=eth0\n' },
    'networkmanager-keyfile',
    'release 9 prefers keyfiles',
  ],
  [
    'Stream 10',
    { networkManager: networkManager({}), release: 10 },
    {},
    'networkmanager-keyfile',
    'no plugin for ifcfg files',
  ],
  [
    'something unknown with an ifcfg file',
    { networkManager: READS_IFCFG },
    { [IFCFG]: 'DEVICE=eth0\n' },
    'networkmanager-ifcfg',
    'it reads ifcfg files',
  ],
  [
    'something unknown with a keyfile',
    { networkManager: READS_IFCFG },
    { [KEYFILE]: '[connection]\ninterface-name=eth0\n' },
    'networkmanager-keyfile',
    `the primary NIC has ${KEYFILE}`,
  ],
  [
    'a host with neither',
    { hasScriptsFolder: false, hasNetworkScripts: false },
    {},
    'none',
    'there is no /etc/sysconfig/network-scripts',
  ],
])('%s', (_, facts, files, backend, evidence) => {
  const host = hostOf({
    links: [link(1, 'eth0', { addresses: '10.0.0.4/24' })],
    files,
    distribution: { ...DISTRIBUTIONS['network-scripts'], ...facts },
  });
  const chosen = chooseBackend(host, configOf(), macOf(1));
  expect([chosen.backend, chosen.evidence.join('; ')]).toEqual([backend, expect.stringContaining(evidence)]);
});

test('the configuration has the last word', () => {
  const host = hostOf({ links: [], distribution: DISTRIBUTIONS['networkmanager-keyfile'] });
  const config = configOf({ persistence: { backend: 'network-scripts' } });
  expect(chooseBackend(host, config, null)).toEqual({
    backend: 'network-scripts',
    evidence: ['persistence.backend in the configuration'],
  });
});
