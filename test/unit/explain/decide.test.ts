import { describe, expect, test } from 'vitest';
import { type Decision, decide } from '../../../src/explain/decide.ts';
import { describeRoute, nameRule } from '../../../src/explain/describe.ts';
import type { LookupAnswer } from '../../../src/model/lookup.ts';
import {
  DOCKER0,
  ETH0,
  ETH1,
  flowOf,
  LINKS,
  type RuleText,
  refusal,
  routesOf,
  rulesOf,
  told,
  way,
} from './tables.ts';

const OURS = 'from 10.0.1.4 lookup 21001 priority 21001';
const ROUTES = routesOf(
  LINKS,
  'default via 10.0.0.1 dev eth0',
  '10.0.1.0/24 dev eth1 table 21001',
  'default via 10.0.1.1 dev eth1 table 21001',
  'unreachable default metric 4294967295 table 21001',
  'throw 172.17.0.0/16 table 21001',
  'default via 10.0.1.1 dev eth1 table 99',
  'default via 10.0.0.1 dev eth0 table 98',
  'other default via 10.0.0.1 dev eth0 table 97',
);
const BY_ETH1 = way(ETH1, '10.0.1.1');
const BY_ETH0 = way(ETH0, '10.0.0.1');

function nameOf(index: number): string {
  return LINKS.find((link) => link.index === index)?.ifname ?? String(index);
}

/** `rule …; route …` */
function said({ kind, rule, route, passed }: Decision): string {
  const decided = rule === null ? kind : nameRule(rule);
  const by = route === null ? '' : `: ${describeRoute(route, nameOf)}`;
  return [...passed.map(({ rule, reason }) => `${rule.priority} ${reason}`), `${decided}${by}`].join(', ');
}

function decided(rules: ReturnType<typeof rulesOf>, flow: string, answer: LookupAnswer): string {
  return said(decide({ rules, routes: ROUTES }, flowOf(flow), answer));
}

describe('the rule that decided', () => {
  test.each<[string, readonly RuleText[], string, LookupAnswer, string]>([
    [
      'is the first that takes the source',
      [OURS],
      '8.8.8.8 from 10.0.1.4',
      { ...BY_ETH1, ...told(21_001, '0.0.0.0/0') },
      'rule 21001 (from 10.0.1.4 lookup 21001): default via 10.0.1.1 dev eth1 in table 21001',
    ],
    [
      'is told from gateway and device, where the kernel does not tell the table',
      [OURS],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH1,
      'rule 21001 (from 10.0.1.4 lookup 21001): default via 10.0.1.1 dev eth1 in table 21001',
    ],
    [
      'is main for another source, and for none',
      [OURS],
      '8.8.8.8',
      BY_ETH0,
      'rule 32766 (from all lookup main): default via 10.0.0.1 dev eth0 in table main',
    ],
    [
      'is main where the table hands the packet on',
      [OURS],
      '172.17.0.2 from 10.0.1.4',
      way(DOCKER0, null),
      '21001 throw, rule 32766 (from all lookup main): 172.17.0.0/16 dev docker0 in table main',
    ],
    [
      'is main where the table is empty',
      ['from 10.0.1.4 lookup 21009 priority 21009'],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH0,
      '21009 empty, rule 32766 (from all lookup main): default via 10.0.0.1 dev eth0 in table main',
    ],
    [
      'is that of the table local',
      [OURS],
      '10.0.1.5 from 10.0.1.4',
      way(ETH1, null, { type: 'local' }),
      'rule 0 (from all lookup local)',
    ],
    [
      'cannot be told, when the kernel refuses what the table has a route for',
      [OURS],
      '8.8.8.8 from 10.0.1.4',
      refusal('unreachable'),
      'unknown',
    ],
    [
      'is one that refuses by itself',
      [['from 10.0.1.4 priority 7', { action: 'prohibit' }], OURS],
      '8.8.8.8 from 10.0.1.4',
      refusal('prohibited'),
      'rule 7 (from 10.0.1.4 prohibit)',
    ],
    [
      'is none that wants a mark, a port, a device or a user',
      [
        ['from all lookup 99 priority 1', { mark: { value: 7, mask: 0xff } }],
        ['from all lookup 99 priority 2', { special: ['ipproto tcp'] }],
        'from all oif eth1 lookup 99 priority 3',
        ['from all lookup 99 priority 4', { inputInterface: 'eth1' }],
        ['from all lookup 99 priority 5', { uids: { first: 1000, last: 2000 } }],
      ],
      '8.8.8.8',
      BY_ETH0,
      'rule 32766 (from all lookup main): default via 10.0.0.1 dev eth0 in table main',
    ],
    [
      'is one that takes everything without its mark',
      [['from all lookup 99 priority 1', { mark: { value: 7, mask: 0xff }, inverted: true }]],
      '8.8.8.8',
      BY_ETH1,
      'rule 1 (not from all fwmark 0x7/0xff lookup 99): default via 10.0.1.1 dev eth1 in table 99',
    ],
    [
      'is none that passes over so short a prefix',
      [['from all lookup 254 priority 1', { suppressPrefixLength: 0 }], 'from all lookup 99 priority 2'],
      '8.8.8.8',
      BY_ETH1,
      '1 suppressed, rule 2 (from all lookup 99): default via 10.0.1.1 dev eth1 in table 99',
    ],
    [
      'comes after a goto',
      [
        ['from all priority 1', { action: 'goto', target: 32_766, table: 0 }],
        'from all lookup 99 priority 2',
      ],
      '8.8.8.8',
      BY_ETH0,
      'rule 32766 (from all lookup main): default via 10.0.0.1 dev eth0 in table main',
    ],
    [
      'is not one that selects by what is not known here, when the answer is not of its table',
      [['from all lookup 98 priority 1', { opaque: true }], OURS],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH1,
      'rule 21001 (from 10.0.1.4 lookup 21001): default via 10.0.1.1 dev eth1 in table 21001',
    ],
    [
      'is such a one, when the answer can be of its table alone',
      [['from all lookup 98 priority 1', { opaque: true }], OURS],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH0,
      'rule 1 (from all … lookup 98): default via 10.0.0.1 dev eth0 in table 98',
    ],
    [
      'cannot be told, when it can be of both',
      [['from all lookup 99 priority 1', { opaque: true }], OURS],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH1,
      'unknown',
    ],
    [
      'can be told again, when the kernel tells the table',
      [['from all lookup 99 priority 1', { opaque: true }], OURS],
      '8.8.8.8 from 10.0.1.4',
      { ...BY_ETH1, ...told(99, '0.0.0.0/0') },
      'rule 1 (from all … lookup 99): default via 10.0.1.1 dev eth1 in table 99',
    ],
    [
      'cannot be told, when a route for a tos of its own is like the answer, and so is the rule behind',
      ['from all lookup 97 priority 1', 'from all lookup 98 priority 2'],
      '8.8.8.8',
      BY_ETH0,
      'unknown',
    ],
    [
      'is that of the route for a tos of its own, when no other is like the answer',
      ['from all lookup 97 priority 1', 'from all lookup 99 priority 2'],
      '8.8.8.8',
      BY_ETH0,
      'rule 1 (from all lookup 97): default via 10.0.0.1 dev eth0 in table 97',
    ],
    [
      'is not that of such a route, when the kernel tells another table',
      ['from all lookup 97 priority 1', 'from all lookup 98 priority 2'],
      '8.8.8.8',
      { ...BY_ETH0, ...told(98, '0.0.0.0/0') },
      '1 no-route, rule 2 (from all lookup 98): default via 10.0.0.1 dev eth0 in table 98',
    ],
    [
      'cannot be told, when the rules say something else than the kernel',
      [OURS],
      '8.8.8.8 from 10.0.1.4',
      BY_ETH0,
      'unknown',
    ],
    [
      'is none for a group, which leaves by the device of the source',
      [OURS],
      '224.0.0.5 from 10.0.1.4',
      way(ETH1, null, { type: 'multicast' }),
      'unasked',
    ],
  ])('%s', (_what, rules, flow, answer, expected) => {
    expect(decided(rulesOf(...rules), flow, answer)).toBe(expected);
  });

  test('is that of the table with nothing left but its unreachable default', () => {
    const routes = routesOf(LINKS, 'unreachable default metric 4294967295 table 21001');
    const decision = decide(
      { rules: rulesOf(OURS), routes },
      flowOf('8.8.8.8 from 10.0.1.4'),
      refusal('unreachable'),
    );
    expect(said(decision)).toBe(
      'rule 21001 (from 10.0.1.4 lookup 21001): unreachable default in table 21001',
    );
  });

  test('is none where no table has a route', () => {
    const decision = decide({ rules: rulesOf(OURS), routes: [] }, flowOf('8.8.8.8'), refusal('no-route'));
    expect(said(decision)).toBe('32766 empty, 32767 empty, none');
  });

  test('comes with those before it that take other packets', () => {
    const rules = rulesOf(
      ['from all lookup 99 priority 1', { mark: { value: 7, mask: 0xff } }],
      ['from 10.9.9.9 lookup 99 priority 2', { mark: { value: 7, mask: 0xff } }],
      OURS,
      ['from all lookup 99 priority 22000', { special: ['ipproto tcp'] }],
    );
    const { others } = decide({ rules, routes: ROUTES }, flowOf('8.8.8.8 from 10.0.1.4'), BY_ETH1);
    expect(others.map(nameRule)).toEqual(['rule 1 (from all fwmark 0x7/0xff lookup 99)']);
  });
});
