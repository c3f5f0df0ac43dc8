/** The keys of config.yaml: what each takes, and what it is when it is not given. docs/configuration.md says what they do. */
import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import { parseEndpoint } from './metadata/endpoint.ts';
import { BACKENDS, type Config, LOG_LEVELS } from './model/config.ts';
import { parseDuration } from './model/duration.ts';
import { ALL_BITS, capacityOf } from './model/mark.ts';
import {
  type Cidr,
  familyOf,
  hostCidr,
  type IpAddress,
  parseCidr,
  parseIfName,
  parseInterfaceAddress,
  parseIpAddress,
  parseListenAddress,
  parseMacAddress,
  splitCidr,
} from './model/net.ts';
import { mapping, parsedText } from './system/schema.ts';

/**
 * Table and priority are tableBase + slot, slot 0–255. Tables 253–255 and those below are the kernel's, Tencent's page's
 * and cloud-init's; the rule of the main table has priority 32766, and ours must come before it.
 */
const TABLE_BASE = { min: 256, max: 32_765 - 255 };
/** RTPROT_STATIC is 4: what is not above it belongs to the kernel, the boot scripts and the administrator. */
const PROTOCOL = { min: 5, max: 255 };
/** Enough for 15 NICs: the largest VM of the product's quotas has 8. With all bits there would be none for anybody else. */
const MARK_BITS = 4;
/** RFC 791 and RFC 8200; a Linux interface below 1280 loses IPv6. */
const MTU = { min: 68, minIpv6: 1280, max: 65_535 };

const macAddress = parsedText(parseMacAddress, "a MAC, such as '52:54:00:00:00:02'");
const cidr = parsedText(parseCidr, 'a network without host bits, such as 10.0.1.0/24');
const ipAddress = parsedText(parseIpAddress, 'an IP address');
const ipv6Address = parsedText(parseIpv6, 'an IPv6 address');
const interfaceAddress = parsedText(
  parseInterfaceAddress,
  'an IP address with its prefix length, such as 10.0.1.5/24',
);
const excluded = parsedText(parseExcluded, 'an IP address or a network without host bits');
const routeTarget = parsedText(
  parseRouteTarget,
  'a network without host bits; the default route is never ours to change',
);
const endpoint = parsedText(
  (text) => parseEndpoint(text)?.origin,
  'http://HOST or http://HOST:PORT, nothing more',
);
const absolutePath = parsedText((text) => (isAbsolute(text) ? text : undefined), 'an absolute path');
const yesOrNo = v.boolean('allowed: true, false');

const metadata = mapping({
  provider: v.optional(choice(['auto', 'tencent', 'file'], ['alibaba', 'ec2', 'openstack']), 'auto'),
  endpoint: v.optional(endpoint, 'http://metadata.tencentyun.com'),
  fallbackEndpoints: list(endpoint, ['http://169.254.0.23']),
  timeout: v.optional(duration('100ms', '60s'), '2s'),
  file: v.optional(absolutePath, '/etc/eni-agent/metadata.yaml'),
});

const daemon = mapping({
  resyncInterval: v.optional(duration('1s', '1h'), '10s'),
  removalConfirmations: v.optional(integer(1, 10), 2),
});

const routing = mapping({
  tableBase: v.optional(
    integer(TABLE_BASE.min, TABLE_BASE.max, 'table and priority of slot 0 to 255 are tableBase + slot'),
    21_000,
  ),
  primary: v.optional(choice(['auto', 'always', 'never']), 'auto'),
  localRoutes: v.optional(choice(['auto', 'off']), 'auto'),
  forwarded: v.optional(choice(['connmark', 'off']), 'off'),
  forwardedMask: v.optional(markMask(), 0x7f),
  protocol: v.optional(integer(PROTOCOL.min, PROTOCOL.max, 'the others are the kernel’s'), 196),
});

const sysctl = mapping({
  rpFilter: v.optional(choice(['loose', 'leave']), 'loose'),
  arp: v.optional(choice(['auto', 'leave']), 'auto'),
  promoteSecondaries: v.optional(yesOrNo, true),
});

const persistence = mapping({
  backend: v.optional(choice(['auto', ...BACKENDS]), 'auto'),
  existingFiles: v.optional(choice(['respect', 'replace']), 'respect'),
});

const metrics = mapping({
  listen: v.optional(
    parsedText(
      (text) => (text === 'off' ? null : parseListenAddress(text)),
      'off, or ADDRESS:PORT with one address of this machine, such as 127.0.0.1:9101 or [::1]:9101',
    ),
    'off',
  ),
  textfile: v.optional(
    parsedText(
      (text) => (text === 'off' ? null : isTextfile(text) ? text : undefined),
      'off, or an absolute path that ends in .prom',
    ),
    'off',
  ),
});

const hooks = mapping({
  timeout: v.optional(duration('1s', '10m'), '30s'),
});

const match = v.pipe(
  mapping({
    mac: v.exactOptional(macAddress),
    name: v.exactOptional(parsedText(parseIfName, 'an interface name')),
    subnet: v.exactOptional(cidr),
    role: v.exactOptional(choice(['primary', 'secondary'])),
  }),
  v.check((given) => Object.keys(given).length > 0, 'required: at least one of mac, name, subnet, role'),
);

const route = v.pipe(
  mapping({ to: routeTarget, via: ipAddress }),
  v.forward(
    v.check(({ to, via }) => familyOf(to) === familyOf(via), 'allowed: an address of the same family as to'),
    ['via'],
  ),
);

const interfaceEntry = v.pipe(
  mapping({
    match,
    manage: v.nullish(yesOrNo, null),
    mtu: v.nullish(integer(MTU.min, MTU.max), null),
    excludeAddresses: list(excluded, []),
    addresses: list(interfaceAddress, []),
    gateway6: v.nullish(ipv6Address, null),
    routes: list(route, []),
  }),
  v.forward(
    v.check(
      (entry) => entry.mtu === null || entry.mtu >= MTU.minIpv6 || !usesIpv6(entry),
      `allowed: ${MTU.minIpv6} or more, since this entry uses IPv6`,
    ),
    ['mtu'],
  ),
);

export const CONFIG_SCHEMA = v.nullish(
  mapping({
    metadata: v.nullish(metadata, {}),
    daemon: v.nullish(daemon, {}),
    routing: v.nullish(routing, {}),
    sysctl: v.nullish(sysctl, {}),
    persistence: v.nullish(persistence, {}),
    metrics: v.nullish(metrics, {}),
    hooks: v.nullish(hooks, {}),
    interfaces: list(interfaceEntry, []),
    log: v.nullish(
      mapping({
        level: v.optional(choice(LOG_LEVELS), 'info'),
      }),
      {},
    ),
  }),
  {},
);

/** The file's words → the program's: durations in milliseconds by name. */
export function toConfig(file: v.InferOutput<typeof CONFIG_SCHEMA>): Config {
  const { timeout, ...restOfMetadata } = file.metadata;
  const { resyncInterval, ...restOfDaemon } = file.daemon;
  return {
    ...file,
    metadata: { ...restOfMetadata, timeoutMs: timeout },
    daemon: { ...restOfDaemon, resyncIntervalMs: resyncInterval },
    hooks: { timeoutMs: file.hooks.timeout },
  };
}

/** `later` are words that the contract knows and this version cannot do. */
function choice<const Word extends string>(words: readonly Word[], later: readonly string[] = []) {
  return v.picklist(words, ({ input }) => {
    const notYet = later.includes(String(input)) ? 'not available in this version; ' : '';
    return `${notYet}allowed: ${words.join(', ')}`;
  });
}

function integer(min: number, max: number, reason?: string) {
  const message = `allowed: a whole number from ${min} to ${max}${reason === undefined ? '' : ` (${reason})`}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

function markMask() {
  const message = `allowed: a mask of at least ${MARK_BITS} of 32 bits, and not of all, such as 0x7f`;
  return v.pipe(v.number(message), v.check(isMarkMask, message));
}

function isMarkMask(mask: number): boolean {
  return Number.isInteger(mask) && mask > 0 && mask < ALL_BITS && capacityOf(mask) >= 2 ** MARK_BITS - 1;
}

/** Milliseconds. */
function duration(min: string, max: string) {
  const [minMs = 0, maxMs = 0] = [parseDuration(min), parseDuration(max)];
  return parsedText((text) => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
  }, `a duration from ${min} to ${max}: a whole number and ms, s, m or h`);
}

/** A key without a value is an empty list: what remains when all entries are commented out. */
function list<Item extends v.GenericSchema>(item: Item, whenAbsent: v.InferInput<Item>[]) {
  return v.nullish(v.array(item, 'allowed: a list'), whenAbsent);
}

function parseIpv6(text: string): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address !== undefined && familyOf(address) === 6 ? address : undefined;
}

function parseExcluded(text: string): Cidr | undefined {
  const address = parseIpAddress(text);
  return address === undefined ? parseCidr(text) : hostCidr(address);
}

/** Others are not collected. */
function isTextfile(text: string): boolean {
  return isAbsolute(text) && text.endsWith('.prom');
}

function parseRouteTarget(text: string): Cidr | undefined {
  const network = parseCidr(text);
  return network !== undefined && splitCidr(network).prefixLength > 0 ? network : undefined;
}

type Families = Pick<Config['interfaces'][number], 'addresses' | 'excludeAddresses' | 'gateway6' | 'routes'>;

function usesIpv6({ addresses, excludeAddresses, gateway6, routes }: Families): boolean {
  const used = [
    ...addresses.map(({ address }) => address),
    ...excludeAddresses,
    ...routes.map(({ to }) => to),
  ];
  return gateway6 !== null || used.some((value) => familyOf(value) === 6);
}
