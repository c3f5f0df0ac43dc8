/** Addresses: what is missing is added, what we once added and nobody lists is removed, the rest is not ours. */
import type { DesiredInterface } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import { cidrContains, formatInterfaceAddress, type InterfaceAddress } from '../model/net.ts';
import type { Step, StepOf } from '../model/plan.ts';
import { makeStep } from './step.ts';

export function addAddresses(desired: DesiredInterface, link: Link): readonly Step[] {
  const present = new Set(link.addresses.map(formatInterfaceAddress));
  return desired.addresses
    .filter((entry) => !present.has(formatInterfaceAddress(entry)))
    .map(({ address, prefixLength, deprecated, reason }) =>
      makeStep(
        'add-address',
        desired,
        { linkIndex: link.index, address, prefixLength, deprecated },
        `${reason}, missing on ${link.ifname}`,
      ),
    );
}

/** Only what the state file says we added; an address that stays with another prefix length is no withdrawal. */
export function removeAddresses(
  desired: DesiredInterface,
  link: Link,
  host: HostState,
): readonly StepOf<'remove-address'>[] {
  return staleAddresses(desired, link, host).map(({ address, prefixLength }) => {
    const isReplaced = desired.addresses.some((entry) => entry.address === address);
    const reason = isReplaced ? 'its prefix length has changed' : 'not listed in the metadata any more';
    const args = { linkIndex: link.index, address, prefixLength, deprecated: false };
    return makeStep('remove-address', desired, args, reason, !isReplaced);
  });
}

/** On the link, owned by us, wanted by nobody. */
function staleAddresses(desired: DesiredInterface, link: Link, host: HostState): readonly InterfaceAddress[] {
  const owned = new Set((host.state.nics[desired.mac]?.addresses ?? []).map(formatInterfaceAddress));
  if (owned.size === 0) return [];
  const wanted = new Set(desired.addresses.map(formatInterfaceAddress));
  return link.addresses.filter((entry) => {
    const text = formatInterfaceAddress(entry);
    if (!owned.has(text) || wanted.has(text)) return false;
    return !desired.excluded.some((cidr) => cidrContains(cidr, entry.address));
  });
}
