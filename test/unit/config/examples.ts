/** Configurations, right and wrong, for whoever judges them: the program, and the JSON Schema for editors. */

/** Every default, as the contract writes it. */
export const EVERY_DEFAULT = `
metadata:
  provider: auto            # auto | tencent | file
  endpoint: http://metadata.tencentyun.com    # default per provider
  fallbackEndpoints: [http://169.254.0.23]
  timeout: 2s               # one request
  file: /etc/eni-agent/metadata.yaml          # provider: file
daemon:
  resyncInterval: 10s
  removalConfirmations: 2
routing:
  tableBase: 21000
  primary: auto
  localRoutes: auto
  forwarded: off
  forwardedMask: 0x7f
  protocol: 196
sysctl:
  rpFilter: loose
  arp: auto
  promoteSecondaries: true
persistence:
  backend: auto
  existingFiles: respect
metrics: { listen: off, textfile: off }
hooks: { timeout: 30s }
log: { level: info }
`;

/** The contract's entry of interfaces, and one that matches by the other keys. */
export const ENTRIES = `interfaces:                 # first match decides
  - match: { mac: '20:90:6F:63:98:cc' }
    manage: true
    mtu: 1500
    excludeAddresses: [10.0.0.100, 10.0.0.128/25]
    addresses: [2001:DB8:1::4/64]
    gateway6: fe80::feee:ffff:feff:ffff
    routes: [{ to: 172.16.0.0/12, via: 10.2.0.1 }]
  - match: { role: primary, name: eth0, subnet: 10.0.0.0/24 }
`;

const ENTRY = 'interfaces:\n  - match: { role: secondary }\n    ';

type Wrong = readonly (readonly [text: string, problem: string])[];

/** With how the problem that the program reports begins. */
export const BAD_VALUES: Wrong = [
  ['metadata:\n  provider: azure', '2:13: metadata.provider: "azure"; allowed: auto, tencent, file'],
  [
    'metadata:\n  provider: ec2',
    '2:13: metadata.provider: "ec2"; not available in this version; allowed: auto, tencent, file',
  ],
  ...[
    '9101',
    '0.0.0.0:9101',
    '[::]:9101',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '[127.0.0.1]:1',
    'localhost:9101',
  ].map((text): [string, string] => [
    `metrics: { listen: '${text}' }`,
    `1:20: metrics.listen: "${text}"; allowed: off, or ADDRESS:PORT with one address of this machine`,
  ]),
  ...['eni-agent.prom', '/var/lib/eni-agent.txt'].map((text): [string, string] => [
    `metrics: { textfile: ${text} }`,
    `1:22: metrics.textfile: "${text}"; allowed: off, or an absolute path that ends in .prom`,
  ]),
  ...['0s', '999ms', '11m', '30'].map((text): [string, string] => [
    `hooks: { timeout: '${text}' }`,
    `1:19: hooks.timeout: "${text}"; allowed: a duration from 1s to 10m`,
  ]),
  ['routing: { forwarded: mark }', '1:23: routing.forwarded: "mark"; allowed: connmark, off'],
  ...[7, -1, 15.5, 0xffff_ffff, 0x1_0000_0000].map((mask): [string, string] => [
    `routing: { forwardedMask: ${mask} }`,
    `1:27: routing.forwardedMask: ${mask}; allowed: a mask of at least 4 of 32 bits`,
  ]),
  [
    'persistence:\n  backend: networkmanager',
    '2:12: persistence.backend: "networkmanager"; allowed: auto, network-scripts, networkmanager-ifcfg, networkmanager-keyfile, none',
  ],
  ['metadata: { timeout: 2 }', '1:22: metadata.timeout: 2; allowed: a duration from 100ms to 60s'],
  ['metadata: { timeout: 2x }', '1:22: metadata.timeout: "2x"; allowed: a duration'],
  ['metadata: { timeout: 99ms }', '1:22: metadata.timeout: "99ms"; allowed: a duration'],
  ['metadata: { timeout: 61s }', '1:22: metadata.timeout: "61s"; allowed: a duration'],
  ['metadata: { timeout: -1s }', '1:22: metadata.timeout: "-1s"; allowed: a duration'],
  ['metadata: { timeout: 0.5s }', '1:22: metadata.timeout: "0.5s"; allowed: a duration'],
  ['metadata:\n  timeout:\n', '2:11: metadata.timeout: nothing; allowed: a duration'],
  ['metadata: { endpoint: https://x }', '1:23: metadata.endpoint: "https://x"; allowed: http://HOST'],
  ['metadata: { endpoint: http://u:p@x }', '1:23: metadata.endpoint: "http://u:p@x"; allowed: http://HOST'],
  [
    'metadata:\n  fallbackEndpoints:\n    - http://a\n    - ftp://b',
    '4:7: metadata.fallbackEndpoints[1]: "ftp://b"; allowed: http://HOST',
  ],
  [
    'metadata: { fallbackEndpoints: http://a }',
    '1:32: metadata.fallbackEndpoints: "http://a"; allowed: a list',
  ],
  ['metadata: { file: metadata.yaml }', '1:19: metadata.file: "metadata.yaml"; allowed: an absolute path'],
  [
    'daemon: { resyncInterval: 999ms }',
    '1:27: daemon.resyncInterval: "999ms"; allowed: a duration from 1s to 1h',
  ],
  [
    'daemon: { removalConfirmations: 0 }',
    '1:33: daemon.removalConfirmations: 0; allowed: a whole number from 1 to 10',
  ],
  [
    'daemon: { removalConfirmations: 1.5 }',
    '1:33: daemon.removalConfirmations: 1.5; allowed: a whole number',
  ],
  [
    'daemon: { removalConfirmations: "2" }',
    '1:33: daemon.removalConfirmations: "2"; allowed: a whole number',
  ],
  ['routing: { tableBase: 253 }', '1:23: routing.tableBase: 253; allowed: a whole number from 256 to 32510'],
  [
    'routing: { tableBase: 32511 }',
    '1:23: routing.tableBase: 32511; allowed: a whole number from 256 to 32510',
  ],
  ['routing: { protocol: 4 }', '1:22: routing.protocol: 4; allowed: a whole number from 5 to 255'],
  ['routing: { protocol: .nan }', '1:22: routing.protocol: NaN; allowed: a whole number from 5 to 255'],
  ['routing: { primary: no }', '1:21: routing.primary: "no"; allowed: auto, always, never'],
  ['sysctl: { promoteSecondaries: yes }', '1:31: sysctl.promoteSecondaries: "yes"; allowed: true, false'],
  ['log: { level: loud }', '1:15: log.level: "loud"; allowed: trace, debug, info, warn, error, silent'],
  ['metadata: tencent', '1:11: metadata: "tencent"; allowed: a mapping'],
  ['metadata: [1]', '1:1: metadata: a list; allowed: a mapping'],
  ['- metadata', '1:1: a list; allowed: a mapping'],
  ['hello', '1:1: "hello"; allowed: a mapping'],
  ['interfaces: { match: { role: primary } }', '1:13: interfaces: a mapping; allowed: a list'],
  ['interfaces: [eth1]', '1:14: interfaces[0]: "eth1"; allowed: a mapping'],
  ['interfaces:\n  - mtu: 1500', '2:5: interfaces[0].match: nothing; this key is required'],
  ['interfaces:\n  - match: {}', '2:12: interfaces[0].match: a mapping; required: at least one of mac'],
  ['interfaces:\n  - match: { mac: 52:54:00 }', '2:19: interfaces[0].match.mac: "52:54:00"; allowed: a MAC'],
  [
    "interfaces:\n  - match: { name: 'a b' }",
    '2:20: interfaces[0].match.name: "a b"; allowed: an interface name',
  ],
  [
    'interfaces:\n  - match: { subnet: 10.0.0.1/24 }',
    '2:22: interfaces[0].match.subnet: "10.0.0.1/24"; allowed: a network',
  ],
  [`${ENTRY}mtu: 67`, '3:10: interfaces[0].mtu: 67; allowed: a whole number from 68 to 65535'],
  [`${ENTRY}mtu: 1279\n    gateway6: fe80::1`, '3:10: interfaces[0].mtu: 1279; allowed: 1280 or more'],
  [
    `${ENTRY}excludeAddresses: [10.0.0.1/24]`,
    '3:24: interfaces[0].excludeAddresses[0]: "10.0.0.1/24"; allowed',
  ],
  [
    `${ENTRY}addresses: [10.0.0.1]`,
    '3:17: interfaces[0].addresses[0]: "10.0.0.1"; allowed: an IP address with',
  ],
  [`${ENTRY}gateway6: 10.0.0.1`, '3:15: interfaces[0].gateway6: "10.0.0.1"; allowed: an IPv6 address'],
  [
    `${ENTRY}routes: [{ to: 0.0.0.0/0, via: 10.0.0.1 }]`,
    '3:20: interfaces[0].routes[0].to: "0.0.0.0/0"; allowed',
  ],
  [`${ENTRY}routes: [{ to: ::/0, via: fe80::1 }]`, '3:20: interfaces[0].routes[0].to: "::/0"; allowed'],
  [
    `${ENTRY}routes: [{ to: 172.16.0.0/12, via: fe80::1 }]`,
    '3:40: interfaces[0].routes[0].via: "fe80::1"; allowed: an address of the same family as to',
  ],
  [
    `${ENTRY}routes: [{ to: 172.16.0.0/12 }]`,
    '3:14: interfaces[0].routes[0].via: nothing; this key is required',
  ],
];

export const UNKNOWN_KEYS: Wrong = [
  ['metadata:\n  timeuot: 2s', '2:3: metadata.timeuot: unknown key; did you mean timeout?'],
  ['Metadata:\n', '1:1: Metadata: unknown key; did you mean metadata?'],
  ['log: { colour: true }', '1:8: log.colour: unknown key; allowed: level'],
  [
    `${ENTRY}excludeAdresses: []`,
    '3:5: interfaces[0].excludeAdresses: unknown key; did you mean excludeAddresses?',
  ],
  [
    `${ENTRY}routes: [{ to: 172.16.0.0/12, via: 10.0.0.1, dev: eth1 }]`,
    '3:50: interfaces[0].routes[0].dev: unknown key; allowed: to, via',
  ],
  ['toString: 1', '1:1: toString: unknown key; allowed: metadata'],
  ['__proto__: { log: 1 }', '1:1: __proto__: unknown key; allowed: metadata'],
  ['<<: { log: { level: debug } }', '1:1: <<: unknown key; allowed: metadata'],
];
