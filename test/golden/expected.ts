/** The two forms of EXPECTED in the fixtures (a dump of a kernel, the output of `ip`), in the words of the readers of the distribution's files. */
import { type Family, familyOf } from '../../src/model/net.ts';
import {
  formatRoute,
  formatRule,
  MAIN_TABLE,
  type Meaning,
  parseAddressOf,
  parseCount,
  parseNetwork,
} from '../distribution/meaning.ts';

type Expected = Pick<Meaning, 'addresses' | 'routes' | 'rules'>;

/** Without what the kernel has by itself: its own rules, connected routes, link-local addresses. */
export function parseExpected(text: string): Expected {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  const addresses = lines.flatMap((line) => /^(?:addr +|inet6? )(\S+)/.exec(line)?.[1] ?? []);
  const routes = lines.filter((line) => / dev \S+/.test(line) && !/^addr|proto kernel/.test(line));
  const rules = lines.filter((line) => /^rule|^\d+:\t/.test(line) && !/^(?:0|32766|32767):/.test(line));
  return {
    addresses: inOrderOfAddition(addresses),
    routes: routes.map(routeOf).toSorted(),
    rules: rules.map(ruleOf).toSorted(),
  };
}

/** The kernel lists IPv6 addresses with the last one first. */
function inOrderOfAddition(addresses: readonly string[]): readonly string[] {
  const isIpv6 = (text: string): boolean => text.includes(':');
  return [
    ...addresses.filter((text) => !isIpv6(text)),
    ...addresses.filter((text) => isIpv6(text)).toReversed(),
  ];
}

function routeOf(line: string): string {
  const words = line.split(/\s+/).filter((word) => word !== 'route');
  const family: Family = words.includes('-6') ? 6 : 4;
  const after = (word: string): string | undefined =>
    words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
  const destination = parseNetwork(words.find((word) => word !== '-6') ?? '', family);
  const via = after('via');
  if (destination === undefined) throw new Error(`no route: ${line}`);
  return formatRoute({
    destination,
    gateway: via === undefined ? null : (parseAddressOf(family, via) ?? null),
    ifname: after('dev') ?? '',
    table: parseCount(after('table')) ?? MAIN_TABLE,
  });
}

/** `rule  -6 priority=P src=S oif=I table=T` or `P:	from S oif I lookup T`. */
function ruleOf(line: string): string {
  const words = line
    .replaceAll('=', ' ')
    .replace(/^(\d+):/, 'priority $1')
    .split(/\s+/);
  const after = (...names: readonly string[]): string | undefined =>
    words[words.findIndex((word) => names.includes(word)) + 1];
  const from = after('src', 'from') ?? '';
  const isIpv6 = words.includes('-6');
  const family: Family = isIpv6 ? 6 : 4;
  const source = parseNetwork(from, family);
  if (source === undefined || familyOf(source) !== family) throw new Error(`no rule: ${line}`);
  return formatRule({
    family,
    source,
    oif: words.includes('oif') ? (after('oif') ?? null) : null,
    table: Number(after('table', 'lookup')),
    priority: Number(after('priority')),
  });
}
