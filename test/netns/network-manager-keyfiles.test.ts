/** NetworkManager's own reader of keyfiles, which nmcli has, beside ours: what it makes of each profile that is rendered is what ours does. */
import { execa } from 'execa';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderFiles } from '../../src/desired/render.ts';
import { readKeyfiles } from '../distribution/keyfile.ts';
import type { Link } from '../distribution/meaning.ts';
import { sized } from '../lab/settled.ts';
import { nicInput } from '../unit/desired/nic-input.ts';
import { anyNic } from '../unit/distribution/any-nic.ts';
import { SHIPPED } from '../unit/scenarios.ts';

const PROFILES = sized(10, 500);
/** nm-settings-keyfile(5): without these, route 1 would be one of main, and route 3 keeps what comes before the unknown word. */
const ODD_OPTIONS = `[connection]
id=odd
uuid=a4f5e2d0-6b5e-5c6f-9a10-0d3c2b1a0f9e
type=ethernet
interface-name=eth1
[ipv4]
method=manual
address1=10.0.1.4/24
route1=10.0.2.0/24
route1_options=table=t1
route2=10.0.3.0/24
route2_options=proto=196,table=21001
route3=10.0.4.0/24
route3_options=table=21001,proto=196
[ipv6]
method=disabled
`;

async function asWrittenByNmcli(profile: string): Promise<string> {
  const args = ['--offline', 'connection', 'modify', 'connection.autoconnect-priority', '11'];
  const { stdout } = await execa('nmcli', args, { input: profile });
  return stdout;
}

function meaningOf(content: string, link: Link) {
  return readKeyfiles(new Map([['a.nmconnection', { content, mode: 0o100600, uid: 0 }]]), [link])[0];
}

test('every profile that is rendered means to nmcli what it means to the reader', async () => {
  const profile = fc.asyncProperty(anyNic(), async (text) => {
    const nic = nicInput(text);
    const rendered = renderFiles(nic, 'networkmanager-keyfile', SHIPPED);
    const content = 'files' in rendered ? (rendered.files[0]?.content ?? '') : '';
    const link = { name: nic.ifname, mac: nic.mac };
    expect(meaningOf(content, link)).toMatchObject({ ifname: nic.ifname, complaints: [] });
    expect(meaningOf(await asWrittenByNmcli(content), link)).toEqual(meaningOf(content, link));
  });
  await fc.assert(profile, { numRuns: PROFILES });
});

test('options of a route that nmcli does not know end the list for both', async () => {
  const link = { name: 'eth1', mac: '02:00:00:00:00:02' };
  const meaning = meaningOf(ODD_OPTIONS, link);
  expect(meaning?.complaints).toHaveLength(4);
  expect(meaning?.routes).toEqual(
    ['10.0.2.0/24', '10.0.3.0/24']
      .map((to) => `${to} dev eth1 table 254`)
      .concat('10.0.4.0/24 dev eth1 table 21001'),
  );
  expect(meaningOf(await asWrittenByNmcli(ODD_OPTIONS), link)?.routes).toEqual(meaning?.routes);
});
