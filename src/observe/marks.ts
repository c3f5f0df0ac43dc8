/** The connection marks that the firewall has of ours, read without a process. */
import { readRuleComments } from '../kernel/nftables.ts';
import { type ConnectionMark, marksOfNft, marksOfXtables, NFT_TABLE } from '../model/mark.ts';
import { readListNames } from '../system/xtables.ts';

export async function observeMarks(): Promise<readonly ConnectionMark[]> {
  const marks = marksOfNft(await readRuleComments(NFT_TABLE));
  return marks.length > 0 ? marks : marksOfXtables(readListNames());
}
