/** Random NICs with all that a file can say of one. */
import fc from 'fast-check';
import { networkOf, parseInterfaceAddress } from '../../../src/model/net.ts';
import { directRoute, gatewayRoute, type NicText, rulesFor } from '../desired/nic-input.ts';

const MAIN = 254;

interface Recipe {
  readonly ifname: string;
  readonly host: number;
  readonly slot: number;
  readonly subnet: number;
  readonly prefixLength: number;
  readonly ipv4: number;
  readonly ipv6: number;
  readonly mtu: number | null;
  readonly extra: boolean;
}

export function anyNic(): fc.Arbitrary<NicText> {
  return fc
    .record<Recipe>({
      ifname: fc.stringMatching(/^[a-z][A-Za-z0-9_.-]{0,14}$/),
      host: fc.integer({ min: 0, max: 255 }),
      slot: fc.integer({ min: 0, max: 255 }),
      subnet: fc.integer({ min: 1, max: 255 }),
      prefixLength: fc.integer({ min: 8, max: 24 }),
      ipv4: fc.integer({ min: 0, max: 100 }),
      ipv6: fc.integer({ min: 0, max: 5 }),
      mtu: fc.option(fc.integer({ min: 576, max: 9001 })),
      extra: fc.boolean(),
    })
    .filter(({ ipv4, ipv6, ifname }) => ipv4 + ipv6 > 0 && !/-range/.test(ifname) && ifname !== 'lo')
    .map(nicText);
}

/** The gateway is one of the subnet, whatever its length. */
function nicText({ ifname, host, slot, subnet, prefixLength, ipv4, ipv6, mtu, extra }: Recipe): NicText {
  const table = 21_000 + slot;
  const gateway = `10.${subnet}.0.254`;
  const hosts = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  const addresses = [
    ...hosts(ipv4).map((index) => `10.${subnet}.0.${index}/${prefixLength}`),
    ...hosts(ipv6).map((index) => `2001:db8:${subnet.toString(16)}::${index}/64`),
  ];
  return {
    ifname,
    mac: `02:00:00:00:00:${host.toString(16).padStart(2, '0')}`,
    mtu,
    addresses,
    routes: [
      ...(ipv4 === 0
        ? []
        : [
            directRoute(networkAround(gateway, prefixLength), table),
            gatewayRoute('0.0.0.0/0', gateway, table),
          ]),
      ...(extra && ipv4 > 0
        ? [table, MAIN].map((number) => gatewayRoute('172.16.0.0/12', gateway, number))
        : []),
      ...(ipv6 === 0
        ? []
        : [
            directRoute(`2001:db8:${subnet.toString(16)}::/64`, table),
            gatewayRoute('::/0', 'fe80::1', table),
          ]),
    ],
    rules: rulesFor(ifname, table, addresses),
  };
}

function networkAround(address: string, prefixLength: number): string {
  const parsed = parseInterfaceAddress(`${address}/${prefixLength}`);
  return parsed === undefined ? '' : networkOf(parsed);
}
