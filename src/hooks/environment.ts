/** What a hook finds in its environment, and the words that stand for it in `systemctl` and in the log. */
import path from 'node:path';
import type { NetworkEvent } from '../model/events.ts';
import { formatInterfaceAddress } from '../model/net.ts';
import { printableLine } from '../model/printable.ts';

/** CONTRACT of the names: docs/hooks.md. All values come out of our own parsers. */
export function environmentOf({
  name,
  ifname,
  mac,
  address,
}: NetworkEvent): Readonly<Record<string, string>> {
  return {
    ENI_EVENT: name,
    ENI_INTERFACE: ifname,
    ENI_MAC: mac,
    ...(address === null
      ? {}
      : { ENI_ADDRESS: address.address, ENI_PREFIX_LENGTH: String(address.prefixLength) }),
  };
}

/** `10-dns: address-added 10.0.1.5/24 on eth1` */
export function describeHook(executable: string, { name, ifname, address }: NetworkEvent): string {
  const what = address === null ? name : `${name} ${formatInterfaceAddress(address)}`;
  return printableLine(`${path.basename(executable)}: ${what} on ${ifname}`);
}
