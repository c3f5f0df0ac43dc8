/** Rules, routes and answers of a kernel, in short text. */
import type { Link } from '../../../src/model/host.ts';
import type { Flow, LookupAnswer, RefusalReason, RuleDetails, Way } from '../../../src/model/lookup.ts';
import { cidr, hostOf, ip, link, otherLink, rule } from '../builders.ts';

export const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });
export const ETH1 = link(2, 'eth1', { addresses: '10.0.1.4/24 10.0.1.5/24' });
export const DOCKER0 = otherLink(9, 'docker0', { kind: 'bridge', addresses: '172.17.0.1/16' });
export const LINKS: readonly Link[] = [ETH0, ETH1, DOCKER0];

/** A line of `ip rule`; selectors beyond `from` and `oif` are given beside. */
export type RuleText = string | readonly [line: string, details: Partial<RuleDetails>];

/** With those of the kernel itself. */
export function rulesOf(...entries: readonly RuleText[]): readonly RuleDetails[] {
  const rules = entries.map((entry) => (typeof entry === 'string' ? detailed(entry) : detailed(...entry)));
  return [
    ...rules,
    detailed('from all lookup 255 priority 0'),
    detailed('from all lookup 254 priority 32766'),
    detailed('from all lookup 253 priority 32767'),
  ].toSorted((a, b) => a.priority - b.priority);
}

function detailed(line: string, details: Partial<RuleDetails> = {}): RuleDetails {
  return {
    ...rule(line),
    action: 'table',
    target: null,
    inverted: false,
    destination: null,
    inputInterface: null,
    mark: null,
    uids: null,
    special: [],
    suppressPrefixLength: null,
    opaque: false,
    ...details,
  };
}

export function routesOf(links: readonly Link[], ...lines: readonly string[]) {
  return hostOf({ links, routes: lines }).routes;
}

/** `203.0.113.9 from 10.0.1.4` */
export function flowOf(text: string): Flow {
  const [destination = '', , source] = text.split(' ');
  return { destination: ip(destination), source: source === undefined ? null : ip(source), input: null };
}

/** By this link; an old kernel tells neither table nor route. */
export function way({ index }: Link, gateway: string | null, rest: Partial<Way> = {}): Way {
  return {
    kind: 'way',
    type: 'unicast',
    linkIndex: index,
    gateway: gateway === null ? null : ip(gateway),
    source: null,
    table: null,
    route: null,
    ...rest,
  };
}

/** As a new kernel tells it. */
export function told(table: number, route: string): Pick<Way, 'table' | 'route'> {
  return { table, route: cidr(route) };
}

export function refusal(reason: RefusalReason): LookupAnswer {
  return { kind: 'refusal', reason, text: reason };
}
