import { describe, expect, test } from 'vitest';
import type { Sysctls } from '../../../src/model/sysctl.ts';
import { type ConfigText, configOf, eni, hostOf, instance, link } from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const NOTHING: Sysctls = { rp_filter: 0, arp_ignore: 0, arp_announce: 0, promote_secondaries: 1 };

interface Case {
  readonly own?: Partial<Sysctls>;
  readonly all?: Partial<Sysctls>;
  readonly config?: ConfigText;
  /** Subnet of eth1; the primary is in 10.0.0.0/24. */
  readonly subnet?: string;
}

function worldOf({ own = {}, all = {}, config = {}, subnet = '10.0.1' }: Case): World {
  const sysctls = { ...NOTHING, ...own };
  return {
    metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, `${subnet}.9/24`, `${subnet}.1`)]),
    host: hostOf({
      links: [link(1, 'eth0', { addresses: '10.0.0.4/24', sysctls }), link(2, 'eth1', { sysctls })],
      allSysctls: all,
    }),
    config: configOf(config),
  };
}

/** `eth1 rp_filter 2` */
function settingsOf(world: World): readonly string[] {
  return lookAt(world).plan.steps.flatMap((step) =>
    step.kind === 'set-sysctl' ? [`${step.interface} ${step.arguments.name} ${step.arguments.value}`] : [],
  );
}

const LOOSE = ['eth0 rp_filter 2', 'eth1 rp_filter 2'];
const ARP = ['eth0 arp_ignore 1', 'eth0 arp_announce 2', 'eth1 arp_ignore 1', 'eth1 arp_announce 2'];

describe('sysctls', () => {
  test.each<readonly [string, Case, readonly string[]]>([
    ['a strict reverse path filter becomes loose', { own: { rp_filter: 1 } }, LOOSE],
    ['also where `all` is what makes it strict', { all: { rp_filter: 1 } }, LOOSE],
    ['not where it is off', { own: { rp_filter: 0 } }, []],
    ['not where it is loose', { own: { rp_filter: 2 } }, []],
    [
      'not where `all` is loose: the kernel takes the larger',
      { own: { rp_filter: 1 }, all: { rp_filter: 2 } },
      [],
    ],
    [
      'not where the configuration says leave',
      { own: { rp_filter: 1 }, config: { sysctl: { rpFilter: 'leave' } } },
      [],
    ],
    [
      'promotion of secondaries is switched on',
      { own: { promote_secondaries: 0 } },
      ['eth0 promote_secondaries 1', 'eth1 promote_secondaries 1'],
    ],
    ['not where `all` has it', { own: { promote_secondaries: 0 }, all: { promote_secondaries: 1 } }, []],
    [
      'not where it is not wanted',
      { own: { promote_secondaries: 0 }, config: { sysctl: { promoteSecondaries: false } } },
      [],
    ],
    ['NICs of one subnet answer ARP for themselves alone', { subnet: '10.0.0' }, ARP],
    [
      'not where the configuration says leave',
      { subnet: '10.0.0', config: { sysctl: { arp: 'leave' } } },
      [],
    ],
    ['a stricter value stays', { subnet: '10.0.0', own: { arp_ignore: 2, arp_announce: 2 } }, []],
    [
      'the primary shares in it even when it has no table',
      { subnet: '10.0.0', config: { routing: { primary: 'never' } } },
      ARP,
    ],
  ])('%s', (_, row, expected) => {
    expect(settingsOf(worldOf(row))).toEqual(expected);
  });

  test('of a primary that is alone are left as they are', () => {
    const world = worldOf({ own: { rp_filter: 1 } });
    expect(settingsOf({ ...world, metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1')]) })).toEqual([]);
  });

  test('are given back as they were when the NIC goes, also after many runs', () => {
    let world = worldOf({ own: { rp_filter: 1 } });
    for (let run = 0; run < 3; run += 1) world = runOnce(world);
    const alone = { ...world, metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1')]) };
    expect(settingsOf(alone)).toEqual(['eth1 rp_filter 1', 'eth0 rp_filter 1']);
    expect(settingsOf(runOnce(alone))).toEqual([]);
  });

  test('that somebody else keeps resetting are left to them: no fight', () => {
    const ours = runOnce(worldOf({ own: { rp_filter: 1 } }));
    const links = ours.host.links.map((entry) => ({ ...entry, sysctls: { ...entry.sysctls, rp_filter: 0 } }));
    const reset = { ...ours, host: { ...ours.host, links } };
    expect(settingsOf(reset)).toEqual([]);
    const alone = { ...runOnce(reset), metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1')]) };
    expect(settingsOf(alone)).toEqual([]);
  });
});
