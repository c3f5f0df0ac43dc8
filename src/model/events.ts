/** What the operator's hooks are told of: what is ours on a NIC has become another. */
import type { IfName, InterfaceAddress, MacAddress } from './net.ts';

/** Each is a folder of hooks.d, too. */
export type EventName = 'address-added' | 'address-removed' | 'interface-attached' | 'interface-detached';

export interface NetworkEvent {
  readonly name: EventName;
  readonly mac: MacAddress;
  readonly ifname: IfName;
  /** null for events of an interface. */
  readonly address: InterfaceAddress | null;
}
