/**
 * The rendered files, byte for byte, against file sets that were given to the real thing: ifup of CentOS 7 and 8, and NetworkManager
 * 1.40 and 1.54 with its plugin for ifcfg files.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { renderFiles } from '../../src/desired/render.ts';
import { loadTemplates } from '../../src/system/templates.ts';
import { directRoute, gatewayRoute, nicInput, rulesFor } from '../unit/desired/nic-input.ts';

const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url));
const TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url));

const IPV4_ROUTES = [directRoute('10.0.1.0/24', 21001), gatewayRoute('0.0.0.0/0', '10.0.1.1', 21001)];
const IPV6_ROUTES = [
  directRoute('2001:db8:1::/64', 21001),
  gatewayRoute('::/0', 'fe80::feee:ffff:feff:ffff', 21001),
];
const POLICY = ['10.0.1.4/24', '10.0.1.5/24', '10.0.1.6/24'];
const IPV6 = ['10.0.1.4/24', '2001:db8:1::4/64', '2001:db8:1::5/64', '2001:db8:1::6/64'];

describe('the files of a NIC', () => {
  test.each([
    { backend: 'network-scripts', set: 'network-scripts/policy', addresses: POLICY, routes: IPV4_ROUTES },
    {
      backend: 'network-scripts',
      set: 'network-scripts/ipv6',
      addresses: IPV6,
      routes: [...IPV4_ROUTES, ...IPV6_ROUTES],
    },
    {
      backend: 'networkmanager-ifcfg',
      set: 'ifcfg-under-networkmanager/policy',
      addresses: POLICY,
      routes: IPV4_ROUTES,
    },
  ] as const)('of set $set are those that were seen to work', async ({ backend, set, addresses, routes }) => {
    const nic = nicInput({ addresses, routes, rules: rulesFor('eth1', 21001, addresses) });
    const rendered = renderFiles(nic, backend, await loadTemplates(TEMPLATES));
    expect(rendered).not.toHaveProperty('problem');
    const files = 'files' in rendered ? rendered.files : [];
    const texts = Object.fromEntries(files.map(({ path, content }) => [path.split('/').at(-1), content]));
    expect(texts).toEqual(fixtureFiles(set));
  });
});

function fixtureFiles(set: string): Readonly<Record<string, string>> {
  const names = readdirSync(FIXTURES + set).filter((name) => name.endsWith('-eth1'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(`${FIXTURES}${set}/${name}`, 'utf8')]));
}
