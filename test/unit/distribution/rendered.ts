/** Every file that a unit test has rendered means to the distribution's programs what was asked for. */
import assert from 'node:assert/strict';
import type { DesiredFile, DesiredInterface, DesiredRoute, DesiredRule } from '../../../src/model/desired.ts';
import {
  defaultCidr,
  familyOf,
  formatInterfaceAddress,
  type IfName,
  type InterfaceAddress,
} from '../../../src/model/net.ts';
import { faultsOf, readOurFiles, type Wanted } from '../../distribution/compare.ts';
import { formatRoute, formatRule } from '../../distribution/meaning.ts';

type Asked = Pick<DesiredInterface, 'ifname' | 'mac' | 'routes' | 'rules'> & {
  readonly addresses: readonly InterfaceAddress[];
};

/** For what is put into a renderer: all of it is in the files. */
export function assertMeans(files: readonly DesiredFile[], asked: Asked): void {
  const routes = asked.routes.map((route) => routeText(route, asked.ifname));
  assertRead(files, asked, { ...wantedOf(asked, asked.rules), routes: { needed: routes, allowed: routes } });
}

const LINK_LOCAL = 'fe80::/64';

/** For what a run wants of an interface: some of its routes and rules are the kernel's alone (decision 4). */
export function assertFilesMean({ files, routes, mainRoutes, rules, ...nic }: DesiredInterface): void {
  if (files === null || files.present.length === 0) return;
  const listed = new Set<string>(nic.addresses.map(({ address }) => address));
  const durable = rules.filter(
    ({ mark, source }) =>
      mark === null && (source === null || listed.has(source.slice(0, source.lastIndexOf('/')))),
  );
  const ofDevice = routes.filter(({ type }) => type === 'unicast');
  const needed = ofDevice.filter(
    ({ gateway, destination }) =>
      destination !== LINK_LOCAL && (gateway === null || destination === defaultCidr(familyOf(destination))),
  );
  const text = (route: DesiredRoute): string => routeText(route, nic.ifname);
  assertRead(files.present, nic, {
    ...wantedOf(nic, durable),
    routes: {
      needed: [...needed, ...mainRoutes].map(text),
      allowed: [...ofDevice, ...mainRoutes].map(text),
    },
  });
}

function assertRead(
  files: readonly DesiredFile[],
  { ifname, mac }: Pick<Asked, 'ifname' | 'mac'>,
  wanted: Wanted,
): void {
  const readings = readOurFiles(files, [{ name: ifname, mac }]);
  assert.notEqual(readings.length, 0, 'nobody reads the files');
  assert.deepEqual(
    readings.flatMap((reading) => faultsOf(reading, wanted)),
    [],
  );
}

function wantedOf({ addresses }: Asked | Pick<DesiredInterface, 'addresses'>, rules: readonly DesiredRule[]) {
  const ofFamily = (family: 4 | 6) => addresses.filter(({ address }) => familyOf(address) === family);
  return {
    addresses: [...ofFamily(4), ...ofFamily(6)].map(formatInterfaceAddress),
    rules: rules.map(({ family, source, outputInterface, table, priority }) =>
      formatRule({ family, source, oif: outputInterface, table, priority }),
    ),
  };
}

function routeText({ destination, gateway, table }: DesiredRoute, ifname: IfName): string {
  return formatRoute({ destination, gateway, ifname, table });
}
