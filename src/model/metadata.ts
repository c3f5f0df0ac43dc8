/** What the cloud says, in words that belong to no cloud. */
import {
  cidrContains,
  type Family,
  familyOf,
  type InterfaceAddress,
  type IpAddress,
  isAssignable,
  type MacAddress,
  networkOf,
} from './net.ts';

/** One ENI as the metadata lists it. */
export interface NicMetadata {
  readonly mac: MacAddress;
  /** The first of each family is the primary; the others are sorted. Never empty. */
  readonly addresses: readonly InterfaceAddress[];
  readonly gateway?: IpAddress;
  readonly gateway6?: IpAddress;
}

/** An ENI that the metadata lists but whose reading cannot be trusted: nothing about it is known, so nothing about it changes. */
export interface InvalidNic {
  readonly mac: MacAddress;
  /** What was read, and why it is refused. */
  readonly problem: string;
}

export interface InstanceMetadata {
  readonly instanceId: string | null;
  readonly primaryMac: MacAddress;
  /** Sorted by MAC. */
  readonly nics: readonly NicMetadata[];
  readonly invalid: readonly InvalidNic[];
}

/** The primary address of a family: the first listed. */
export function primaryAddress(nic: NicMetadata, family: Family): InterfaceAddress | undefined {
  return nic.addresses.find(({ address }) => familyOf(address) === family);
}

export function gatewayOf(nic: NicMetadata, family: Family): IpAddress | undefined {
  return family === 4 ? nic.gateway : nic.gateway6;
}

/**
 * Why an ENI's reading contradicts itself, or undefined when it does not. A gateway outside of the subnet, a subnet with
 * two sizes, an address twice or one that no NIC has is a broken answer, not a network (an IPv6 gateway may be link-local).
 */
export function nicContradiction(nic: NicMetadata): string | undefined {
  if (nic.addresses.length === 0) return 'it lists no address';
  const seen = new Set<string>();
  for (const { address } of nic.addresses) {
    if (seen.has(address)) return `it lists ${address} twice`;
    if (!isAssignable(address)) return `it lists ${address}, which is no address of a NIC`;
    seen.add(address);
  }
  return familyContradiction(nic, 4) ?? familyContradiction(nic, 6);
}

/**
 * An address that two ENIs list belongs to one of them, and which one cannot be told: one of the two listings is wrong, or of
 * another moment. Both are invalid.
 */
export function withoutSharedAddresses(answer: InstanceMetadata): InstanceMetadata {
  const listers = new Map<IpAddress, MacAddress[]>();
  for (const { mac, addresses } of answer.nics)
    for (const { address } of addresses) listers.set(address, [...(listers.get(address) ?? []), mac]);
  const shared = [...listers].filter(([, macs]) => macs.length > 1);
  const problemOf = (mac: MacAddress): readonly string[] =>
    shared.flatMap(([address, macs]) => {
      if (!macs.includes(mac)) return [];
      return [`${address} is listed for ${macs.filter((other) => other !== mac).join(' and ')} as well`];
    });
  const doubtful = answer.nics.flatMap(({ mac }): readonly InvalidNic[] => {
    const problems = problemOf(mac);
    return problems.length === 0 ? [] : [{ mac, problem: problems.join('; ') }];
  });
  if (doubtful.length === 0) return answer;
  const macs = new Set(doubtful.map(({ mac }) => mac));
  return {
    ...answer,
    nics: answer.nics.filter(({ mac }) => !macs.has(mac)),
    invalid: [...answer.invalid, ...doubtful].toSorted((a, b) => (a.mac < b.mac ? -1 : 1)),
  };
}

function familyContradiction(nic: NicMetadata, family: Family): string | undefined {
  const gateway = gatewayOf(nic, family);
  const primary = primaryAddress(nic, family);
  if (primary === undefined)
    return gateway === undefined ? undefined : `gateway ${gateway} has no address beside it`;
  const subnet = networkOf(primary);
  if (gateway !== undefined && nic.addresses.some(({ address }) => address === gateway)) {
    return `gateway ${gateway} is an address of the NIC itself`;
  }
  for (const entry of nic.addresses) {
    if (familyOf(entry.address) === family && networkOf(entry) !== subnet) {
      return `address ${entry.address}/${entry.prefixLength} is not in subnet ${subnet}`;
    }
  }
  if (gateway === undefined || cidrContains(subnet, gateway)) return undefined;
  if (family === 6 && gateway.startsWith('fe80:')) return undefined;
  return `gateway ${gateway} is not in subnet ${subnet}`;
}
