/** Connection marks and their rules: `routing.forwarded: connmark`. */
import { describe, expect, test } from 'vitest';
import type { ConnectionMark } from '../../../src/model/mark.ts';
import type { IfName } from '../../../src/model/net.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import {
  type ConfigText,
  configOf,
  eni,
  type HostText,
  hostOf,
  instance,
  link,
  macOf,
  owned,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const LINKS = [
  link(1, 'eth0', { addresses: '10.0.0.4/24' }),
  link(2, 'eth1', { addresses: '10.0.1.4/24' }),
  link(3, 'eth2', { addresses: '10.0.2.4/24' }),
];
const PRIMARY = eni(1, '10.0.0.4/24', '10.0.0.1');
const SECOND = eni(2, '10.0.1.4/24', '10.0.1.1');
const THIRD = eni(3, '10.0.2.4/24 2001:db8:2::4/64', '10.0.2.1', 'fe80::1');
const CONNMARK = { forwarded: 'connmark' } as const;

function worldOf(config: ConfigText['routing'] = CONNMARK, text: Partial<HostText> = {}): World {
  const host = hostOf({ links: LINKS, ...text });
  return { metadata: instance([PRIMARY, SECOND, THIRD]), host, config: configOf({ routing: config }) };
}

/** Steps about marks, without their reasons. */
function marking(world: World): readonly string[] {
  const steps = lookAt(world).plan.steps.map((step) => describeStep({ ...step, reason: '' }));
  return steps.filter((step) => /^. mark|fwmark/.test(step));
}

function mark(ifname: string, value: number, mask = 0x7f): ConnectionMark {
  return { family: 4, ifname: ifname as IfName, value, mask };
}

describe('connmark', () => {
  test('gives every NIC a mark and a rule for each family, the primary too', () => {
    expect(marking(worldOf())).toEqual([
      '+ mark 0x7f/0x7f on eth0',
      '+ rule fwmark 0x7f/0x7f lookup 21000 priority 21000 on eth0',
      '+ mark 0x7e/0x7f on eth1',
      '+ rule fwmark 0x7e/0x7f lookup 21001 priority 21001 on eth1',
      '+ mark 0x7d/0x7f on eth2',
      '+ mark 0x7d/0x7f (IPv6) on eth2',
      '+ rule fwmark 0x7d/0x7f lookup 21002 priority 21002 on eth2',
      '+ rule fwmark 0x7d/0x7f lookup 21002 priority 21002 (IPv6) on eth2',
    ]);
    expect(marking(runOnce(worldOf()))).toEqual([]);
  });

  test('marks on the primary alone already, for the day that a second NIC comes', () => {
    const world = { ...worldOf(), metadata: instance([PRIMARY]) };
    expect(marking(world)).toEqual(['+ mark 0x7f/0x7f on eth0']);
    expect(marking(worldOf({ ...CONNMARK, primary: 'never' })).join()).not.toContain('eth0');
  });

  test('keeps to the bits of forwardedMask; what is left of another mask goes', () => {
    const before = runOnce(worldOf());
    const after = { ...before, config: configOf({ routing: { ...CONNMARK, forwardedMask: 0xf0000 } }) };
    expect(marking(after)).toContain('+ rule fwmark 0xe0000/0xf0000 lookup 21001 priority 21001 on eth1');
    expect(marking(after)).toContain('- rule fwmark 0x7e/0x7f lookup 21001 priority 21001 on eth1');
    expect(marking(runOnce(after))).toEqual([]);
    expect(runOnce(after).host.marks.map(({ value }) => value.toString(16))).toEqual([
      'f0000',
      'e0000',
      'd0000',
      'd0000',
    ]);
  });

  test('with slots that the mask cannot tell apart is a problem of the second one alone', () => {
    const nics = { [macOf(3)]: owned(16, 'eth2') };
    const world = worldOf({ ...CONNMARK, forwardedMask: 0xf }, { nics });
    expect(marking(world).join()).not.toContain('eth2');
    expect(lookAt(world).plan.problems).toEqual([
      {
        mac: macOf(3),
        message:
          'marking the connections of eth2: mark 0xe/0xf is that of eth1; choose a routing.forwardedMask with more bits',
        isAboutMarks: true,
      },
    ]);
  });

  test('off again takes marks and rules away at once', () => {
    const before = runOnce(worldOf());
    const off = { ...before, config: configOf({}) };
    expect(marking(off).filter((step) => step.startsWith('+'))).toEqual([]);
    expect(marking(off)).toHaveLength(8);
    expect(lookAt(off).plan.steps.some(({ withdrawal }) => withdrawal)).toBe(false);
    const cleared = runOnce(off).host;
    expect([cleared.marks, cleared.rules.filter((rule) => rule.mark !== null)]).toEqual([[], []]);
  });
});

describe('marks that are there', () => {
  test('of the name that another NIC has now are replaced, not added to', () => {
    const world = worldOf(CONNMARK, { marks: [mark('eth1', 0x7d), mark('eth2', 0x7e)] });
    expect(marking(world).filter((step) => step.includes(' mark '))).toEqual([
      '+ mark 0x7f/0x7f on eth0',
      '+ mark 0x7e/0x7f on eth1',
      '+ mark 0x7d/0x7f on eth2',
      '+ mark 0x7d/0x7f (IPv6) on eth2',
    ]);
  });

  test('of a NIC that was renamed move with it', () => {
    const world = worldOf(CONNMARK, { marks: [mark('eth0', 0x7f), mark('old1', 0x7e), mark('eth2', 0x7d)] });
    expect(marking(world).filter((step) => step.includes(' mark '))).toEqual([
      '+ mark 0x7e/0x7f on eth1',
      '- mark 0x7e/0x7f on eth1',
      '+ mark 0x7d/0x7f (IPv6) on eth2',
    ]);
  });

  test('of a NIC that is put off stay', () => {
    const before = runOnce(worldOf());
    const metadata = instance([PRIMARY, THIRD], [{ mac: macOf(2), problem: 'it lists no address' }]);
    expect(marking({ ...before, metadata })).toEqual([]);
  });

  test('of a NIC that is not listed any more wait for the confirmation, like its rules', () => {
    const before = runOnce(worldOf());
    const steps = lookAt({ ...before, metadata: instance([PRIMARY, THIRD]) }).plan.steps.filter(
      ({ kind }) => kind === 'remove-mark',
    );
    expect(steps.map(({ mac, withdrawal }) => ({ mac, withdrawal }))).toEqual([
      { mac: macOf(2), withdrawal: true },
    ]);
  });
});
