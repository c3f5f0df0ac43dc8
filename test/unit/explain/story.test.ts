import { expect, test } from 'vitest';
import { decide } from '../../../src/explain/decide.ts';
import type { Findings } from '../../../src/explain/findings.ts';
import { tellStory } from '../../../src/explain/story.ts';
import type { LookupAnswer } from '../../../src/model/lookup.ts';
import { ETH0, flowOf, LINKS, refusal, routesOf, rulesOf, way } from './tables.ts';

/** Of a machine whose metadata is not known. */
function storyOf(text: string, answer: LookupAnswer, rest: Partial<Findings> = {}): readonly string[] {
  const flow = flowOf(text);
  const world = {
    links: LINKS,
    rules: rulesOf(['from all priority 7', { action: 'goto', target: 32_766 }]),
    routes: routesOf(LINKS, 'default via 10.0.0.1 dev eth0'),
    allSysctls: { rp_filter: 0, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 },
    nics: [],
    tableBase: 21_000,
    slots: 256,
    isPrimaryRouted: true,
  };
  const forward = { flow, answer, decision: decide(world, flow, answer) };
  const { source } = flow;
  const findings = {
    forward,
    source,
    isSourceHere: true,
    reply: null,
    isArrivalRefused: false,
    world,
    ...rest,
  };
  return tellStory(findings).map(({ label, text }) => `${label}: ${text}`);
}

test('an address of the machine, as a kernel tells it that does not tell the route', () => {
  expect(storyOf('10.0.1.4', way(ETH0, null, { type: 'local' }))).toEqual([
    'rule: 0: from all lookup local',
    'route: local in table local',
    'leaves: nowhere: it is an address of this machine, on eth1',
  ]);
});

test('a packet of which only the kernel knows why it goes there', () => {
  expect(storyOf('8.8.8.8', way(ETH0, '10.0.0.9'))).toEqual([
    'rule: cannot be told',
    'route: cannot be told',
    'leaves: by eth0 to gateway 10.0.0.9',
    'NIC: eth0: no answer of the metadata is known yet',
  ]);
});

test('a packet to a group', () => {
  expect(storyOf('224.0.0.5 from 10.0.0.4', way(ETH0, null, { type: 'multicast' }))).toEqual([
    'rule: none is asked for a packet to a group',
    'route: none',
    'leaves: by eth0 as multicast, source 10.0.0.4',
  ]);
});

test('a source that is not there: the kernel has not looked at any rule', () => {
  expect(storyOf('8.8.8.8 from 10.9.9.9', refusal('invalid'), { isSourceHere: false })).toEqual([
    'leaves: nowhere: invalid',
  ]);
});
