/** docs/config.schema.json: it is the program's own schema, and takes and refuses what the program does. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createConfigSchema } from '../../../packaging/config-json-schema.ts';
import { checkConfig } from '../../../src/config-file.ts';
import { AgentError } from '../../../src/errors.ts';
import { parseYaml } from '../../../src/system/yaml.ts';
import { seeded, sized } from '../../lab/settled.ts';
import { CONFIGURATIONS } from '../fuzz/corpus.ts';
import { anyMutations, mutate } from '../fuzz/mutations.ts';
import { BAD_VALUES, ENTRIES, EVERY_DEFAULT, UNKNOWN_KEYS } from './examples.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const DOCUMENT = path.join(ROOT, 'docs/config.schema.json');
/** Set: the document is written instead of compared with. */
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';
const RUNS = sized(300, 20_000);

const isValid = new Ajv({ strict: true, allErrors: true }).compile(JSON.parse(createConfigSchema()));

/** Whether an editor is content; undefined for what is no YAML. */
function schemaTakes(bytes: string | Uint8Array): boolean | undefined {
  const parsed = parseYaml(bytes);
  return 'file' in parsed ? isValid(parsed.file.value) : undefined;
}

function programTakes(bytes: string | Uint8Array): boolean {
  try {
    checkConfig(bytes, 'config.yaml');
    return true;
  } catch (error) {
    if (error instanceof AgentError) return false;
    throw error;
  }
}

/** Every key whose value is text. */
const PLACES: readonly string[] = [
  'metadata: { endpoint: TEXT }',
  'metadata: { fallbackEndpoints: [TEXT] }',
  'metadata: { timeout: TEXT }',
  'metadata: { file: TEXT }',
  'daemon: { resyncInterval: TEXT }',
  'metrics: { listen: TEXT }',
  'metrics: { textfile: TEXT }',
  'hooks: { timeout: TEXT }',
  ...['mac', 'name', 'subnet'].map((key) => `interfaces: [{ match: { ${key}: TEXT } }]`),
  ...[
    'excludeAddresses: [TEXT]',
    'addresses: [TEXT]',
    'gateway6: TEXT',
    'routes: [{ to: TEXT, via: 10.0.0.1 }]',
    'routes: [{ to: 2001:db8::/32, via: TEXT }]',
  ].map((key) => `interfaces: [{ match: { role: primary }, ${key} }]`),
];

const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:10.0.1.5', '::', '0.0.0.0'));
const anyText = fc.oneof(
  anyAddress,
  fc.tuple(anyAddress, fc.nat(129)).map(([address, length]) => `${address}/${length}`),
  fc.constantFrom('10.0.1.0/24', '2001:DB8::/32', '::/1', '128.0.0.0/1'),
  fc.stringMatching(/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/),
  fc
    .tuple(fc.constantFrom(1, 2, 60, 100, 1_000), fc.constantFrom('ms', 's', 'm', 'h'))
    .map(([count, unit]) => `00${count}${unit}`),
  fc.webUrl({ validSchemes: ['http', 'HTTP'] }).map((url) => url.replace(/(?<=\w)\/.*$/, '/')),
  fc.stringMatching(/^\/?[\w.-]{1,16}$/),
);

test('the file is what the program’s schema and docs/configuration.md make of it', async () => {
  if (IS_WRITTEN) await writeFile(DOCUMENT, createConfigSchema());
  expect(await readFile(DOCUMENT, 'utf8')).toBe(createConfigSchema());
});

test('every key has a description', () => {
  const keysOf = (schema: unknown): readonly string[] => {
    if (typeof schema !== 'object' || schema === null) return [];
    const properties = 'properties' in schema ? Object.entries(schema.properties as object) : [];
    const bare = properties.filter(([, each]) => !('description' in each)).map(([key]) => key);
    return [...bare, ...Object.values(schema).flatMap(keysOf)];
  };
  // The keys of these have one.
  expect(keysOf(JSON.parse(createConfigSchema()))).toEqual([
    'metadata',
    'daemon',
    'routing',
    'sysctl',
    'persistence',
    'metrics',
    'hooks',
    'interfaces',
    'log',
    'match',
  ]);
});

describe('takes', () => {
  test('the file that the packages bring, as it is and with every default', async () => {
    const text = await readFile(path.join(ROOT, 'packaging/config.yaml'), 'utf8');
    expect(schemaTakes(text)).toBe(true);
    expect(schemaTakes(text.replaceAll(/^#(?! \S)/gm, ''))).toBe(true);
  });

  test.each([EVERY_DEFAULT, ENTRIES, 'log:\n', 'interfaces: []\n', ''])('%j', (text) => {
    expect(schemaTakes(text)).toBe(true);
    expect(programTakes(text)).toBe(true);
  });

  test('whatever the program takes', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...PLACES), anyText, (place, text) => {
        const yaml = place.replace('TEXT', JSON.stringify(text));
        if (!programTakes(yaml)) return;
        taken += 1;
        expect(schemaTakes(yaml), yaml).toBe(true);
      }),
      seeded('configurations', RUNS),
    );
    expect(taken).toBeGreaterThan(RUNS / 20);
  });

  test('what the program takes of a configuration that was damaged', () => {
    const [, whole = ''] = CONFIGURATIONS;
    fc.assert(
      fc.property(anyMutations, (mutations) => {
        const mutated = mutate(whole, mutations, CONFIGURATIONS);
        if (programTakes(mutated)) expect(schemaTakes(mutated)).toBe(true);
      }),
      seeded('damaged configurations', RUNS),
    );
  });
});

/** A schema sees how a value is written, not what it means nor what stands beside it. */
const BEYOND_A_SCHEMA: readonly RegExp[] = [
  /timeout: (99ms|61s)/,
  /resyncInterval: 999ms/,
  /hooks: \{ timeout: '(0s|999ms|11m)'/,
  /10\.0\.0\.1\/24/,
  /mtu: 1279/,
  /to: (0\.0\.0\.0|::)\/0/,
  /to: 172\.16\.0\.0\/12, via: fe80::1/,
];

describe('refuses', () => {
  const isBeyond = ([text]: readonly [string, string]): boolean =>
    BEYOND_A_SCHEMA.some((pattern) => pattern.test(text));
  const wrong = [...BAD_VALUES, ...UNKNOWN_KEYS];

  test.each(wrong.filter((each) => !isBeyond(each)))('%j, as the program does: %s', (text) => {
    expect(schemaTakes(text)).toBe(false);
  });

  test('not what only the program can tell', () => {
    const beyond = wrong.filter(isBeyond);
    expect(beyond.map(([text]) => schemaTakes(text))).toEqual(beyond.map(() => true));
    expect(beyond.length).toBeGreaterThanOrEqual(BEYOND_A_SCHEMA.length);
  });
});
