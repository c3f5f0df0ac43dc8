/** Links with their addresses, and whether udev is done with them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { dumpAddresses } from '../kernel/addresses.ts';
import { dumpLinks } from '../kernel/links.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { Link, LinkAddress } from '../model/host.ts';
import type { Paths } from '../system/paths.ts';

export async function observeLinks(rtnetlink: Rtnetlink, paths: Paths): Promise<readonly Link[]> {
  const [links, addresses] = await Promise.all([dumpLinks(rtnetlink), dumpAddresses(rtnetlink)]);
  const byLink = new Map<number, LinkAddress[]>();
  for (const { linkIndex, ...address } of addresses) {
    const known = byLink.get(linkIndex);
    if (known === undefined) byLink.set(linkIndex, [address]);
    else known.push(address);
  }
  const hasUdev = existsSync(paths.udevControl);
  return links.map((link) => ({
    ...link,
    addresses: byLink.get(link.index) ?? [],
    // Before kernel 6.2 a link that is up cannot be renamed: it is udev's until udev has written it down.
    ready: link.up || !hasUdev || existsSync(path.join(paths.udevData, `n${link.index}`)),
  }));
}
