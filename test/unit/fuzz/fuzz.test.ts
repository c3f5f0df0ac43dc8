/**
 * Everything that is read from outside, broken in every way that a few small changes can break it. The program may refuse it, with an
 * AgentError whose text can be shown to anybody; it must not crash or hang, and what it takes is in its own words.
 */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkConfig } from '../../../src/config-file.ts';
import { type RenderInput, renderFiles } from '../../../src/desired/render.ts';
import { AgentError } from '../../../src/errors.ts';
import { parseMetadataFile } from '../../../src/metadata/file.ts';
import type { MetadataProvider } from '../../../src/metadata/provider.ts';
import { createTencentProvider } from '../../../src/metadata/tencent.ts';
import { BACKENDS } from '../../../src/model/config.ts';
import { FILE_KINDS, type FileKind, isKeyfile } from '../../../src/model/files.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import {
  type Cidr,
  familyOf,
  hostCidr,
  parseCidr,
  parseIfName,
  parseInterfaceAddress,
  parseIpAddress,
  parseMacAddress,
} from '../../../src/model/net.ts';
import type { Templates } from '../../../src/model/templates.ts';
import { formatState, parseStateText } from '../../../src/system/state-text.ts';
import { loadTemplates } from '../../../src/system/templates.ts';
import type { MetadataServer } from '../../lab/metadata-server.ts';
import { seeded, sized } from '../../lab/settled.ts';
import { directRoute, gatewayRoute, nicInput, rulesFor } from '../desired/nic-input.ts';
import { MODEL, startServer } from '../metadata/fixture.ts';
import { ANSWERS, CONFIGURATIONS, STATE } from './corpus.ts';
import { anyMutations, type Mutation, mutate } from './mutations.ts';
import { evaluate } from './shell.ts';

/** Of each of the four kinds: 100,000 in all. */
const RUNS = sized(100, 25_000);
const TIMEOUT_MS = sized(30_000, 900_000);
/** Of the processor, for one input. */
const LONGEST_MS = 3_000;

/** For an answer of a server that is there. */
const PATIENT_MS = 10_000;

/** Nothing that a terminal obeys; a problem a line. */
// oxlint-disable-next-line no-control-regex -- it is what must not be there
const UNPRINTABLE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** What it made of the input; undefined when it refused it, as it should refuse things. */
function attempt<Value>(work: () => Value): Value | undefined {
  const startedAt = process.cpuUsage();
  try {
    return work();
  } catch (error) {
    refused(error);
    return undefined;
  } finally {
    expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(LONGEST_MS);
  }
}

function refused(error: unknown): void {
  if (!(error instanceof AgentError)) throw error;
  expect(error.message).not.toMatch(UNPRINTABLE);
}

function forAll(corpus: readonly string[], holds: (input: Buffer) => void): void {
  const anyInput = fc.record({ of: fc.constantFrom(...corpus), mutations: anyMutations });
  const property = fc.property(anyInput, ({ of, mutations }) => holds(mutate(of, mutations, corpus)));
  fc.assert(property, seeded('files', RUNS));
}

const IPV4 = /^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/;
const IPV6 = /^(?=.*:)[0-9a-f:]+(?:\d+(?:\.\d+){3})?$/;
const MAC = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/;

/** The neutral model's own spelling, said a second time, without the parsers. */
function assertCanonical({ instanceId, primaryMac, nics, invalid }: InstanceMetadata): void {
  expect(instanceId ?? '').not.toMatch(/[^A-Za-z0-9._-]/);
  expect(
    [primaryMac, ...nics.map(({ mac }) => mac), ...invalid.map(({ mac }) => mac)].filter(isNoMac),
  ).toEqual([]);
  expect(invalid.filter(({ problem }) => UNPRINTABLE.test(problem))).toEqual([]);
  for (const { addresses, gateway, gateway6 } of nics) {
    expect(addresses.length).toBeGreaterThan(0);
    const texts = [...addresses.map(({ address }) => address), gateway, gateway6].filter(
      (text) => text !== undefined,
    );
    expect(texts.filter((text) => !IPV4.test(text) && !IPV6.test(text))).toEqual([]);
  }
}

function isNoMac(text: string): boolean {
  return !MAC.test(text);
}

describe('metadata', { timeout: TIMEOUT_MS }, () => {
  let server: MetadataServer;
  let provider: MetadataProvider;
  beforeAll(async () => {
    server = await startServer();
    provider = createTencentProvider({ endpoints: [server.endpoint], timeoutMs: PATIENT_MS });
  });
  afterEach(() => server.setFault(null));
  afterAll(async () => {
    provider.close();
    await server.close();
  });

  test('answers of the service', async () => {
    server.setModel(MODEL);
    const anyAnswer = fc.record({ key: fc.constantFrom(...Object.keys(ANSWERS)), mutations: anyMutations });
    let taken = 0;
    const property = fc.asyncProperty(anyAnswer, async ({ key, mutations }) => {
      const body = mutate(ANSWERS[key] ?? '', mutations, Object.values(ANSWERS)).toString('latin1');
      server.setFault({ path: key, exact: true, mode: 'garbage', body });
      const startedAt = process.cpuUsage();
      try {
        assertCanonical(await provider.fetch());
        taken += 1;
      } catch (error) {
        refused(error);
      }
      expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(LONGEST_MS);
    });
    await fc.assert(property, seeded('answers of the service', RUNS));
    expect(taken).toBeGreaterThan(0);
  });
});

describe('files', { timeout: TIMEOUT_MS }, () => {
  test('of the configuration, and of the neutral model', () => {
    forAll(CONFIGURATIONS, (input) => {
      const metadata = attempt(() => parseMetadataFile(input, 'metadata.yaml'));
      if (metadata !== undefined) assertCanonical({ ...metadata, instanceId: null });
      const loaded = attempt(() => checkConfig(input, 'config.yaml'));
      if (loaded === undefined) return;
      // The one text without a grammar of its own.
      const { metadata: service, ...rest } = loaded.config;
      expect(JSON.stringify([rest, service.endpoint, service.fallbackEndpoints])).toMatch(/^[\x20-\x7e]*$/);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    });
  });

  test('of the state', () => {
    const text = formatState(STATE);
    expect(parseStateText(text)).toEqual({ state: STATE });
    // What has a checksum is refused at the first bit; one of the first version is read all the way.
    const first = text.replace('"version": 2', '"version": 1').replace(/\n +"checksum": .*/, '');
    expect(parseStateText(first)).toEqual({ state: STATE });
    forAll([text, first, first.replaceAll(/\s/g, '')], (input) => {
      const parsed = attempt(() => parseStateText(input.toString('utf8')));
      if (parsed === undefined || 'problem' in parsed) {
        expect(parsed?.problem ?? '').not.toMatch(UNPRINTABLE);
        expect(parsed?.suffix ?? '').toMatch(/^[A-Za-z0-9.+-]*$/);
        return;
      }
      const { nics, metadata } = parsed.state;
      expect(Object.keys(nics).filter(isNoMac)).toEqual([]);
      if (metadata !== null) assertCanonical({ ...metadata.answer, instanceId: null, invalid: [] });
      for (const nic of Object.values(nics)) {
        expect(nic.ifname).toMatch(/^[A-Za-z0-9_.-]{1,15}$/);
        expect(nic.addresses.filter(({ address }) => !IPV4.test(address) && !IPV6.test(address))).toEqual([]);
      }
    });
  });

  test('of the state, nested deeper than JSON can be written, are no crash', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const parsed = attempt(() => parseStateText(`{ "version": 2, "checksum": "", "x": ${deep} }`));
    expect(parsed).toHaveProperty('problem');
  });
});

describe('what is written for ifup', { timeout: TIMEOUT_MS }, () => {
  /** By how ifup takes it. */
  const written = { source: new Set<string>(), read: new Set<string>() };

  test('is rendered from whatever comes out of the parsers, or not at all', async () => {
    const templates = await loadTemplates(SHIPPED);
    const texts = [
      'eth1',
      '02:00:00:00:00:02',
      '10.0.1.4/24',
      '2001:db8:1::4/64',
      '10.0.1.1',
      'fe80::1',
      '172.16.0.0/12',
    ];
    const anyTexts = fc.array(fc.record({ of: fc.constantFrom(...texts), mutations: anyMutations }), {
      maxLength: 8,
    });
    const property = fc.property(
      anyTexts,
      anyMutations,
      fc.constantFrom(null, ...FILE_KINDS),
      fc.constantFrom(...BACKENDS),
      (parts, mutations, broken, backend) => {
        const values = parts.map((part) => mutate(part.of, part.mutations, texts).toString('utf8'));
        const rendered = attempt(() =>
          renderFiles(nicFrom(values), backend, breaking(templates, broken, mutations)),
        );
        if (rendered === undefined) return;
        if ('problem' in rendered) expect(rendered.problem).not.toMatch(UNPRINTABLE);
        // A keyfile is sourced by nobody.
        else
          for (const file of rendered.files.filter(({ path }) => !isKeyfile(path)))
            written[/ifcfg-/.test(file.path) ? 'source' : 'read'].add(file.content);
      },
    );
    fc.assert(property, seeded('what is written for ifup', RUNS));
    expect(written.source.size).toBeGreaterThan(RUNS / 20);
    expect(written.read.size).toBeGreaterThan(RUNS / 20);
  });

  test.each(['source', 'read'] as const)('does nothing but what its lines say (%s)', async (use) => {
    const contents = [...written[use]];
    const seen = await evaluate(use, contents);
    expect(seen.flatMap(({ anomalies }) => anomalies)).toEqual([]);
    for (const [index, { lines }] of seen.entries()) expect(lines).toEqual(meant(contents[index] ?? '', use));
  });

  /** The lines themselves, without the quotes. */
  function meant(content: string, use: 'source' | 'read'): readonly string[] {
    const lines = content.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return use === 'read' ? lines : lines.map((line) => line.replaceAll('"', '')).toSorted(byName);
  }
});

const SHIPPED = fileURLToPath(new URL('../../../templates/', import.meta.url));

/** As `declare -p` sorts. */
function byName(a: string, b: string): number {
  return (a.split('=')[0] ?? '') < (b.split('=')[0] ?? '') ? -1 : 1;
}

/** An operator's template may print anything. */
function breaking(templates: Templates, kind: FileKind | null, mutations: readonly Mutation[]): Templates {
  if (kind === null) return templates;
  const broken = (data: object): string =>
    mutate(templates[kind](data), mutations, ['# ours\n']).toString('utf8');
  return { ...templates, [kind]: broken };
}

/** A NIC of whatever the parsers made of the texts. */
function nicFrom(texts: readonly string[]): RenderInput {
  const nic = nicInput({ addresses: ['10.0.1.4/24', '2001:db8:1::4/64'] });
  const addresses = [...nic.addresses, ...texts.flatMap((text) => parseInterfaceAddress(text) ?? [])];
  const gateways = texts.flatMap((text) => parseIpAddress(text) ?? []);
  const networks: readonly Cidr[] = [
    ...texts.flatMap((text) => parseCidr(text) ?? []),
    ...gateways.map(hostCidr),
  ];
  const ifname = texts.map(parseIfName).find((name) => name !== undefined) ?? nic.ifname;
  return {
    ...nic,
    ifname,
    mac: texts.map(parseMacAddress).find((mac) => mac !== undefined) ?? nic.mac,
    addresses,
    routes: networks.map((network) => {
      const gateway = gateways.find((address) => familyOf(address) === familyOf(network));
      return gateway === undefined ? directRoute(network, 21_001) : gatewayRoute(network, gateway, 21_001);
    }),
    rules: rulesFor(
      ifname,
      21_001,
      addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    ),
  };
}
