import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { checkConfig } from '../../../src/config-file.ts';
import { AgentError } from '../../../src/errors.ts';
import { DEFAULTS } from './defaults.ts';

const NAME = '/etc/eni-agent/config.yaml';

function codeOf(error: unknown): string {
  return error instanceof AgentError ? error.code : String(error);
}

function problemsOf(text: string): string[] {
  try {
    checkConfig(text, NAME);
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'config-invalid') throw error;
    expect(error.details['problems']).toEqual(error.message.split('\n'));
    return error.message.split('\n').map((line) => line.replace(`${NAME}:`, ''));
  }
  return [];
}

describe('defaults', () => {
  test.each([
    ['an empty file', ''],
    ['comments alone', '# nothing\n'],
    ['sections without a key', 'metadata:\ndaemon:\nrouting:\nsysctl:\npersistence:\ninterfaces:\nlog:\n'],
    ['a document marker', '---\n'],
    ['null', 'null\n'],
  ])('%s is all defaults', (_, text) => {
    expect(checkConfig(text, NAME).config).toEqual(DEFAULTS);
  });

  test('are what the contract says they are, written out', () => {
    const contract = `
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
log: { level: info }
`;
    const { config, sources } = checkConfig(contract, NAME);
    expect(config).toEqual(DEFAULTS);
    expect([...sources].filter(([, source]) => source === 'default')).toEqual([['interfaces', 'default']]);
  });
});

describe('the contract’s interfaces entry', () => {
  const text = `interfaces:                 # first match decides
  - match: { mac: '20:90:6F:63:98:cc' }
    manage: true
    mtu: 1500
    excludeAddresses: [10.0.0.100, 10.0.0.128/25]
    addresses: [2001:DB8:1::4/64]
    gateway6: fe80::feee:ffff:feff:ffff
    routes: [{ to: 172.16.0.0/12, via: 10.2.0.1 }]
  - match: { role: primary, name: eth0, subnet: 10.0.0.0/24 }
`;

  test('is read, canonical and with its defaults', () => {
    expect(checkConfig(text, NAME).config.interfaces).toEqual([
      {
        match: { mac: '20:90:6f:63:98:cc' },
        manage: true,
        mtu: 1500,
        excludeAddresses: ['10.0.0.100/32', '10.0.0.128/25'],
        addresses: [{ address: '2001:db8:1::4', prefixLength: 64 }],
        gateway6: 'fe80::feee:ffff:feff:ffff',
        routes: [{ to: '172.16.0.0/12', via: '10.2.0.1' }],
      },
      {
        match: { role: 'primary', name: 'eth0', subnet: '10.0.0.0/24' },
        manage: null,
        mtu: null,
        excludeAddresses: [],
        addresses: [],
        gateway6: null,
        routes: [],
      },
    ]);
  });

  test('has a source for every value', () => {
    const { sources } = checkConfig(text, NAME);
    expect(Object.fromEntries(sources)).toMatchObject({
      'metadata.timeout': 'default',
      interfaces: `${NAME}:1`,
      'interfaces[0].match.mac': `${NAME}:2`,
      'interfaces[0].match.role': 'default',
      'interfaces[0].mtu': `${NAME}:4`,
      'interfaces[0].routes[0].via': `${NAME}:8`,
      'interfaces[1].match.subnet': `${NAME}:9`,
      'interfaces[1].manage': 'default',
      'log.level': 'default',
    });
  });
});

test.each([
  ['500ms', 500],
  ['100ms', 100],
  ['1m', 60_000],
  ['60s', 60_000],
])('a timeout of %s is %d ms', (text, ms) => {
  expect(checkConfig(`metadata: { timeout: ${text} }`, NAME).config.metadata.timeoutMs).toBe(ms);
});

test('an endpoint is kept without its last slash', () => {
  const { metadata } = checkConfig('metadata: { endpoint: http://127.0.0.1:8080/ }', NAME).config;
  expect(metadata.endpoint).toBe('http://127.0.0.1:8080');
});

const ENTRY = 'interfaces:\n  - match: { role: secondary }\n    ';

describe('a bad value is named with line, column, what was found and what is allowed', () => {
  test.each([
    ['metadata:\n  provider: azure', '2:13: metadata.provider: "azure"; allowed: auto, tencent, file'],
    [
      'metadata:\n  provider: ec2',
      '2:13: metadata.provider: "ec2"; not available in this version; allowed: auto, tencent, file',
    ],
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
    [
      'routing: { tableBase: 253 }',
      '1:23: routing.tableBase: 253; allowed: a whole number from 256 to 32510',
    ],
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
    [
      'interfaces:\n  - match: { mac: 52:54:00 }',
      '2:19: interfaces[0].match.mac: "52:54:00"; allowed: a MAC',
    ],
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
  ])('%j', (text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.slice(0, expected.length)).toBe(expected);
  });
});

describe('an unknown key', () => {
  test.each([
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
  ])('%j', (text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.slice(0, expected.length)).toBe(expected);
  });
});

test('all problems are reported at once, in the order of the file', () => {
  const problems = problemsOf(
    'metadata:\n  provider: x\n  foo: 1\n  timeout: 1\nbar: 2\nlog:\n  level: x\n  baz: 3\n',
  );
  expect(problems.map((problem) => problem.split(' ', 2).join(' '))).toEqual([
    '2:13: metadata.provider:',
    '3:3: metadata.foo:',
    '4:12: metadata.timeout:',
    '5:1: bar:',
    '7:10: log.level:',
    '8:3: log.baz:',
  ]);
});

describe('YAML that is not plain', () => {
  test.each([
    ['a key twice', 'log: { level: info }\nlog: { level: debug }', '2:1: '],
    ['two documents', 'log:\n---\nlog:\n', '2:1: '],
    ['an anchor', 'log: &a { level: info }', '1:9: '],
    ['an alias', 'metadata: &a {}\ndaemon: *a', '1:14: '],
    ['a tag', 'log: !thing { level: info }', '1:6: '],
    ['a key that is no text', '1: 2', '1:1: '],
    ['an open bracket', 'log: { level: info', '1:19: '],
    ['a tab', 'log:\n\tlevel: info', '2:1: '],
  ])('%s is refused where it is', (_, text, position) => {
    expect(problemsOf(text)[0]).toMatch(new RegExp(`^${position}`));
  });

  test('bytes that are no UTF-8 are refused', () => {
    expect(() => checkConfig(Uint8Array.from([0x6c, 0xff]), NAME)).toThrow(`${NAME}:1:1: no valid UTF-8`);
  });
});

describe('loading', () => {
  test('without a file is all defaults, unless somebody asked for that file', async () => {
    const root = await mkdtemp(join(tmpdir(), 'config-'));
    const path = join(root, NAME);
    expect((await loadConfig({ path, root })).config).toEqual(DEFAULTS);
    const error = await loadConfig({ path, root, required: true }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'config-invalid', message: expect.stringContaining('no such file') });
    await rm(root, { recursive: true });
  });

  test('reads a file that is root’s own, and no other', async () => {
    const root = await mkdtemp(join(tmpdir(), 'config-'));
    const path = join(root, NAME);
    await mkdir(join(root, '/etc/eni-agent'), { recursive: true, mode: 0o755 });
    await writeFile(path, '# hello\nlog:\n  level: debug\n', { mode: 0o644 });
    const loaded = await loadConfig({ path, root }).catch(codeOf);
    // To an unprivileged user the file is not root's.
    if (process.getuid?.() !== 0) expect(loaded).toBe('config-untrusted');
    else expect(loaded).toMatchObject({ config: { log: { level: 'debug' } } });
    if (typeof loaded === 'object') expect(loaded.sources.get('log.level')).toBe(`${path}:3`);
    await chmod(path, 0o666);
    await expect(loadConfig({ path, root })).rejects.toMatchObject({ code: 'config-untrusted' });
    await rm(root, { recursive: true });
  });
});
