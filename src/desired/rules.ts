/** One `from ADDRESS` rule for each address of a NIC, one `oif` rule for a secondary. */
import type { DesiredRule } from '../model/desired.ts';
import { familyOf, hostCidr, type InterfaceAddress, type IpAddress } from '../model/net.ts';
import { foreignAddresses, type KnownNic, listedAddresses } from './addresses.ts';
import { familiesOf } from './routes.ts';

export interface RuleContext {
  readonly table: number;
  readonly owned: readonly InterfaceAddress[];
  /** Addresses that the metadata lists on some NIC: a stray copy of one on another NIC gets no rule there. */
  readonly listedElsewhere: ReadonlySet<IpAddress>;
}

/** All rules of a NIC. The primary has no `oif` rule: an unbound look-up that names eth0 must keep finding main. */
export function nicRules(nic: KnownNic, context: RuleContext): readonly DesiredRule[] {
  const foreign = foreignAddresses(nic, context.owned)
    .filter((address) => !context.listedElsewhere.has(address))
    .map((address) => fromRule(address, context.table, 'an address that others put on the NIC'));
  return [
    ...fileRules(nic, context.table),
    ...foreign.filter(({ family }) => familiesOf(nic).includes(family)),
  ];
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
    reason,
  };
}

function oifRule(nic: KnownNic, family: 4 | 6, table: number): DesiredRule {
  return {
    family,
    priority: table,
    table,
    source: null,
    outputInterface: nic.link.ifname,
    reason: 'sockets bound to the NIC use its table',
  };
}
