/** What a hook is given, as docs/hooks.md says. */
import { expect, test } from 'vitest';
import { describeHook, environmentOf } from '../../../src/hooks/environment.ts';
import type { NetworkEvent } from '../../../src/model/events.ts';
import type { IfName } from '../../../src/model/net.ts';
import { readPage } from '../../lab/markdown.ts';
import { addressesOf, macOf } from '../builders.ts';

const [ADDRESS = null] = addressesOf('2001:db8:1::4/64');
const ADDED: NetworkEvent = {
  name: 'address-added',
  mac: macOf(2),
  ifname: 'eth1' as IfName,
  address: ADDRESS,
};
const DETACHED: NetworkEvent = { ...ADDED, name: 'interface-detached', address: null };

test('an event of an address has all that the page lists, one of an interface what is not of an address', () => {
  expect(environmentOf(ADDED)).toEqual({
    ENI_EVENT: 'address-added',
    ENI_INTERFACE: 'eth1',
    ENI_MAC: macOf(2),
    ENI_ADDRESS: '2001:db8:1::4',
    ENI_PREFIX_LENGTH: '64',
  });
  expect(Object.keys(environmentOf(DETACHED))).toEqual(['ENI_EVENT', 'ENI_INTERFACE', 'ENI_MAC']);
  const cells = readPage('docs/hooks.md').tables.flatMap(({ rows }) =>
    rows.map(([cell]) => cell?.text ?? ''),
  );
  const documented = cells.flatMap((cell) => /^`(ENI_\w+)`$/.exec(cell)?.[1] ?? []);
  expect(documented).toEqual(Object.keys(environmentOf(ADDED)));
});

test('its description is one line, whatever the file is called', () => {
  expect(describeHook('/etc/eni-agent/hooks.d/address-added/10-dns', ADDED)).toBe(
    '10-dns: address-added 2001:db8:1::4/64 on eth1',
  );
  expect(describeHook('/etc/a\nb\u001b[1m', DETACHED)).not.toMatch(/\p{Cc}/u);
});
