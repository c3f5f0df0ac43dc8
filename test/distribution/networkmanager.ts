/** What the two forms of a NetworkManager profile have in common: the words of a rule. */
import type { Family } from '../../src/model/net.ts';
import { parseCount, type Result, type RuleWords } from './meaning.ts';
import { type Grammar, pairWords, ruleOf } from './words.ts';

/** nm_ip_routing_rule_from_string, 1.18 and later; no rule without a priority. */
const RULE: Grammar = {
  keys: {
    from: 'from',
    to: 'to',
    oif: 'oif',
    iif: 'iif',
    fwmark: 'fwmark',
    tos: 'tos',
    dsfield: 'tos',
    table: 'table',
    lookup: 'table',
    priority: 'priority',
    preference: 'priority',
    pref: 'priority',
    order: 'priority',
    ipproto: 'ipproto',
    sport: 'sport',
    dport: 'dport',
    uidrange: 'uidrange',
    suppress_prefixlength: 'suppress_prefixlength',
  },
  flags: ['not'],
};

export function readRule(text: string, family: Family): Result<RuleWords> {
  const pairs = pairWords(splitWords(text), RULE);
  return 'complaint' in pairs ? pairs : ruleOf(pairs.value, family, parseTable);
}

/** It knows no names of tables. */
export function parseTable(text: string): number | undefined {
  return parseCount(text);
}

export function splitWords(text: string): readonly string[] {
  return text.split(/[ \t\n]+/).filter((word) => word !== '');
}
