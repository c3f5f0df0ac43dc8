/** Published ports: the rules that send a connection on to another address, as nft and iptables list them. */
import { readFile } from 'node:fs/promises';
import { AgentError, errorMessage } from '../errors.ts';
import { hasTables } from '../kernel/nftables.ts';
import type { Known } from '../model/surroundings.ts';
import { isMissing } from '../system/atomic-file.ts';
import { run } from '../system/run.ts';

const LIST_TIMEOUT_MS = 5_000;
/** `dnat to 172.17.0.2:80` of nft, `-j DNAT --to-destination` of iptables. */
const TRANSLATION = /\bdnat\b/i;
const COMMENT = /^\s*#/;
/** Tables of the older iptables that the kernel has; readable for root alone. Asked first: listing the table nat would make it. */
const OLD_TABLES = [
  { names: '/proc/net/ip_tables_names', programs: ['iptables-legacy-save', 'iptables-save'] },
  { names: '/proc/net/ip6_tables_names', programs: ['ip6tables-legacy-save', 'ip6tables-save'] },
] as const;

export async function observeTranslations(): Promise<Known<readonly string[]>> {
  try {
    const lists = await Promise.all([listNftables(), ...OLD_TABLES.map(listOldTables)]);
    const lines = lists.flatMap((text) => text.split('\n'));
    return {
      value: lines.filter((line) => TRANSLATION.test(line) && !COMMENT.test(line)).map((line) => line.trim()),
    };
  } catch (error) {
    return { unknown: errorMessage(error) };
  }
}

/** Without any table there is nothing to list, and no program is needed for it. */
async function listNftables(): Promise<string> {
  return (await hasTables()) ? list('nft', ['list', 'ruleset']) : '';
}

async function listOldTables({
  names,
  programs: [legacy, usual],
}: (typeof OLD_TABLES)[number]): Promise<string> {
  const tables = await readFile(names, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return '';
    throw error;
  });
  if (!tables.split('\n').includes('nat')) return '';
  return list(legacy, ['-t', 'nat']).catch(() => list(usual, ['-t', 'nat']));
}

async function list(program: string, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(program, args, { timeoutMs: LIST_TIMEOUT_MS });
  if (exitCode === 0) return stdout;
  throw new AgentError('command-failed', `running ${[program, ...args].join(' ')}: ${stderr.trim()}`);
}
