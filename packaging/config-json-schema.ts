/**
 * docs/config.schema.json: config.yaml for editors and CI, out of the very schema that the program reads the file with. It knows the
 * keys and what a value looks like; what takes a program to tell (host bits, a range of durations) is for `eni-agent config --check`.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type ConversionConfig, type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import { CONFIG_SCHEMA } from '../src/config-schema.ts';

const CONFIGURATION = path.join(import.meta.dirname, '../docs/configuration.md');

const OCTET = String.raw`(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const IPV4 = String.raw`${OCTET}(\.${OCTET}){3}`;
/** Its shape alone: an exact pattern would be longer than anybody reads. */
const IPV6 = String.raw`[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,8}(\.\d{1,3}){0,3}`;
const PORT = String.raw`([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])`;
const WITH_LENGTH = String.raw`^(${IPV4}/\d{1,2}|${IPV6}/\d{1,3})$`;

/**
 * What a value looks like, by how the message of its schema begins: the first that fits. No look-around: not every
 * implementation of JSON Schema has it.
 */
const SHAPES: readonly (readonly [allowed: string, shape: JsonSchema])[] = [
  ['a duration', { pattern: String.raw`^\d{1,9}(ms|s|m|h)$` }],
  ['http://HOST', { pattern: String.raw`^[Hh][Tt][Tt][Pp]://[^\s\\/@?#]+/?$` }],
  [
    'off, or ADDRESS:PORT',
    {
      pattern: String.raw`^(off|(${IPV4}|\[${IPV6}\]):${PORT})$`,
      not: { pattern: String.raw`^(0\.0\.0\.0|\[[0:]+\]):` },
    },
  ],
  ['off, or an absolute path that ends in .prom', { pattern: String.raw`^(off|/.*\.prom)$` }],
  ['an absolute path', { pattern: '^/' }],
  [
    'a MAC',
    {
      pattern: '^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$',
      not: { const: '00:00:00:00:00:00' },
    },
  ],
  ['an interface name', { pattern: '^[A-Za-z0-9_.-]{1,15}$', not: { enum: ['.', '..'] } }],
  ['an IP address with its prefix length', { pattern: WITH_LENGTH }],
  ['an IP address or a network', { pattern: String.raw`^(${IPV4}(/\d{1,2})?|${IPV6}(/\d{1,3})?)$` }],
  ['an IP address', { pattern: `^(${IPV4}|${IPV6})$` }],
  ['an IPv6 address', { pattern: `^${IPV6}$` }],
  ['a network', { pattern: WITH_LENGTH }],
  ['a mask', { type: 'integer', minimum: 0b1111, maximum: 0xffff_fffe }],
];
const ALLOWED = 'allowed: ';

const CONVERSION: ConversionConfig = {
  // The one that every editor knows.
  target: 'draft-07',
  typeMode: 'input',
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    if (valibotSchema.type === 'string') return { ...jsonSchema, ...shapeOf(messageOf(valibotSchema)) };
    // The program looks for unknown keys itself, to report all of them.
    if (valibotSchema.type === 'object') return { ...jsonSchema, additionalProperties: false };
    return valibotSchema.type === 'nullish' ? orNull(jsonSchema) : undefined;
  },
  overrideAction: ({ valibotAction, jsonSchema }) => {
    if (valibotAction.type !== 'check') return undefined;
    const message = messageOf(valibotAction);
    if (message.startsWith('required: at least one of')) return { ...jsonSchema, minProperties: 1 };
    // The other checks of mappings compare values with each other.
    return jsonSchema.type === 'object' ? jsonSchema : { ...jsonSchema, ...shapeOf(message) };
  },
};

/** A list of alternatives has validators report each of them, for whatever is wrong within. */
function orNull({ anyOf, ...rest }: JsonSchema): JsonSchema {
  const [value] = anyOf as JsonSchema[];
  return { ...value, ...rest, type: [value?.type, 'null'] as NonNullable<JsonSchema['type']> };
}

function messageOf(of: object): string {
  const message = 'message' in of ? of.message : undefined;
  if (typeof message === 'string') return message;
  throw new Error('making docs/config.schema.json: a value has no message that says what is allowed');
}

function shapeOf(message: string): JsonSchema {
  const words = message.slice(ALLOWED.length);
  const [, shape] = SHAPES.find(([allowed]) => words.startsWith(allowed)) ?? [];
  if (shape !== undefined) return { ...shape, description: `Allowed: ${words}` };
  throw new Error(`making docs/config.schema.json: no shape is known for "${words}"`);
}

/** The text of the file. */
export function createConfigSchema(): string {
  const { $schema, ...schema } = toJsonSchema(CONFIG_SCHEMA, CONVERSION);
  const title = 'Configuration of eni-agent, /etc/eni-agent/config.yaml';
  return `${JSON.stringify({ $schema, title, ...describeBelow(schema, '', readDescriptions()) }, null, 2)}\n`;
}

/** By key, as `interfaces[].match.mac`: what its row in docs/configuration.md says. */
function readDescriptions(): ReadonlyMap<string, string> {
  const rows = readFileSync(CONFIGURATION, 'utf8').matchAll(/^\| `([\w[\].]+)` \|.*?\| (.+) \|$/gm);
  return new Map([...rows].map(([, key = '', text = '']) => [key, plain(text)]));
}

/** Neither the marks of Markdown nor its links, which lead nowhere from an editor. */
function plain(text: string): string {
  return text
    .replaceAll(/ \(\[[^\]]*\]\([^)]*\)\)/g, '')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll('`', '');
}

type Texts = ReadonlyMap<string, string>;

/** The schema with a description of each key below `key`. */
function describeBelow(schema: JsonSchema, key: string, texts: Texts): JsonSchema {
  const { properties, items } = schema as Nested;
  const prefix = key === '' ? '' : `${key}.`;
  const described = Object.entries(properties ?? {}).map(([name, each]) => {
    const below = `${prefix}${name}`;
    return [name, withText(describeBelow(each, below, texts), texts.get(below))];
  });
  return {
    ...schema,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(described) }),
    ...(items === undefined ? {} : { items: describeBelow(items, `${key}[]`, texts) }),
  };
}

/** What there can be below a key of this file. */
interface Nested {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

function withText(schema: JsonSchema, text: string | undefined): JsonSchema {
  const description = [text, schema.description].filter((each) => each !== undefined).join('. ');
  return description === '' ? schema : { ...schema, description };
}
