import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { createProvider } from '../../../src/metadata/create.ts';
import { parseMetadataFile } from '../../../src/metadata/file.ts';
import { formatInterfaceAddress } from '../../../src/model/net.ts';
import { createPaths } from '../../../src/system/paths.ts';
import { DEFAULTS } from '../config/defaults.ts';

const NAME = '/etc/eni-agent/metadata.yaml';
const PRIMARY = `  - mac: 52:54:00:00:00:01
    addresses: [10.0.0.4/24]
    gateway: 10.0.0.1
`;
const HEAD = `instanceId: ins-3g445roi
primaryMac: 52:54:00:00:00:01
interfaces:
${PRIMARY}`;

test('the neutral model is read: the first of each family is the primary, the others are sorted', () => {
  const text = `${HEAD}  - mac: 52:54:00:00:00:0B
    addresses: [2001:db8:1::9/64, 10.0.1.30/24, 10.0.1.5/24, 2001:db8:1::4/64, 10.0.1.4/24]
    gateway: 10.0.1.1
    gateway6: fe80::1
`;
  const { nics, ...rest } = parseMetadataFile(text, NAME);
  expect(rest).toEqual({ instanceId: 'ins-3g445roi', primaryMac: '52:54:00:00:00:01', invalid: [] });
  expect(nics[1]).toMatchObject({ mac: '52:54:00:00:00:0b', gateway: '10.0.1.1', gateway6: 'fe80::1' });
  expect(nics[1]?.addresses.map(formatInterfaceAddress)).toEqual([
    '10.0.1.30/24',
    '10.0.1.4/24',
    '10.0.1.5/24',
    '2001:db8:1::9/64',
    '2001:db8:1::4/64',
  ]);
});

test('instance id and gateways may be missing', () => {
  const text =
    'primaryMac: 52:54:00:00:00:01\ninterfaces: [{ mac: 52:54:00:00:00:01, addresses: [10.0.0.4/24] }]';
  expect(parseMetadataFile(text, NAME)).toMatchObject({
    instanceId: null,
    nics: [{ mac: '52:54:00:00:00:01' }],
  });
});

describe('a broken interface is invalid for that NIC alone', () => {
  test.each([
    ['addresses: []', ':8:16: interfaces[1].addresses: a list; required: at least one address'],
    [
      'addresses: [10.0.1.4]',
      ':8:17: interfaces[1].addresses[0]: "10.0.1.4"; allowed: an IP address with its prefix',
    ],
    [
      'addresses: [10.0.1.4/24]\n    gatway: 10.0.1.1',
      ':9:5: interfaces[1].gatway: unknown key; did you mean gateway?',
    ],
    [
      'addresses: [10.0.1.4/24]\n    gateway: 10.0.2.1',
      ':7:5: gateway 10.0.2.1 is not in subnet 10.0.1.0/24',
    ],
    [
      'addresses: [10.0.1.4/24]\n    gateway: fe80::1',
      ':9:14: interfaces[1].gateway: "fe80::1"; allowed: an IPv4 address',
    ],
    ['addresses: [10.0.1.4/24, 10.0.1.4/24]', ':7:5: it lists 10.0.1.4 twice'],
    ['addresses: [10.0.1.4/24, "fe80::4/64"]', ':7:5: it lists fe80::4, which is no address of a NIC'],
    ['gateway: 10.0.1.1', ':7:5: interfaces[1].addresses: nothing; this key is required'],
    [
      'addresses: [10.0.1.4/24]\n  - mac: 52:54:00:00:00:02\n    addresses: [10.0.1.5/24]',
      ':9:10: 52:54:00:00:00:02 is listed twice',
    ],
  ])('%j', (lines, problem) => {
    const metadata = parseMetadataFile(`${HEAD}  - mac: 52:54:00:00:00:02\n    ${lines}\n`, NAME);
    expect(metadata.nics.map(({ mac }) => mac)).toEqual(['52:54:00:00:00:01']);
    expect(metadata.invalid).toEqual([
      { mac: '52:54:00:00:00:02', problem: expect.stringContaining(`${NAME}${problem}`) },
    ]);
  });
});

describe('a broken document is refused as a whole', () => {
  test.each([
    ['nothing in it', '', ':1:1: nothing; allowed: a mapping'],
    ['a syntax error', `${HEAD}  - [`, ':7:6: no valid YAML'],
    ['an unknown key', `${HEAD}foo: 1\n`, ':7:1: foo: unknown key'],
    ['no primary', `interfaces:\n${PRIMARY}`, ':1:1: primaryMac: nothing; this key is required'],
    [
      'a primary that is not listed',
      HEAD.replace(':01', ':09'),
      ':2:13: primaryMac: 52:54:00:00:00:09; allowed: the mac',
    ],
    ['a MAC that is none', `${HEAD}  - mac: foo\n`, ':7:10: interfaces[1].mac: "foo"; allowed: a MAC'],
    ['no MAC', `${HEAD}  - addresses: [10.0.1.4/24]\n`, ':7:5: interfaces[1].mac: nothing; allowed'],
    [
      'no interfaces',
      'primaryMac: 52:54:00:00:00:01\ninterfaces: []\n',
      ':2:13: interfaces: a list; required: at least one',
    ],
  ])('%s', (_, text, problem) => {
    expect(() => parseMetadataFile(text, NAME)).toThrow(
      expect.objectContaining({
        code: 'metadata-malformed',
        message: expect.stringContaining(`${NAME}${problem}`),
      }),
    );
  });
});

describe('the provider', () => {
  const config = { ...DEFAULTS.metadata, provider: 'file', file: '/metadata.yaml' } as const;

  test('is unreachable without its file', async () => {
    const root = await mkdtemp(join(tmpdir(), 'metadata-'));
    const provider = await createProvider(config, createPaths(root));
    expect(provider.name).toBe('file');
    await expect(provider.fetch()).rejects.toMatchObject({ code: 'metadata-unreachable' });
    await rm(root, { recursive: true });
  });

  test('reads the file anew each time, if it is root’s own', async () => {
    const root = await mkdtemp(join(tmpdir(), 'metadata-'));
    const provider = await createProvider(config, createPaths(root));
    const path = join(root, 'metadata.yaml');
    // To an unprivileged user the file is not root's.
    const ifRoot = (result: string) => (process.getuid?.() === 0 ? result : 'config-untrusted');
    const read = () =>
      provider.fetch().then(
        ({ instanceId }) => instanceId,
        (error: unknown) => (error instanceof AgentError ? error.code : String(error)),
      );
    await writeFile(path, HEAD, { mode: 0o644 });
    expect(await read()).toBe(ifRoot('ins-3g445roi'));
    await writeFile(path, HEAD.replace('3g445roi', 'other'));
    expect(await read()).toBe(ifRoot('ins-other'));
    await writeFile(path, Uint8Array.from([0xff]));
    expect(await read()).toBe(ifRoot('metadata-malformed'));
    await chmod(path, 0o646);
    expect(await read()).toBe('config-untrusted');
    await rm(root, { recursive: true });
  });
});

test('auto is Tencent', async () => {
  expect((await createProvider(DEFAULTS.metadata, createPaths('/'))).name).toBe('tencent');
});
