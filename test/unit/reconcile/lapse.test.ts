/** What was rolled back since nobody confirmed it: what of it stays undone, and how that ends. */
import { describe, expect, test } from 'vitest';
import type { MacAddress } from '../../../src/model/net.ts';
import type { Trigger } from '../../../src/model/state.ts';
import { EMPTY_STATE, type Lapse } from '../../../src/model/state.ts';
import { stepKey } from '../../../src/plan/describe.ts';
import { lapsedAfter, lapsedSteps } from '../../../src/reconcile/lapse.ts';
import { AT, configOf, eni, hostOf, instance, link, macOf } from '../builders.ts';
import { lookAt } from '../simulator.ts';

const { steps: PLANNED } = lookAt({
  metadata: instance([
    eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1'),
    eni(2, '10.0.1.4/24 10.0.1.5/24', '10.0.1.1'),
  ]),
  host: hostOf({ links: [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', {})] }),
  config: configOf(),
}).plan;
const NICS = new Set([macOf(1), macOf(2)]);
const LAPSE: Lapse = { at: AT, configuration: 'one', steps: PLANNED.map(stepKey) };
const STATE = { ...EMPTY_STATE, lapsed: LAPSE };

function after(trigger: Trigger, change: { configuration?: string; macs?: ReadonlySet<MacAddress> } = {}) {
  const { configuration = 'one', macs = NICS } = change;
  const planned = PLANNED.filter(({ mac }) => macs.has(mac));
  return lapsedAfter(STATE, { configuration, trigger, macs, planned });
}

test('each step of a plan has a key of its own', () => {
  expect(new Set(LAPSE.steps).size).toBe(PLANNED.length);
});

describe('it is left undone', () => {
  test('as long as the configuration is the same, and nothing beside it', () => {
    const [first, ...others] = PLANNED;
    const lapsed = { ...LAPSE, steps: others.map(stepKey) };
    expect(lapsedSteps({ ...STATE, lapsed }, 'one', PLANNED)).toEqual(others);
    expect(first).toBeDefined();
    expect(lapsedSteps(STATE, 'another', PLANNED)).toEqual([]);
    expect(lapsedSteps(EMPTY_STATE, 'one', PLANNED)).toEqual([]);
  });

  test('however often the agent looks by itself', () => {
    for (const trigger of ['boot', 'timer', 'kernel', 'config'] as const) expect(after(trigger)).toBe(LAPSE);
  });
});

describe('it is forgotten', () => {
  test('with another configuration', () => {
    expect(after('timer', { configuration: 'another' })).toBeNull();
  });

  test('when the operator says reconfigure, for the NICs that were named', () => {
    expect(after('command')).toBeNull();
    const left = after('command', { macs: new Set([macOf(2)]) });
    expect(left?.steps).toEqual(PLANNED.filter(({ mac }) => mac === macOf(1)).map(stepKey));
  });

  test('step by step, when it is not planned any more; not for a NIC that was not looked at', () => {
    const [first, ...others] = PLANNED;
    const macs = NICS;
    const left = lapsedAfter(STATE, { configuration: 'one', trigger: 'timer', macs, planned: others });
    expect(left?.steps).toEqual(others.map(stepKey));
    const untouched = new Set([...NICS].filter((mac) => mac !== first?.mac));
    const kept = lapsedAfter(STATE, {
      configuration: 'one',
      trigger: 'timer',
      macs: untouched,
      planned: PLANNED.filter(({ mac }) => untouched.has(mac)),
    });
    expect(kept).toBe(LAPSE);
  });
});
