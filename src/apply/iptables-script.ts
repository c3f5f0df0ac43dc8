/**
 * What `iptables-restore --noflush` reads to make our chain of the mangle table, or to remove it: all at once, and nothing of
 * others is touched. Words of iptables 1.4.21 (CentOS 7) and later.
 */
import { type ConnectionMark, formatMark, jumpTag, markTag } from '../model/mark.ts';
import type { Family } from '../model/net.ts';

const CHAIN = 'ENI-AGENT';
/** No link has it: a rule for it is there to be seen, and costs next to nothing. */
const NO_LINK = 'eni-agent-none';

/** Marks of one family; `tags` are the names of the lists that there are (`readListNames`). */
export function renderIptables(
  family: Family,
  marks: readonly ConnectionMark[],
  tags: readonly string[],
): string {
  const isJumpThere = tags.includes(jumpTag(family));
  const jumps = [`PREROUTING ${sign(jumpTag(family))}`, `PREROUTING -j ${CHAIN}`];
  const lines =
    marks.length > 0
      ? [...marks.flatMap(markLines), ...(isJumpThere ? [] : jumps.map((jump) => `-I ${jump}`))]
      : [...(isJumpThere ? jumps.map((jump) => `-D ${jump}`) : []), `-X ${CHAIN}`];
  return ['*mangle', `:${CHAIN} - [0:0]`, ...lines, 'COMMIT', ''].join('\n');
}

/** The second rule also for packets from another cloud NIC, and for connections that the first one announced (an active FTP). */
function markLines(mark: ConnectionMark): readonly string[] {
  const bits = formatMark(mark);
  return [
    `-A ${CHAIN} ${sign(markTag(mark))}`,
    `-A ${CHAIN} -i ${mark.ifname} -m conntrack --ctstate NEW -j CONNMARK --set-xmark ${bits}`,
    `-A ${CHAIN} ! -i ${mark.ifname} -m connmark --mark ${bits} -j MARK --set-xmark ${bits}`,
  ];
}

function sign(tag: string): string {
  return `-i ${NO_LINK} -m recent --rcheck --name ${tag}`;
}
