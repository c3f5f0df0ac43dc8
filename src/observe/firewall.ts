/** Published ports: the rules that send a connection on to another address, as nft and iptables list them. */
import { readFile } from 'node:fs/promises';
import { AgentError, errorMessage } from '../errors.ts';
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

async function listNftables(): Promise<string> {
  try {
    return await list('nft', ['list', 'ruleset']);
  } catch (error) {
    // Without the program the kernel may still have rules, but not where it has no nftables at all.
    if (error instanceof AgentError && !(await hasNftables())) return '';
    throw error;
  }
}

async function hasNftables(): Promise<boolean> {
  const modules = await readFile('/proc/modules', 'utf8').catch(() => 'nf_tables ');
  return /^nf_tables /m.test(modules);
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
