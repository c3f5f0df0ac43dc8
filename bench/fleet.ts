/** NICs and addresses by number, each NIC in a subnet of its own; 0 is the primary. */

const HOSTS = 250;

/** `10.1.0.4/16` */
export function addressOf(nic: number, index: number): string {
  return `10.${nic + 1}.${Math.floor(index / HOSTS)}.${4 + (index % HOSTS)}/16`;
}

export function gatewayOf(nic: number): string {
  return `10.${nic + 1}.0.1`;
}
