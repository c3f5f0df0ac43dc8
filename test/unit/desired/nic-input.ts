/** What the tests of rendering say about a NIC, in plain text. */
import type { RenderInput } from '../../../src/desired/render.ts';
import type { DesiredRoute, DesiredRule } from '../../../src/model/desired.ts';
import {
  type Cidr,
  FAMILIES,
  familyOf,
  hostCidr,
  type IfName,
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
  parseInterfaceAddress,
} from '../../../src/model/net.ts';

export interface NicText {
  readonly ifname?: string;
  readonly mac?: string;
  readonly mtu?: number | null;
  readonly addresses?: readonly string[];
  readonly routes?: readonly DesiredRoute[];
  readonly rules?: readonly DesiredRule[];
}

export function nicInput(text: NicText = {}): RenderInput {
  return {
    ifname: (text.ifname ?? 'eth1') as IfName,
    mac: (text.mac ?? '02:00:00:00:00:02') as MacAddress,
    mtu: text.mtu ?? null,
    addresses: (text.addresses ?? ['10.0.1.4/24']).map(interfaceAddress),
    routes: text.routes ?? [],
    rules: text.rules ?? [],
  };
}

export function directRoute(destination: string, table: number): DesiredRoute {
  return route(destination as Cidr, null, table);
}

export function gatewayRoute(destination: string, gateway: string, table: number): DesiredRoute {
  return route(destination as Cidr, gateway as IpAddress, table);
}

/** One rule for each address, one `oif` rule for each family that has an address. */
export function rulesFor(
  ifname: string,
  table: number,
  addresses: readonly string[],
): readonly DesiredRule[] {
  const sources = addresses.map((text) => interfaceAddress(text).address);
  return FAMILIES.flatMap((family) => {
    const rule = {
      family,
      priority: table,
      table,
      source: null,
      outputInterface: null,
      mark: null,
      reason: '',
    };
    const own = sources.filter((address) => familyOf(address) === family);
    const byInterface = { ...rule, outputInterface: ifname as IfName };
    return own.length === 0
      ? []
      : [...own.map((address) => ({ ...rule, source: hostCidr(address) })), byInterface];
  });
}

function route(destination: Cidr, gateway: IpAddress | null, table: number): DesiredRoute {
  const family = familyOf(destination);
  return { family, table, type: 'unicast', destination, gateway, linkIndex: 3, metric: 0, reason: '' };
}

function interfaceAddress(text: string): InterfaceAddress {
  const address = parseInterfaceAddress(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return address;
}
