/** What is right, and is broken by the fuzz. */
import type { AgentState } from '../../../src/model/state.ts';
import { addressesOf, cidr, ip, macOf, owned } from '../builders.ts';
import { MODEL, PRIMARY_MAC, SECONDARY_MAC } from '../metadata/fixture.ts';

const SECONDARY = `network/interfaces/macs/${SECONDARY_MAC.toUpperCase()}/`;
const PRIMARY = `network/interfaces/macs/${PRIMARY_MAC.toUpperCase()}/`;

/** By key, what the service answers of MODEL. */
export const ANSWERS: Readonly<Record<string, string>> = {
  mac: PRIMARY_MAC,
  'instance-id': 'ins-3g445roi',
  'network/interfaces/macs/': `${SECONDARY_MAC.toUpperCase()}/\n${PRIMARY_MAC.toUpperCase()}/`,
  [`${SECONDARY}local-ipv4s/`]: MODEL.nics[0]?.addresses.map((address) => `${address}/`).join('\n') ?? '',
  [`${SECONDARY}primary-local-ipv4`]: '10.0.1.9',
  [`${SECONDARY}local-ipv4s/10.0.1.9/subnet-mask`]: '255.255.255.0',
  [`${SECONDARY}local-ipv4s/10.0.1.9/gateway`]: '10.0.1.1',
  [`${PRIMARY}local-ipv4s/10.0.0.4/subnet-mask`]: '255.255.255.192',
};

/** Of the neutral model, and of the agent with every key. */
export const CONFIGURATIONS: readonly string[] = [
  `instanceId: ins-3g445roi
primaryMac: 52:54:00:00:00:0a
interfaces:
  - mac: 52:54:00:00:00:0a
    addresses: [10.0.0.4/24]
    gateway: 10.0.0.1
  - mac: 52:54:00:00:00:0b
    addresses: [10.0.1.4/24, 10.0.1.5/24, 2001:db8:1::4/64]
    gateway: 10.0.1.1
    gateway6: fe80::1
`,
  `metadata: { provider: file, endpoint: "http://169.254.0.23:80", fallbackEndpoints: [], timeout: 2s, file: /etc/x.yaml }
daemon:
  resyncInterval: 10s
  removalConfirmations: 2
routing: { tableBase: 21000, primary: auto, localRoutes: 'off', forwarded: connmark, forwardedMask: 0x7f, protocol: 196 }
sysctl: { rpFilter: loose, arp: auto, promoteSecondaries: true }
persistence: { backend: none, existingFiles: replace }
interfaces:
  - match: { mac: '20:90:6f:63:98:cc', name: eth1, role: secondary, subnet: 10.0.1.0/24 }
    manage: true
    mtu: 1500
    excludeAddresses: [10.0.0.100, 10.0.0.128/25]
    addresses: [2001:db8:1::4/64]
    gateway6: fe80::feee:ffff:feff:ffff
    routes: [{ to: 172.16.0.0/12, via: 10.2.0.1 }]
log: { level: info }
`,
];

/** With a value for everything. */
export const STATE: AgentState = {
  metadata: {
    readAt: '2026-11-22T10:00:00.000Z',
    answer: {
      instanceId: 'ins-3g445roi',
      primaryMac: macOf(1),
      nics: [
        { mac: macOf(1), addresses: addressesOf('10.0.0.4/24'), gateway: ip('10.0.0.1') },
        { mac: macOf(2), addresses: addressesOf('10.0.1.9/24 2001:db8::9/64') },
      ],
      invalid: [{ mac: macOf(3), problem: 'no answer' }],
    },
  },
  nics: {
    [macOf(2)]: owned(1, 'eth1', '10.0.1.9/24 2001:db8::9/64', {
      routes: [{ to: cidr('172.16.0.0/12'), via: ip('10.0.1.7') }],
      sysctls: { rp_filter: { before: 1, value: 2 } },
      mtu: { before: 1500, value: 1400 },
      files: ['/etc/sysconfig/network-scripts/ifcfg-eth1'],
    }),
  },
  released: [macOf(3)],
  hasMarks: false,
  lapsed: { at: '2026-11-22T10:00:00.000Z', configuration: 'a digest', steps: ['a step'] },
  lastRun: {
    at: '2026-11-22T10:00:00.000Z',
    trigger: 'link',
    outcome: 'applied',
    steps: 14,
    durationMs: 3.1,
    failures: [],
  },
};
