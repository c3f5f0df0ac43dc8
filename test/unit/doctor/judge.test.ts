import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CHECK_IDS, judge } from '../../../src/doctor/judge.ts';
import type { LinkAddress } from '../../../src/model/host.ts';
import type { IfName } from '../../../src/model/net.ts';
import { addressesOf, asLinkAddress, cidr, ip, link, macOf, networkManager, otherLink } from '../builders.ts';
import { ETH0, ETH1, type FactsText, factsOf, nicOf, told } from './facts.ts';

const IFCFG1 = '/etc/sysconfig/network-scripts/ifcfg-eth1';
const KEYFILE = '/etc/NetworkManager/system-connections/web.nmconnection';
const TUN0 = otherLink(9, 'tun0', { addresses: '10.8.0.2/24' });
const STRICT = { rp_filter: 1, arp_ignore: 0, arp_announce: 0, promote_secondaries: 1 };

test('a VM with which nothing is wrong has no finding, and every check is made', () => {
  expect(judge(factsOf())).toEqual({ findings: [], checked: CHECK_IDS, unknown: [] });
});

test('docs/doctor.md has every check, and no other', () => {
  const page = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, id]) => id);
  expect(documented).toEqual(CHECK_IDS);
});

test('the worst is told first', () => {
  const { findings } = judge(
    factsOf({
      storageProblem: 'no room',
      machine: { nodeVersion: '20.19.0' },
      status: { value: ['eth1: …'] },
    }),
  );
  expect(findings.map(({ severity }) => severity)).toEqual(['error', 'warning', 'hint']);
});

test('what could not be looked at is unknown, and not checked', () => {
  const unknown = { unknown: 'no such program' };
  const {
    findings,
    checked,
    unknown: found,
  } = judge(
    factsOf({
      metadata: unknown,
      profiles: unknown,
      backend: 'networkmanager-keyfile',
      hasDaemon: unknown,
      status: unknown,
      surroundings: {
        tableNames: unknown,
        isCloudInitFree: unknown,
        otherAgents: unknown,
        translations: unknown,
        denials: unknown,
      },
    }),
  );
  const ids = [
    'daemon',
    'status',
    'metadata',
    'published-ports',
    'network-manager',
    'cloud-init',
    'other-agent',
    'table-names',
    'selinux',
  ];
  expect(findings).toEqual([]);
  expect(found).toEqual(ids.map((id) => ({ id, reason: 'no such program' })));
  expect(checked).toEqual(CHECK_IDS.filter((id) => !ids.includes(id)));
});

type Row = readonly [what: string, facts: FactsText, ...findings: readonly (readonly string[])[]];

/** eth1 as NetworkManager or network-scripts know it. */
const duplicate = (own: string): LinkAddress => {
  const [entry] = addressesOf(own).map(asLinkAddress);
  if (entry === undefined) throw new Error(own);
  return { ...entry, duplicate: true };
};

const ROUTES: readonly Row[] = [
  [
    'a second default route that wins, and the file that brings it',
    {
      host: {
        routes: ['default via 10.0.0.1 dev eth0 metric 100', 'default via 10.0.1.1 dev eth1'],
        files: { [IFCFG1]: 'DEVICE=eth1\nIPADDR=10.0.1.4\nPREFIX=24\nGATEWAY=10.0.1.1\n' },
      },
    },
    [
      'error second-default',
      `sed -i '/^GATEWAY=/d' ${IFCFG1}`,
      'ip route del default via 10.0.1.1 dev eth1 metric 0',
    ],
  ],
  [
    'one that loses, by DHCP',
    {
      host: {
        routes: ['default via 10.0.0.1 dev eth0', 'default via 10.0.1.1 dev eth1 metric 101'],
        files: { [IFCFG1]: `HWADDR=${macOf(2)}\nBOOTPROTO=dhcp\n` },
      },
    },
    [
      'warning second-default',
      `printf '%s\\n' DEFROUTE=no >> ${IFCFG1}`,
      'ip route del default via 10.0.1.1 dev eth1 metric 101',
    ],
  ],
  [
    'one by a keyfile',
    {
      host: {
        routes: ['default via 10.0.0.1 dev eth0', 'default via 10.0.1.1 dev eth1 metric 101'],
        files: { [KEYFILE]: '[connection]\ninterface-name=eth1\n[ipv4]\nmethod=auto\n' },
      },
    },
    [
      'warning second-default',
      `sed -i '/^\\[ipv4\\]$/a never-default=true' ${KEYFILE}`,
      'ip route del default via 10.0.1.1 dev eth1 metric 101',
    ],
  ],
  [
    'one by a keyfile that says so already, below a NetworkManager that runs, and of IPv6',
    {
      host: {
        routes: [
          'default via 10.0.0.1 dev eth0',
          'default via 10.0.1.1 dev eth1 metric 101',
          '::/0 via fe80::1 dev eth0 metric 100',
          '::/0 via fe80::1 dev eth1 metric 1024 proto 9',
        ],
        files: {
          [KEYFILE]:
            '[connection]\ninterface-name=eth1\n[ipv4]\nnever-default=true\n[ipv6]\nmethod=auto\n[user]\n',
        },
        distribution: { networkManager: networkManager({}) },
      },
    },
    ['warning second-default', 'ip route del default via 10.0.1.1 dev eth1 metric 101'],
    [
      'warning second-default',
      `sed -i '/^\\[ipv6\\]$/a never-default=true' ${KEYFILE}`,
      `nmcli connection load ${KEYFILE}`,
      "printf '%s\\n' 'net.ipv6.conf.eth1.accept_ra_defrtr = 0' >> /etc/sysctl.d/90-accept-ra-defrtr.conf",
      'sysctl -w net.ipv6.conf.eth1.accept_ra_defrtr=0',
      'ip -6 route del default via fe80::1 dev eth1 metric 1024',
    ],
  ],
  [
    'one of IPv6, by an ifcfg file that has a gateway of IPv4, too',
    {
      host: {
        routes: ['::/0 via fe80::1 dev eth0 metric 100', '::/0 via fe80::1 dev eth1 metric 1024'],
        files: { [IFCFG1]: 'DEVICE=eth1\nGATEWAY=10.0.1.1\nIPV6_DEFAULTGW=fe80::1\n' },
      },
    },
    [
      'warning second-default',
      `sed -i '/^IPV6_DEFAULTGW=/d' ${IFCFG1}`,
      'ip -6 route del default via fe80::1 dev eth1 metric 1024',
    ],
  ],
  [
    'a default route by a VPN is none',
    {
      host: {
        links: [ETH0, ETH1, TUN0],
        routes: ['default via 10.0.0.1 dev eth0', 'default dev tun0 metric 50'],
      },
      nics: [nicOf(ETH0), nicOf(ETH1)],
    },
  ],
  [
    'a zeroconf route of ifup',
    {
      host: {
        routes: ['default via 10.0.0.1 dev eth0', '169.254.0.0/16 dev eth1 metric 1003'],
        distribution: { hasNetworkScripts: true },
      },
    },
    [
      'error link-local',
      "printf '%s\\n' NOZEROCONF=yes >> /etc/sysconfig/network",
      'ip route del 169.254.0.0/16 dev eth1 metric 1003',
    ],
  ],
  [
    'a zeroconf route of the primary NIC, which the metadata comes in spite of',
    {
      host: {
        routes: ['default via 10.0.0.1 dev eth0', '169.254.0.0/16 dev eth0 metric 1002'],
        distribution: { hasNetworkScripts: true },
      },
      surroundings: { isZeroconfOff: { value: true } },
    },
    ['hint link-local', 'ip route del 169.254.0.0/16 dev eth0 metric 1002'],
  ],
  [
    'a link-local route by the primary NIC and its gateway, and a link-local network of a tunnel, are none',
    {
      host: {
        links: [ETH0, ETH1, TUN0],
        routes: [
          'default via 10.0.0.1 dev eth0',
          '169.254.0.0/16 via 10.0.0.1 dev eth0',
          '169.254.77.0/30 dev tun0',
        ],
      },
      nics: [nicOf(ETH0), nicOf(ETH1)],
    },
  ],
];

const way = { address: ip('169.254.0.23'), link: ETH1, foreignRule: null, route: 'r', mainRoute: null };

const METADATA: readonly Row[] = [
  [
    'slow metadata',
    { metadata: { value: { durationMs: 1_200, failure: null, way: null } } },
    ['warning metadata', 'eni-agent config'],
  ],
  [
    'no answer, below another root',
    {
      root: '/mnt/my disk',
      metadata: { value: { durationMs: 2_000, failure: 'refused', way: { ...way, link: ETH0 } } },
    },
    [
      'error metadata',
      "eni-agent --root '/mnt/my disk' config",
      "eni-agent --root '/mnt/my disk' explain 169.254.0.23",
    ],
  ],
  [
    'a detour by a rule',
    {
      metadata: {
        value: { durationMs: 9, failure: 'x', way: { ...way, foreignRule: 'from all lookup 99 priority 5' } },
      },
    },
    ['error metadata', 'ip rule del from all lookup 99 priority 5'],
  ],
  [
    'a detour by a rule of which not everything is known',
    {
      metadata: {
        value: {
          durationMs: 9,
          failure: 'x',
          way: { ...way, foreignRule: 'from all … lookup 99 priority 5' },
        },
      },
    },
    ['error metadata', 'eni-agent explain 169.254.0.23'],
  ],
  [
    'a detour by a route of main',
    {
      metadata: { value: { durationMs: 9, failure: null, way: { ...way, mainRoute: cidr('128.0.0.0/1') } } },
    },
    ['error metadata', 'ip route del 128.0.0.0/1 dev eth1 table 254'],
  ],
  [
    'a detour by a route that is told of already',
    {
      host: { routes: ['default via 10.0.0.1 dev eth0', '169.254.0.0/16 dev eth1'] },
      metadata: { value: { durationMs: 9, failure: 'x', way } },
    },
    ['error link-local', 'ip route del 169.254.0.0/16 dev eth1'],
  ],
];

const REPLIES: readonly Row[] = [
  [
    'a strict filter where every answer leaves by its own NIC is none',
    { nics: [nicOf(ETH0), nicOf({ ...ETH1, sysctls: STRICT }, { leftAlone: 'unmanaged' })] },
  ],
  [
    'a strict filter on a VM that forwards, by the value of all',
    {
      host: { allSysctls: { rp_filter: 1 } },
      config: { sysctl: { rpFilter: 'leave' } },
      nics: [nicOf(ETH0), nicOf({ ...ETH1, sysctls: { ...STRICT, rp_filter: 2 } })],
      surroundings: { isForwarding: true },
    },
    [
      'warning rp-filter',
      "printf '%s\\n' 'net.ipv4.conf.eth0.rp_filter = 2' >> /etc/sysctl.d/90-rp-filter.conf",
      'sysctl -w net.ipv4.conf.eth0.rp_filter=2',
    ],
  ],
  [
    'a strict filter on a VM that forwards, with one NIC, is none',
    {
      host: { links: [{ ...ETH0, sysctls: STRICT }] },
      config: { sysctl: { rpFilter: 'leave' } },
      surroundings: { isForwarding: true },
    },
  ],
  [
    'published ports, and a configuration without the section',
    { surroundings: { translations: { value: ['tcp dport 80 dnat to 172.17.0.2'] } } },
    [
      'warning published-ports',
      "printf '\\nrouting:\\n  forwarded: connmark\\n' >> /etc/eni-agent/config.yaml",
      'eni-agent reconfigure',
    ],
  ],
  [
    'published ports, and a configuration with the section',
    {
      configText: 'routing: # ours\n\n    primary: always\n',
      surroundings: { translations: { value: ['-A PREROUTING -j DNAT'] } },
    },
    [
      'warning published-ports',
      "sed -i '/^routing:/a\\    forwarded: connmark' /etc/eni-agent/config.yaml",
      'eni-agent reconfigure',
    ],
  ],
  ...['{ routing: { primary: always } }\n', 'routing: { primary: always }\n'].map(
    (configText): Row => [
      `published ports, and a configuration that only a person can change: ${configText}`,
      { configText, surroundings: { translations: { value: ['-A PREROUTING -j DNAT'] } } },
      [
        'warning published-ports',
        'vi /etc/eni-agent/config.yaml # routing: add forwarded: connmark',
        'eni-agent reconfigure',
      ],
    ],
  ),
  [
    'published ports that the configuration turns away',
    {
      configText: 'routing:\n  forwarded: off\n',
      surroundings: { translations: { value: ['-A PREROUTING -j DNAT'] } },
    },
    [
      'warning published-ports',
      "sed -i 's/^\\( *forwarded:\\).*/\\1 connmark/' /etc/eni-agent/config.yaml",
      'eni-agent reconfigure',
    ],
  ],
  [
    'published ports with connection marks are none',
    {
      config: { routing: { forwarded: 'connmark' } },
      surroundings: { translations: { value: ['-A PREROUTING -j DNAT'] } },
    },
  ],
];

const FILES: readonly Row[] = [
  [
    'a gateway that is in no subnet: the right one is known',
    { host: { files: { [IFCFG1]: 'DEVICE=eth1\nIPADDR=10.0.1.4\nPREFIX=24\nGATEWAY="10.0.2.1"\n' } } },
    ['error gateway', `sed -i 's/\\b10\\.0\\.2\\.1\\b/10.0.1.1/' ${IFCFG1}`],
  ],
  [
    'a gateway that is in no subnet: the right one is not known',
    {
      gateways: new Map(),
      host: { files: { '/etc/sysconfig/network-scripts/route-eth1': 'default via 10.9.0.1 table 7' } },
    },
    [
      'error gateway',
      "sed -i '/^default[[:space:]]\\+via[[:space:]]\\+10\\.9\\.0\\.1[[:space:]]\\+table[[:space:]]\\+7$/d' /etc/sysconfig/network-scripts/route-eth1",
    ],
  ],
  [
    'gateways that are right: on-link, in a subnet of the file, of a keyfile',
    {
      host: {
        files: {
          '/etc/sysconfig/network-scripts/route-eth1': 'default via 10.9.0.1 dev eth1 onlink\n# via 10.9.0.1',
          [IFCFG1]: 'DEVICE=eth1\nIPADDR2=10.3.0.4\nNETMASK2=255.255.0.0\nGATEWAY=10.3.9.1\n',
          [KEYFILE]:
            '[connection]\ninterface-name=eth1\n[ipv4]\naddress1=10.4.0.4/16,10.4.9.1\nroute1=10.7.0.0/16,0.0.0.0\n',
        },
      },
    },
  ],
  [
    'a gateway of a NIC with a single address',
    {
      host: {
        links: [ETH0, link(2, 'eth1', { addresses: '10.0.1.4/32' })],
        files: { [IFCFG1]: 'DEVICE=eth1\nIPADDR=10.0.1.4\nPREFIX=32\nGATEWAY=10.0.1.1\n' },
      },
    },
  ],
  [
    'a gateway outside of the subnet in the metadata',
    { contradictions: [{ mac: macOf(2), problem: 'gateway 10.9.0.1 is not in subnet 10.0.1.0/24' }] },
    ['error gateway'],
  ],
  [
    'a keyfile of a NIC that is gone',
    { host: { files: { [KEYFILE]: '[connection]\ntype=ethernet\ninterface-name=eth5\n' } } },
    ['warning stale-file', `mv ${KEYFILE} '${KEYFILE}~'`],
  ],
  [
    'files that are not of a NIC that is gone',
    {
      host: {
        files: {
          '/etc/sysconfig/network-scripts/ifcfg-lo': 'DEVICE=lo\n',
          '/etc/sysconfig/network-scripts/ifcfg-eth7': 'DEVICE=eth7\nONBOOT=no\n',
          '/etc/sysconfig/network-scripts/ifcfg-eth6': 'DEVICE=eth6\nTYPE=Bridge\n',
          '/etc/sysconfig/network-scripts/ifcfg-bond0': 'DEVICE=bond0\nTYPE=Bond\n',
          '/etc/sysconfig/network-scripts/ifcfg-old': `DEVICE=eth9\nHWADDR=${macOf(2).toUpperCase()}\n`,
          '/etc/sysconfig/network-scripts/ifcfg-eth8': '# Managed by eni-agent.\nDEVICE=eth8\n',
          '/etc/sysconfig/network-scripts/ifcfg-eth1:1': 'DEVICE=eth1:1\n',
        },
      },
    },
  ],
];

const OTHERS: readonly Row[] = [
  [
    'a profile of somebody else',
    {
      backend: 'networkmanager-keyfile',
      profiles: {
        value: new Map([
          ['eth1' as IfName, '/run/NetworkManager/system-connections/Wired connection 1.nmconnection'],
        ]),
      },
    },
    [
      'warning network-manager',
      "nmcli connection modify 'Wired connection 1' connection.autoconnect no",
      'nmcli connection up eni-agent-eth1',
    ],
  ],
  [
    'profiles that are right: ours, and what NetworkManager found',
    {
      backend: 'networkmanager-keyfile',
      host: { links: [ETH0, ETH1, link(3, 'eth2')] },
      profiles: {
        value: new Map([
          ['eth1' as IfName, '/etc/NetworkManager/system-connections/eni-agent-eth1.nmconnection'],
          ['eth2' as IfName, '/run/NetworkManager/system-connections/eth2.nmconnection'],
        ]),
      },
    },
  ],
  [
    'two programs that bring the network up',
    {
      backend: 'networkmanager-ifcfg',
      host: { distribution: { hasNetworkScripts: true, isNetworkServiceEnabled: true } },
    },
    ['warning network-service', 'systemctl disable network.service'],
  ],
  [
    'a timer, and a rule of a package',
    {
      surroundings: {
        otherAgents: {
          value: [
            { name: 'nm-cloud-setup', starter: { kind: 'unit', link: 'l', units: ['a.timer', 'a.service'] } },
            { name: 'x', starter: { kind: 'udev-rule', file: '/usr/lib/udev/rules.d/53-x.rules' } },
          ],
        },
      },
    },
    ['warning other-agent', 'systemctl mask --now a.timer a.service'],
    ['warning other-agent', 'ln -s /dev/null /etc/udev/rules.d/53-x.rules', 'udevadm control --reload'],
  ],
  [
    'a daemon that has failed',
    {
      hasDaemon: { value: false },
      surroundings: { service: { value: { active: 'failed', result: 'exit-code' } } },
    },
    [
      'error daemon',
      'journalctl -u eni-agent.service -n 50 --no-pager',
      'systemctl reset-failed eni-agent.service',
      'systemctl enable --now eni-agent.service',
    ],
  ],
  ['no daemon, and no unit', { hasDaemon: { value: false } }, ['hint daemon']],
  [
    'a daemon that was stopped',
    {
      hasDaemon: { value: false },
      surroundings: { service: { value: { active: 'inactive', result: 'success' } } },
    },
    ['warning daemon', 'systemctl enable --now eni-agent.service'],
  ],
  [
    'a duplicate address that is assigned here',
    {
      host: { links: [{ ...ETH0, addresses: [...ETH0.addresses, duplicate('2001:db8::4/64')] }] },
    },
    ['error duplicate-address'],
  ],
  [
    'a denial of SELinux',
    { surroundings: { denials: { value: ['avc: denied'] } } },
    [
      'error selinux',
      'restorecon -Rv /etc/eni-agent /var/lib/eni-agent /etc/sysconfig/network-scripts /etc/NetworkManager/system-connections',
      'systemctl restart eni-agent.service',
    ],
  ],
  ['a Node that is too old', { machine: { nodeVersion: '20.9.1' } }, ['warning node', 'dnf upgrade nodejs']],
  [
    'a Node without security fixes, of a stream',
    { machine: { nodeVersion: '20.20.0' }, host: { distribution: { release: 9 } } },
    ['hint node', 'dnf module switch-to nodejs:22'],
  ],
  [
    'a Node without security fixes, of the package',
    { machine: { nodeVersion: '20.20.0', nodePath: '/usr/lib/eni-agent/bin/node' } },
    ['hint node', 'dnf upgrade eni-agent-standalone'],
  ],
  ['the last day of its fixes', { machine: { nodeVersion: '20.20.0', today: '2026-04-29' } }],
];

describe.each([
  ['routes', ROUTES],
  ['the metadata', METADATA],
  ['replies', REPLIES],
  ['files', FILES],
  ['others', OTHERS],
])('%s', (_, rows) => {
  const cases = rows.map(([what, facts, ...findings]) => ({ what, facts, findings }));
  test.each(cases)('$what', ({ facts, findings }) => {
    expect(told(facts)).toEqual(findings);
  });
});

test('a strict filter on a NIC that is left alone, whose answers leave by another one', () => {
  const eth1 = nicOf({ ...ETH1, sysctls: STRICT }, { leftAlone: 'unmanaged' });
  const answers = [{ nic: eth1, source: ip('10.0.1.4'), leavesBy: 'eth0' as IfName }];
  const { findings } = judge(factsOf({ nics: [nicOf(ETH0), eth1], answers }));
  expect(findings).toMatchObject([
    { id: 'rp-filter', evidence: ['eth1: all 0, own 1; answers from 10.0.1.4 leave by eth0'] },
  ]);
});

/** MISSION: cores, memory as the kernel shows it, and the largest that is no hint. */
test.each([
  [1, 0.96, 2, 2],
  [1, 1.8, 2, 6],
  [2, 3.6, 2, 10],
  [4, 7.6, 4, 10],
  [4, 15.5, 4, 20],
  [4, 31, 4, 20],
  [8, 15.5, 6, 20],
  [12, 47, 6, 20],
  [16, 31, 8, 30],
])('%i cores and %f GiB have %i ENIs of %i IPs', (cores, gib, enis, ips) => {
  const hints = (nics: number, addresses: number): number => {
    const listed = Array.from({ length: addresses }, (_, index) => ip(`10.0.1.${index + 1}`));
    const machine = { cores, memoryBytes: gib * 2 ** 30 };
    const all = Array.from({ length: nics }, () => nicOf(ETH0, { listed }));
    return told({ nics: all, machine }).filter(([what]) => what === 'hint quota').length;
  };
  expect([hints(enis, ips), hints(enis + 1, ips), hints(enis, ips + 1)]).toEqual([0, 1, 1]);
});
