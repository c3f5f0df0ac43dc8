/** Reads nftables without a process: whether there is anything, and our own table, whose rules say what they are in their comments. */
import { AgentError } from '../errors.ts';
import { decodeAttributes, encodeBody, encodeText, readU8 } from './codec.ts';
import { openNetfilter } from './socket.ts';

/** linux/netfilter/nfnetlink.h and nf_tables.h; a message type is subsystem << 8 | message. */
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_GETRULE = 7;
const GET_TABLES = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
const GET_RULES = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETRULE;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_USERDATA = 7;
/** linux/netfilter.h */
const NFPROTO_INET = 1;
/** struct nfgenmsg: u8 family, u8 version, u16 resource. */
const NFGENMSG_BYTES = 4;
/** libnftnl/udata.h: a comment in the data that programs keep with a rule, each entry u8 type, u8 length. */
const UDATA_COMMENT = 0;
const UDATA_HEADER_BYTES = 2;

/** Anybody's, of any family. Throws AgentError `answer-lost`, also where nftables cannot be asked; `kernel-unavailable`. */
export async function hasTables(): Promise<boolean> {
  const netfilter = openNetfilter();
  try {
    const tables = await netfilter.dump(GET_TABLES, encodeBody(new Uint8Array(NFGENMSG_BYTES), []));
    return tables.length > 0;
  } finally {
    netfilter.close();
  }
}

/** In the kernel's order; none where nftables cannot be asked (no such subsystem, no permission). */
export async function readRuleComments(table: string): Promise<readonly string[]> {
  try {
    const netfilter = openNetfilter();
    try {
      const fixed = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
      const rules = await netfilter.dump(
        GET_RULES,
        encodeBody(fixed, [[NFTA_RULE_TABLE, encodeText(table)]]),
      );
      return rules.flatMap((body) => decodeRuleComment(body, table));
    } finally {
      netfilter.close();
    }
  } catch (error) {
    if (error instanceof AgentError) return [];
    throw error;
  }
}

/** Old kernels do not look at the name and list the rules of all tables. */
export function decodeRuleComment(body: Uint8Array, table: string): readonly string[] {
  const attributes = decodeAttributes(body, NFGENMSG_BYTES);
  if (attributes.text(NFTA_RULE_TABLE) !== table) return [];
  const userdata = attributes.get(NFTA_RULE_USERDATA) ?? new Uint8Array();
  for (let offset = 0; offset + UDATA_HEADER_BYTES <= userdata.length; ) {
    const start = offset + UDATA_HEADER_BYTES;
    const end = start + readU8(userdata, offset + 1);
    if (readU8(userdata, offset) === UDATA_COMMENT) {
      return [Buffer.from(userdata.subarray(start, end)).toString('utf8').replace(/\0.*$/s, '')];
    }
    offset = end;
  }
  return [];
}
