/** The profile for NICs that no other one claims (docs/decisions/0019). */
import { MARKER } from '../model/files.ts';
import type { MacAddress } from '../model/net.ts';

/**
 * What NetworkManager makes up for such a NIC, without the default route. Any other profile goes before it, but those made up (-999).
 * `denied`: these keep what they have, whatever that is.
 */
export function unclaimedProfile(denied: readonly MacAddress[]): string {
  return `${MARKER} A NIC that no profile claims gets no second default route; gone with the next boot.
[connection]
id=eni-agent-unclaimed
uuid=656e692d-6167-8e74-8000-000000000000
type=ethernet
multi-connect=3
autoconnect-priority=-998

[ethernet]
mac-address-blacklist=${denied.map((mac) => `${mac};`).join('')}

[ipv4]
method=auto
never-default=true

[ipv6]
method=auto
never-default=true
`;
}
