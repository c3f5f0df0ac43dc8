/** The rendered files, byte for byte, against file sets that the real ifup of CentOS 7 and 8 was run on. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { renderNetworkScripts } from '../../src/desired/render.ts';
import { loadTemplates } from '../../src/system/templates.ts';
import { directRoute, gatewayRoute, nicInput, rulesFor } from '../unit/desired/nic-input.ts';

const FIXTURES = fileURLToPath(new URL('fixtures/network-scripts/', import.meta.url));
const TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url));

const IPV4_ROUTES = [directRoute('10.0.1.0/24', 21001), gatewayRoute('0.0.0.0/0', '10.0.1.1', 21001)];
const IPV6_ROUTES = [
  directRoute('2001:db8:1::/64', 21001),
  gatewayRoute('::/0', 'fe80::feee:ffff:feff:ffff', 21001),
];
const POLICY = ['10.0.1.4/24', '10.0.1.5/24', '10.0.1.6/24'];
const IPV6 = ['10.0.1.4/24', '2001:db8:1::4/64', '2001:db8:1::5/64', '2001:db8:1::6/64'];

describe('the files for network-scripts', () => {
  test.each([
    { set: 'policy', addresses: POLICY, routes: IPV4_ROUTES },
    { set: 'ipv6', addresses: IPV6, routes: [...IPV4_ROUTES, ...IPV6_ROUTES] },
  ])('of set $set are those that were seen to work', async ({ set, addresses, routes }) => {
    const nic = nicInput({ addresses, routes, rules: rulesFor('eth1', 21001, addresses) });
    const rendered = renderNetworkScripts(nic, await loadTemplates(TEMPLATES));
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
