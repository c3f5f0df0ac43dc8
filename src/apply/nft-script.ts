/** What `nft -f` reads to make our table, or to remove it: in both cases in one transaction. Plain words alone, for old versions. */
import { ALL_BITS, type ConnectionMark, markTag, NFT_TABLE } from '../model/mark.ts';

/** NF_IP_PRI_MANGLE: after the connection is known, before destinations are translated and routes are looked up. */
const PRIORITY = -150;

/** The first two lines make way for what follows, whether or not there is a table. */
export function renderNft(marks: readonly ConnectionMark[]): string {
  const lines = [`table inet ${NFT_TABLE} { }`, `delete table inet ${NFT_TABLE}`];
  if (marks.length > 0) lines.push(...tableLines(marks));
  return `${lines.join('\n')}\n`;
}

function tableLines(marks: readonly ConnectionMark[]): readonly string[] {
  return [
    `table inet ${NFT_TABLE} {`,
    '  chain prerouting {',
    `    type filter hook prerouting priority ${PRIORITY}; policy accept;`,
    ...marks.map((mark) => `    ${markingRule(mark)} comment "${markTag(mark)}"`),
    ...marks.map((mark) => `    ${restoringRule(mark)} comment "${markTag(mark)}"`),
    '  }',
    '}',
  ];
}

function markingRule(mark: ConnectionMark): string {
  return `${protocol(mark)} iifname "${mark.ifname}" ct state new ct mark set ct mark ${withBits(mark)}`;
}

/** Also packets from another cloud NIC, and connections that the first one announced (an active FTP). */
function restoringRule(mark: ConnectionMark): string {
  const isMarked = `ct mark and ${hex(mark.mask)} == ${hex(mark.value)}`;
  return `${protocol(mark)} iifname != "${mark.ifname}" ${isMarked} meta mark set meta mark ${withBits(mark)}`;
}

function protocol({ family }: ConnectionMark): string {
  return `meta nfproto ipv${family}`;
}

/** The bits outside of the mask stay as they are. */
function withBits({ value, mask }: ConnectionMark): string {
  return `and ${hex((ALL_BITS ^ mask) >>> 0)} or ${hex(value)}`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
