/** Links with their addresses, and whether udev is done with them. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { dumpAddresses } from '../kernel/addresses.ts';
import { dumpLinks, type KernelLink } from '../kernel/links.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import type { Link, LinkAddress } from '../model/host.ts';
import { type Memo, NO_MEMO } from '../model/memo.ts';
import type { Paths } from '../system/paths.ts';

export async function observeLinks(
  rtnetlink: Rtnetlink,
  paths: Paths,
  memo: Memo = NO_MEMO,
): Promise<readonly Link[]> {
  const [links, addresses] = await Promise.all([dumpLinks(rtnetlink), dumpAddresses(rtnetlink)]);
  const hasUdev = existsSync(paths.udevControl);
  // Before kernel 6.2 a link that is up cannot be renamed: it is udev's until udev is done with it.
  const isReady = ({ up, index }: KernelLink): boolean =>
    up || !hasUdev || isUdevDone(path.join(paths.udevData, `n${index}`));
  const ready = new Set(links.filter(isReady).map(({ index }) => index));
  return memo.of('links', [links, addresses, [...ready].join(' ')], () => {
    const byLink = new Map<number, LinkAddress[]>();
    for (const { linkIndex, ...address } of addresses) {
      const known = byLink.get(linkIndex);
      if (known === undefined) byLink.set(linkIndex, [address]);
      else known.push(address);
    }
    return links.map((link) => ({
      ...link,
      addresses: byLink.get(link.index) ?? [],
      ready: ready.has(link.index),
    }));
  });
}

/**
 * udev writes a link down when it has tried its rules. One that is to be renamed it marks, a newer udev before it asks the kernel,
 * and drops the mark when the kernel has announced the new name (rename_netif of udev-event.c).
 */
function isUdevDone(record: string): boolean {
  try {
    return !/^E:ID_RENAMING=1$/m.test(readFileSync(record, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
