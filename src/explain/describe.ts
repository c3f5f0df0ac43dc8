/** Rules and routes in the words of `ip rule` and `ip route`. */
import { MAIN_TABLE, type Route } from '../model/host.ts';
import type { RuleDetails } from '../model/lookup.ts';
import { addressBits, type Cidr, familyOf, splitCidr } from '../model/net.ts';
import { DEFAULT_TABLE, LOCAL_TABLE } from './rules.ts';

const EVERY_BIT = 0xffffffff;

/** `rule 21001 (from 10.0.1.4 lookup 21001)` */
export function nameRule(rule: RuleDetails): string {
  return `rule ${rule.priority} (${describeRule(rule)})`;
}

/** `from 10.0.1.4 lookup 21001` */
export function describeRule(rule: RuleDetails): string {
  const { suppressPrefixLength: length } = rule;
  const words = [
    describeSelector(rule),
    actionText(rule),
    length === null ? '' : `suppress_prefixlength ${length}`,
  ];
  return words.filter((word) => word !== '').join(' ');
}

/** `from 10.0.1.4` */
export function describeSelector(rule: RuleDetails): string {
  const { source, destination, inputInterface, outputInterface, mark, uids, special } = rule;
  const words = [
    ...(rule.inverted ? ['not'] : []),
    `from ${source === null ? 'all' : withoutHostLength(source)}`,
    ...(destination === null ? [] : [`to ${withoutHostLength(destination)}`]),
    ...(mark === null ? [] : [`fwmark ${markText(mark)}`]),
    ...(inputInterface === null ? [] : [`iif ${inputInterface}`]),
    ...(outputInterface === null ? [] : [`oif ${outputInterface}`]),
    ...(uids === null ? [] : [`uidrange ${uids.first}-${uids.last}`]),
    ...special,
    ...(rule.opaque ? ['…'] : []),
  ];
  return words.join(' ');
}

function markText({ value, mask }: NonNullable<RuleDetails['mark']>): string {
  return mask === EVERY_BIT ? hex(value) : `${hex(value)}/${hex(mask)}`;
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}

function actionText({ action, table, target, special }: RuleDetails): string {
  if (action === 'goto') return `goto ${target ?? '?'}`;
  if (action !== 'table') return action === 'other' ? '' : action;
  return special.includes('l3mdev') ? 'lookup of the VRF' : `lookup ${tableName(table)}`;
}

export function tableName(table: number): string {
  const names: Readonly<Record<number, string>> = {
    [LOCAL_TABLE]: 'local',
    [MAIN_TABLE]: 'main',
    [DEFAULT_TABLE]: 'default',
  };
  return names[table] ?? String(table);
}

function withoutHostLength(cidr: Cidr): string {
  const { address, prefixLength } = splitCidr(cidr);
  return prefixLength === addressBits(familyOf(cidr)) ? address : cidr;
}

/** `default via 10.0.1.1 dev eth1 in table 21001` */
export function describeRoute(route: Route, nameOf: (linkIndex: number) => string): string {
  const type = route.type === 'unicast' || route.type === 'other' ? '' : `${route.type} `;
  const destination = route.destination.endsWith('/0') ? 'default' : route.destination;
  const legs = route.nexthops.map(
    ({ gateway, linkIndex }) => `${gateway === null ? '' : `via ${gateway} `}dev ${nameOf(linkIndex)}`,
  );
  return `${type}${[destination, ...legs].join(' ')} in table ${tableName(route.table)}`;
}
