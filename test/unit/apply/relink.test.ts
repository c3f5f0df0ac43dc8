/** Steps from another time find their links by MAC. */
import { expect, test } from 'vitest';
import { isKernelStep } from '../../../src/apply/executors.ts';
import { linksByIndex, relink } from '../../../src/apply/relink.ts';
import type { Link } from '../../../src/model/host.ts';
import type { KernelStep } from '../../../src/model/plan.ts';
import { configOf, eni, hostOf, instance, link, macOf, otherLink } from '../builders.ts';
import { lookAt } from '../simulator.ts';

/** ENI 1 and 2 with these indexes, where nothing is set up yet. */
function linksAt(one: number, two: number): readonly Link[] {
  return [
    link(1, 'eth0', { index: one, addresses: '10.0.0.4/24' }),
    link(2, 'eth1', { index: two, up: false }),
  ].toSorted((a, b) => a.index - b.index);
}

function stepsAt(links: readonly Link[]): readonly KernelStep[] {
  const metadata = instance([
    eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1'),
    eni(2, '10.0.1.4/24 2001:db8:1::4/64', '10.0.1.1', 'fe80::1'),
  ]);
  const { steps } = lookAt({ metadata, host: hostOf({ links }), config: configOf() }).plan;
  return steps.filter(isKernelStep);
}

const THEN = linksAt(2, 3);
const STEPS = stepsAt(THEN);

test('they are those that would be planned with the indexes of today', () => {
  const kinds = new Set(STEPS.map(({ kind }) => kind));
  expect([...kinds].toSorted()).toEqual(['add-address', 'add-route', 'add-rule', 'set-link-up']);
  const today = linksAt(3, 2);
  expect(relink(STEPS, linksByIndex(THEN), today)).toEqual(stepsAt(today));
});

test('a VLAN, which has the MAC of its NIC, is not taken for it', () => {
  const vlan = { mac: macOf(2), kind: 'vlan', lowerIndex: 8 };
  const today = [...linksAt(7, 8), otherLink(9, 'eth1.100', vlan)];
  expect(relink(STEPS, linksByIndex(THEN), today)).toEqual(stepsAt(linksAt(7, 8)));
  const inFront = [otherLink(2, 'eth1.100', vlan), ...linksAt(7, 3)];
  expect(relink(STEPS, linksByIndex(THEN), inFront)).toEqual(stepsAt(linksAt(7, 3)));
});

test('what was on a link that is gone went with it; rules and routes without a link stay', () => {
  const left = relink(STEPS, linksByIndex(THEN), THEN.slice(0, 1));
  const ofGone = left.filter(({ mac }) => mac === macOf(2));
  expect(new Set(ofGone.map(({ kind }) => kind))).toEqual(new Set(['add-rule', 'add-route']));
  expect(ofGone.every((step) => step.kind !== 'add-route' || step.arguments.nexthops.length === 0)).toBe(
    true,
  );
  expect(left.filter(({ mac }) => mac === macOf(1))).toEqual(STEPS.filter(({ mac }) => mac === macOf(1)));
});
