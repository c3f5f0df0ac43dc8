/** One `from ADDRESS` rule for each address of a NIC, one `oif` rule for a secondary, one for marked connections. */
import type { DesiredRule } from '../model/desired.ts';
import type { FirewallMark } from '../model/mark.ts';
import { type Family, familyOf, hostCidr, type InterfaceAddress, type IpAddress } from '../model/net.ts';
import { foreignAddresses, type KnownNic, listedAddresses } from './addresses.ts';
import { familiesOf } from './routes.ts';

export interface RuleContext {
  readonly table: number;
  readonly owned: readonly InterfaceAddress[];
  /** Whether another NIC has it listed: a stray copy of it on this one gets no rule here. */
  readonly isListedElsewhere: (address: IpAddress) => boolean;
  /** Of the connections that come in by the NIC; null when they have none. */
  readonly mark: FirewallMark | null;
}

/** All rules of a NIC. The primary has no `oif` rule: an unbound look-up that names eth0 must keep finding main. */
export function nicRules(nic: KnownNic, context: RuleContext): readonly DesiredRule[] {
  const foreign = foreignAddresses(nic, context.owned)
    .filter((address) => !context.isListedElsewhere(address))
    .map((address) => fromRule(address, context.table, 'an address that others put on the NIC'));
  return [
    ...fileRules(nic, context.table),
    ...foreign.filter(({ family }) => familiesOf(nic).includes(family)),
    ...markRules(nic, context),
  ];
}

/** Not in the distribution's files: without the agent nobody marks anything. */
function markRules(nic: KnownNic, { table, mark }: RuleContext): readonly DesiredRule[] {
  if (mark === null) return [];
  return familiesOf(nic).map((family) => ({
    family,
    priority: table,
    table,
    source: null,
    outputInterface: null,
    mark,
    reason: 'forwarded replies leave by the NIC that the connection came in by',
  }));
}

/** The rules that the distribution's own files carry too. */
export function fileRules(nic: KnownNic, table: number): readonly DesiredRule[] {
  const bySource = listedAddresses(nic).map(({ address }) =>
    fromRule(address, table, 'replies leave by the NIC of their address'),
  );
  const byInterface =
    nic.role === 'primary' ? [] : familiesOf(nic).map((family) => oifRule(nic, family, table));
  return [...bySource, ...byInterface].toSorted((a, b) => a.family - b.family);
}

function fromRule(address: IpAddress, table: number, reason: string): DesiredRule {
  return {
    family: familyOf(address),
    priority: table,
    table,
    source: hostCidr(address),
    outputInterface: null,
    mark: null,
    reason,
  };
}

function oifRule(nic: KnownNic, family: Family, table: number): DesiredRule {
  return {
    family,
    priority: table,
    table,
    source: null,
    outputInterface: nic.link.ifname,
    mark: null,
    reason: 'sockets bound to the NIC use its table',
  };
}
