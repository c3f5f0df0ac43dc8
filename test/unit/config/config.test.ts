import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { checkConfig } from '../../../src/config-file.ts';
import { AgentError } from '../../../src/errors.ts';
import { DEFAULTS } from './defaults.ts';
import { BAD_VALUES, ENTRIES, EVERY_DEFAULT, UNKNOWN_KEYS } from './examples.ts';

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
    [
      'sections without a key',
      'metadata:\ndaemon:\nrouting:\nsysctl:\npersistence:\nmetrics:\nhooks:\ninterfaces:\nlog:\n',
    ],
    ['a document marker', '---\n'],
    ['null', 'null\n'],
  ])('%s is all defaults', (_, text) => {
    expect(checkConfig(text, NAME).config).toEqual(DEFAULTS);
  });

  test('are what the contract says they are, written out', () => {
    const { config, sources } = checkConfig(EVERY_DEFAULT, NAME);
    expect(config).toEqual(DEFAULTS);
    expect([...sources].filter(([, source]) => source === 'default')).toEqual([['interfaces', 'default']]);
  });
});

describe('the contract’s interfaces entry', () => {
  test('is read, canonical and with its defaults', () => {
    expect(checkConfig(ENTRIES, NAME).config.interfaces).toEqual([
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
    const { sources } = checkConfig(ENTRIES, NAME);
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

test.each([
  ['127.0.0.1:9101', { address: '127.0.0.1', port: 9101 }],
  ['[::1]:1', { address: '::1', port: 1 }],
  ['10.0.1.4:65535', { address: '10.0.1.4', port: 65_535 }],
  ['off', null],
])('metrics.listen %s', (text, listen) => {
  expect(checkConfig(`metrics: { listen: '${text}' }`, NAME).config.metrics.listen).toEqual(listen);
});

test('an endpoint is kept without its last slash', () => {
  const { metadata } = checkConfig('metadata: { endpoint: http://127.0.0.1:8080/ }', NAME).config;
  expect(metadata.endpoint).toBe('http://127.0.0.1:8080');
});

describe('a bad value is named with line, column, what was found and what is allowed', () => {
  test.each(BAD_VALUES)('%j', (text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.slice(0, expected.length)).toBe(expected);
  });
});

describe('an unknown key', () => {
  test.each(UNKNOWN_KEYS)('%j', (text, expected) => {
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
