import { describe, expect, test } from 'vitest';
import type { AgentState } from '../../../src/model/state.ts';
import { EMPTY_STATE } from '../../../src/model/state.ts';
import { findOrigin, withoutOrigin } from '../../../src/reconcile/clone.ts';
import { AT, eni, hostOf, instance, link, macOf, owned } from '../builders.ts';

/** NICs 1 and 2 of `ins-old`; a third was there once. */
const STATE: AgentState = {
  ...EMPTY_STATE,
  metadata: {
    readAt: AT,
    answer: {
      ...instance([eni(1, '10.0.0.4/24'), eni(2, '10.0.1.4/24')], [{ mac: macOf(5), problem: 'broken' }]),
      instanceId: 'ins-old',
    },
  },
  nics: { [macOf(1)]: owned(0, 'eth0'), [macOf(3)]: owned(2, 'eth2', '', { detachedAt: AT }) },
  released: [macOf(4), macOf(7)],
};
const NEW = { ...instance([eni(7, '10.0.0.5/24')]), instanceId: 'ins-new' };
const LINKS = [link(7, 'eth0', { addresses: '10.0.0.5/24' })];

describe('the state is of another machine', () => {
  test('when the instance id is another one and no MAC of it is here', () => {
    expect(findOrigin(STATE, NEW, LINKS)).toBe('ins-old');
  });

  test.each<[string, Parameters<typeof findOrigin>]>([
    [
      'the instance id is the same: the NICs were replaced',
      [STATE, { ...NEW, instanceId: 'ins-old' }, LINKS],
    ],
    ['the metadata gives no instance id', [STATE, { ...NEW, instanceId: null }, LINKS]],
    ['there never was an answer', [{ ...STATE, metadata: null }, NEW, LINKS]],
    ['the primary is here: the id has changed', [STATE, NEW, [link(1, 'eth0')]]],
    ['a secondary is here', [STATE, NEW, [...LINKS, link(2, 'eth1')]]],
    ['a NIC that was detached is here', [STATE, NEW, [...LINKS, link(3, 'eth1')]]],
    ['a NIC whose reading was broken is here', [STATE, NEW, [...LINKS, link(5, 'eth1')]]],
    [
      'one is here by its burnt-in MAC',
      [STATE, NEW, [...LINKS, link(9, 'eth1', { permanentMac: macOf(2) })]],
    ],
  ])('but not when %s', (_, input) => {
    expect(findOrigin(...input)).toBeNull();
  });

  test('and not when the state had no instance id', () => {
    const { metadata } = STATE;
    const nameless =
      metadata === null ? null : { ...metadata, answer: { ...metadata.answer, instanceId: null } };
    expect(findOrigin({ ...STATE, metadata: nameless }, NEW, LINKS)).toBeNull();
  });
});

test('a clone keeps nothing of the state but what the operator released here', () => {
  const files = {
    '/etc/sysconfig/network-scripts/ifcfg-eth1': '# Managed by eni-agent.\n',
    '/etc/sysconfig/network-scripts/ifcfg-eth0': 'DEVICE=eth0\n',
  };
  const host = hostOf({ links: LINKS, files, state: STATE });
  const observation = {
    at: 0,
    host,
    stateIdentity: 'x',
    rejectedState: null,
    parkedState: null,
    trial: null,
  };
  expect(withoutOrigin(observation, 'ins-old')).toMatchObject({
    host: {
      state: { ...EMPTY_STATE, released: [macOf(7)] },
      files: [{ path: '/etc/sysconfig/network-scripts/ifcfg-eth0' }],
    },
    rejectedState: { asideName: 'state.json.other-machine', isForeign: true },
  });
});
