import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import {
  addressBits,
  type Family,
  type IfName,
  type InterfaceAddress,
  type MacAddress,
} from '../../../src/model/net.ts';
import { type AgentState, EMPTY_STATE, type LastRun, type NicState } from '../../../src/model/state.ts';
import { SYSCTL_NAMES } from '../../../src/model/sysctl.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { readState, setStateAside, writeState } from '../../../src/system/state-file.ts';
import { formatState } from '../../../src/system/state-text.ts';
import { sized } from '../../lab/settled.ts';
import { ipAddress, network } from '../kernel/arbitraries.ts';
import { bundleScript, makeFolder, removeFolder } from './script.ts';

let root: string;
let paths: Paths;

beforeAll(async () => {
  root = await makeFolder();
});
afterAll(() => removeFolder(root));

beforeEach(async () => {
  const folder = await makeFolder();
  paths = createPaths(folder);
  return () => removeFolder(folder);
});

const mac = fc
  .uint8Array({ minLength: 5, maxLength: 5 })
  .map((bytes) => `02:${Buffer.from(bytes).toString('hex').match(/../g)?.join(':')}` as MacAddress);
const time = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true });
const isoTime = time.map((date) => date.toISOString());
const family = fc.constantFrom<Family>(4, 6);
const owned = fc.record({ before: fc.integer(), value: fc.integer() });
const address: fc.Arbitrary<InterfaceAddress> = family.chain((each) =>
  fc.record({ address: ipAddress(each), prefixLength: fc.nat(addressBits(each)) }),
);
const ifname = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,14}$/).map((text) => text as IfName);
const nic: fc.Arbitrary<NicState> = fc.record({
  slot: fc.nat(255),
  ifname,
  detachedAt: fc.option(isoTime),
  addresses: fc.array(address),
  routes: fc.array(fc.record({ to: family.chain(network), via: family.chain(ipAddress) })),
  sysctls: fc.dictionary(fc.constantFrom(...SYSCTL_NAMES), owned, { noNullPrototype: true }),
  mtu: fc.option(owned),
  files: fc.array(fc.string()),
});
const answer: fc.Arbitrary<InstanceMetadata> = fc.record({
  instanceId: fc.option(fc.string()),
  primaryMac: mac,
  nics: fc.array(
    fc.record(
      {
        mac,
        addresses: fc.array(address, { minLength: 1 }),
        gateway: ipAddress(4),
        gateway6: ipAddress(6),
      },
      { requiredKeys: ['mac', 'addresses'] },
    ),
  ),
  invalid: fc.array(fc.record({ mac, problem: fc.string() })),
});
const lastRun: fc.Arbitrary<LastRun> = fc.record({
  at: isoTime,
  trigger: fc.constantFrom('boot', 'link', 'kernel', 'metadata', 'timer', 'config', 'wake', 'command'),
  outcome: fc.constantFrom('in-sync', 'applied', 'degraded', 'failed', 'rolled-back'),
  steps: fc.nat(),
  durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }).map((value) => value + 0),
  failures: fc.array(fc.record({ mac, message: fc.string() })),
});
const state: fc.Arbitrary<AgentState> = fc.record({
  metadata: fc.option(fc.record({ readAt: isoTime, answer })),
  nics: fc.dictionary(mac, nic, { noNullPrototype: true }),
  released: fc.array(mac),
  hasMarks: fc.boolean(),
  lapsed: fc.option(fc.record({ at: isoTime, configuration: fc.string(), steps: fc.array(fc.string()) })),
  lastRun: fc.option(lastRun),
});

const EXAMPLE: AgentState = {
  metadata: {
    readAt: '2026-11-22T10:00:00.000Z',
    answer: {
      instanceId: 'ins-3g445roi',
      primaryMac: '02:00:00:00:00:01' as MacAddress,
      nics: [{ mac: '02:00:00:00:00:02' as MacAddress, addresses: [interfaceAddress('10.0.1.4', 24)] }],
      invalid: [],
    },
  },
  nics: {
    ['02:00:00:00:00:02' as MacAddress]: {
      slot: 1,
      ifname: 'eth1' as IfName,
      detachedAt: null,
      addresses: [interfaceAddress('10.0.1.4', 24)],
      routes: [],
      sysctls: { rp_filter: { before: 1, value: 2 } },
      mtu: null,
      files: ['/etc/sysconfig/network-scripts/ifcfg-eth1'],
    },
  },
  released: ['02:00:00:00:00:03' as MacAddress],
  hasMarks: true,
  lapsed: { at: '2026-11-22T10:00:00.000Z', configuration: 'a fingerprint', steps: ['a step'] },
  lastRun: null,
};

function interfaceAddress(text: string, prefixLength: number): InterfaceAddress {
  return { address: text as InterfaceAddress['address'], prefixLength };
}

async function writeText(text: string): Promise<void> {
  await mkdir(paths.stateDirectory, { recursive: true });
  await writeFile(paths.state, text);
}

describe('the state', () => {
  test('is read as it was written, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(state, async (written) => {
        await writeState(paths, written, { durable: false });
        expect(readState(paths)).toEqual({ state: written, rejected: null, parked: null });
      }),
      { numRuns: sized(50, 2_000) },
    );
  });

  test('that nobody wrote is the empty one, and reading makes nothing', async () => {
    expect(readState(paths)).toEqual({ state: EMPTY_STATE, rejected: null, parked: null });
    expect(await readdir(paths.root)).toEqual([]);
  });

  test('of version 1, which had no checksum, is read; of before there was a release it has none', async () => {
    await writeState(paths, EXAMPLE, { durable: false });
    const { released: _, ...json } = JSON.parse(await readFile(paths.state, 'utf8'));
    await writeText(JSON.stringify({ ...json, checksum: undefined, version: 1 }));
    expect(readState(paths)).toEqual({ state: { ...EXAMPLE, released: [] }, rejected: null, parked: null });
  });

  test("is root's alone", async () => {
    await writeState(paths, EXAMPLE, { durable: true });
    expect((await stat(paths.state)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.stateDirectory)).mode & 0o777).toBe(0o700);
  });

  test('is the same text for the same state, with the NICs by slot', async () => {
    const nics = { ...EXAMPLE.nics, ['02:00:00:00:00:01']: { ...Object.values(EXAMPLE.nics)[0], slot: 0 } };
    await writeState(paths, { ...EXAMPLE, nics }, { durable: false });
    const text = await readFile(paths.state, 'utf8');
    expect(text.indexOf('"slot": 0')).toBeLessThan(text.indexOf('"slot": 1'));
    await writeState(paths, readState(paths).state, { durable: false });
    expect(await readFile(paths.state, 'utf8')).toBe(text);
  });

  test('that may not be read is an error for a user, and for root (SELinux, a bad disk) no reason to stop', async () => {
    await writeState(paths, EXAMPLE, { durable: false });
    await chmod(paths.state, 0o000);
    const reader = await bundleScript(
      root,
      `import { readState } from '../../../src/system/state-file.ts';
      import { createPaths } from '../../../src/system/paths.ts';
      process.geteuid = () => Number(process.argv[3]);
      try { process._rawDebug(JSON.stringify(readState(createPaths(process.argv[2])))); }
      catch (error) { process._rawDebug(error.code + ' ' + error.message); }`,
    );
    expect((await reader.runUnprivileged(paths.root, '1000')).all).toMatch(
      /^state-unreadable reading \S+state\.json: EACCES: .*; run as root$/,
    );
    expect(JSON.parse((await reader.runUnprivileged(paths.root, '0')).all)).toEqual({
      state: EMPTY_STATE,
      rejected: {
        problem: expect.stringMatching(/^reading \S+state\.json: EACCES: .*; there is none before it$/),
        asideName: null,
        isUnreadable: true,
      },
      parked: null,
    });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['a folder', () => mkdir(paths.state, { recursive: true })],
    ['a FIFO', async () => execFileSync('mkfifo', [paths.state])],
    ['a link to a good one elsewhere', () => symlink('../elsewhere.json', paths.state)],
    ['a link that leads nowhere', () => symlink('nowhere', paths.state)],
  ])('that is %s is no wait and is not followed: it is set aside as it is', async (_, make) => {
    await mkdir(paths.stateDirectory, { recursive: true });
    await writeFile(path.join(paths.stateDirectory, '../elsewhere.json'), formatState(EXAMPLE));
    await make();
    const { state: read, rejected } = readState(paths);
    expect(read).toEqual(EMPTY_STATE);
    expect(rejected).toMatchObject({
      problem: expect.stringContaining('it is no regular file'),
      isUnreadable: false,
    });
    const aside = await setStateAside(paths, rejected?.asideName ?? '');
    expect(path.basename(aside)).toBe('state.json.corrupt');
    expect(readState(paths).rejected).toBeNull();
  });

  test('that cannot be written to the disk is written to /run, with the reason, and is the one that is read', async () => {
    await mkdir(paths.below('/var'), { recursive: true });
    await mkdir(paths.runDirectory, { recursive: true });
    await writeFile(paths.below('/var/lib'), '');
    const reason = await writeState(paths, EXAMPLE, { durable: true });
    expect(reason).toContain(`writing ${paths.stateDirectory}: `);
    expect(readState(paths)).toEqual({ state: EXAMPLE, rejected: null, parked: reason });
    await rm(paths.below('/var/lib'));
    expect(await writeState(paths, EXAMPLE, { durable: true })).toBeNull();
    expect(readState(paths)).toEqual({ state: EXAMPLE, rejected: null, parked: null });
    expect(await readdir(paths.runDirectory)).toEqual([]);
  });

  test('that can be written nowhere is an error that says where', async () => {
    await writeFile(paths.below('/var'), '');
    await writeFile(paths.below('/run'), '');
    await expect(writeState(paths, EXAMPLE, { durable: true })).rejects.toMatchObject({
      code: 'file-failed',
      message: expect.stringContaining(`writing ${paths.parkedState}: `),
    });
  });
});

describe('a file that cannot be understood', () => {
  test('because it ends too early, wherever it does, is not used', async () => {
    await writeState(paths, EXAMPLE, { durable: false });
    const whole = await readFile(paths.state);
    // Without its last line feed it is whole.
    for (let length = 0; length < whole.length - 1; length += 1) {
      await writeFile(paths.state, whole.subarray(0, length));
      const { state: read, rejected } = readState(paths);
      expect(rejected?.asideName, `cut to ${length} bytes`).toBe('state.json.corrupt');
      expect(read).toEqual(EMPTY_STATE);
    }
  });

  test.each([
    ['garbage', '\u0000\u0001\u0002', /not JSON/],
    ['another kind of JSON', '[]', /^version: /],
    ['null', 'null', /^it is no JSON object/],
    ['no version', '{}', /^version: /],
    ['an older version', '{"version":0}', /^version: /],
    ['no checksum', '{"version":2}', /^its checksum /],
    ['a version that is no number', '{"version":"1"}', /^version: /],
  ])('(%s) is not used, and says why', async (_name, text, problem) => {
    await writeText(text);
    const { state: read, rejected } = readState(paths);
    expect(read).toEqual(EMPTY_STATE);
    expect(rejected).toEqual({
      problem: expect.stringMatching(problem),
      asideName: 'state.json.corrupt',
      isUnreadable: false,
    });
  });

  test('of a newer version is named after it', async () => {
    await writeText('{"version":3,"what":"the future"}');
    expect(readState(paths).rejected).toEqual({
      problem: 'it is of version 3, and this agent knows version 2; there is none before it',
      asideName: 'state.json.version-3',
      isUnreadable: false,
    });
  });

  const NIC = 'nics.0';
  test.each<[string, unknown]>([
    ['metadata', 1],
    ['metadata.readAt', 'yesterday'],
    ['metadata.answer.primaryMac', '02:00:00:00:00'],
    ['metadata.answer.nics.0.addresses', []],
    ['metadata.answer.nics.0.addresses.0.address', '10.0.1.04'],
    ['metadata.answer.nics.0.gateway', '10.0.1.1; rm -rf /'],
    [`${NIC}.mac`, 'ff:ff:ff:ff:ff:ff'],
    [`${NIC}.slot`, 256],
    [`${NIC}.slot`, 0.5],
    [`${NIC}.ifname`, '../eth1'],
    [`${NIC}.detachedAt`, 0],
    [`${NIC}.addresses.0.prefixLength`, 33],
    [`${NIC}.addresses.0.prefixLength`, '24'],
    [`${NIC}.routes`, [{ to: '10.0.1.4/24', via: '10.0.1.1' }]],
    [`${NIC}.sysctls.rp_filter.before`, 1.5],
    [`${NIC}.sysctls.accept_local`, { before: 0, value: 1 }],
    [`${NIC}.mtu`, 1500],
    [`${NIC}.files`, [1]],
    ['released', ['eth1']],
    ['lastRun', { at: 'x' }],
  ])('because of a wrong %s is not used, and says where', async (place, value) => {
    await writeState(paths, EXAMPLE, { durable: false });
    const json = JSON.parse(await readFile(paths.state, 'utf8'));
    const keys = place.split('.');
    const last = keys.pop() ?? '';
    keys.reduce((inner, key) => inner[key], json)[last] = value;
    const { checksum: _, ...body } = json;
    await writeText(JSON.stringify({ ...body, version: 1 }));
    const { state: read, rejected } = readState(paths);
    expect(read).toEqual(EMPTY_STATE);
    expect(rejected?.problem).toContain(place.split('.').slice(0, 2).join('.'));
  });

  test('because a digit of it is another one is not used; that it is laid out anew does no harm', async () => {
    await writeState(paths, EXAMPLE, { durable: false });
    const text = await readFile(paths.state, 'utf8');
    await writeText(JSON.stringify(JSON.parse(text)));
    expect(readState(paths).rejected).toBeNull();
    await writeText(text.replace('"10.0.1.4"', '"10.0.1.5"'));
    expect(readState(paths)).toMatchObject({
      state: EMPTY_STATE,
      rejected: { problem: expect.stringContaining('its checksum is not that of its content') },
    });
  });

  test('is set aside whole, and what was set aside before stays', async () => {
    for (const text of ['first', 'second', 'third']) {
      await writeText(text);
      const { rejected } = readState(paths);
      const aside = await setStateAside(paths, rejected?.asideName ?? '');
      expect(await readFile(aside, 'utf8')).toBe(text);
    }
    expect((await readdir(paths.stateDirectory)).toSorted()).toEqual([
      'state.json.corrupt',
      'state.json.corrupt.2',
      'state.json.corrupt.3',
    ]);
    expect(readState(paths).rejected).toBeNull();
  });

  test('that is gone before it is set aside says so', async () => {
    await mkdir(paths.stateDirectory, { recursive: true });
    await expect(setStateAside(paths, 'state.json.corrupt')).rejects.toMatchObject({ code: 'file-failed' });
  });
});

describe('the generation before', () => {
  const withAddresses = (...texts: readonly string[]): AgentState => {
    const [mac = ''] = Object.keys(EXAMPLE.nics);
    const nic = EXAMPLE.nics[mac as MacAddress] as NicState;
    return {
      ...EXAMPLE,
      nics: { [mac]: { ...nic, addresses: texts.map((text) => interfaceAddress(text, 24)) } },
    };
  };

  test('is what every write replaces, and is used when the file cannot be', async () => {
    await writeState(paths, EXAMPLE, { durable: true });
    await writeState(paths, { ...EXAMPLE, released: [] }, { durable: false });
    await writeFile(paths.state, '');
    const { state: read, rejected } = readState(paths);
    expect(read).toEqual(EXAMPLE);
    expect(rejected?.problem).toBe('it is not JSON (truncated?); the one before it is used');
    expect((await stat(paths.previousState)).mode & 0o777).toBe(0o600);
  });

  test('claims no address that its own answer does not list: it may have gone to somebody else since', async () => {
    await writeState(paths, withAddresses('10.0.1.4', '10.0.1.9'), { durable: false });
    await writeState(paths, EXAMPLE, { durable: false });
    await writeFile(paths.state, '{}');
    expect(readState(paths).state).toEqual(withAddresses('10.0.1.4'));
  });

  test('is used when a run was killed after it had set the file aside, and is never the victim of the next write', async () => {
    await writeState(paths, EXAMPLE, { durable: false });
    await writeState(paths, EXAMPLE, { durable: false });
    await writeFile(paths.state, '');
    await setStateAside(paths, 'state.json.corrupt');
    expect(readState(paths)).toEqual({
      state: EXAMPLE,
      rejected: {
        problem: 'it is not there; the one before it is used',
        asideName: null,
        isUnreadable: false,
      },
      parked: null,
    });
    await writeState(paths, { ...EXAMPLE, hasMarks: false }, { durable: false });
    expect(JSON.parse(await readFile(paths.previousState, 'utf8'))).toMatchObject({ hasMarks: true });
  });
});
