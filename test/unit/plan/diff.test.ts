import { describe, expect, test } from 'vitest';
import { describeStep } from '../../../src/plan/describe.ts';
import { verify } from '../../../src/plan/verify.ts';
import {
  addressesOf,
  type ConfigText,
  cidr,
  configOf,
  eni,
  hostOf,
  instance,
  ip,
  link,
  macOf,
  optionsOf,
  owned,
  rule,
  rulesOf,
  tableOf,
} from '../builders.ts';
import { applyToHost, lookAt, runOnce, type World } from '../simulator.ts';

const LINKS = [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1', { addresses: '10.0.1.4/24' })];
const PRIMARY = eni(1, '10.0.0.4/24', '10.0.0.1');
const METADATA = instance([PRIMARY, eni(2, '10.0.1.4/24', '10.0.1.1')]);
const NEVER: ConfigText = { routing: { primary: 'never' } };

function worldOf(text: Partial<Parameters<typeof hostOf>[0]>, config: ConfigText = NEVER): World {
  return { metadata: METADATA, host: hostOf({ links: LINKS, ...text }), config: configOf(config) };
}

function stepsOf(world: World): readonly string[] {
  return lookAt(world).plan.steps.map((step) => describeStep({ ...step, reason: '' }));
}

/** Table 21001 as we make it, in the words of `ip route`. */
const SUBNET = '10.0.1.0/24 dev eth1 table 21001';
const DEFAULT = 'default via 10.0.1.1 dev eth1 table 21001';
const NEIGHBOUR = '10.0.0.0/24 via 10.0.1.1 dev eth1 table 21001';
const REFUSAL = 'unreachable default table 21001 metric 4294967295';
const RULES = ['from 10.0.1.4 lookup 21001 priority 21001', 'oif eth1 lookup 21001 priority 21001'];

describe('a new NIC', () => {
  test('is set up in an order without a gap', () => {
    const links = [
      LINKS[0] ?? link(1, 'eth0'),
      link(2, 'eth1', {
        up: false,
        sysctls: { rp_filter: 1, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 },
      }),
    ];
    const config: ConfigText = { interfaces: [{ match: { mac: macOf(2) }, mtu: 1400 }] };
    expect(lookAt(worldOf({ links }, config)).plan.steps.map(describeStep)).toEqual([
      '+ route 10.0.0.0/24 table 21000 on eth0 (the subnet of the NIC)',
      '+ route default via 10.0.0.1 table 21000 on eth0 (the gateway of the subnet)',
      '+ route 10.0.1.0/24 via 10.0.0.1 table 21000 on eth0 (the subnet of another NIC, by this NIC)',
      '+ route unreachable default table 21000 on eth0 (refuses what has no route here, so that it never leaves by another NIC)',
      '+ rule from 10.0.0.4 lookup 21000 priority 21000 on eth0 (replies leave by the NIC of their address)',
      '~ sysctl net.ipv4.conf.eth1.promote_secondaries=1 on eth1 (the first address of a subnet must not take the others with it)',
      '~ sysctl net.ipv4.conf.eth1.rp_filter=2 on eth1 (a strict filter drops forwarded traffic under policy routing)',
      '~ mtu 1400 on eth1 (listed in the configuration)',
      '~ link up on eth1 (eth1 is down)',
      '+ route 10.0.1.0/24 table 21001 on eth1 (the subnet of the NIC)',
      '+ route default via 10.0.1.1 table 21001 on eth1 (the gateway of the subnet)',
      '+ route 10.0.0.0/24 via 10.0.1.1 table 21001 on eth1 (the subnet of another NIC, by this NIC)',
      '+ route unreachable default table 21001 on eth1 (refuses what has no route here, so that it never leaves by another NIC)',
      '+ rule from 10.0.1.4 lookup 21001 priority 21001 on eth1 (replies leave by the NIC of their address)',
      '+ rule oif eth1 lookup 21001 priority 21001 on eth1 (sockets bound to the NIC use its table)',
      '+ address 10.0.1.4/24 on eth1 (assigned in metadata)',
    ]);
  });

  test('is cleared in reverse, and the primary last', () => {
    const first = runOnce(worldOf({ links: [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1')] }, {}));
    const { steps } = lookAt({ ...first, metadata: instance([PRIMARY]) }).plan;
    expect(steps.map(({ interface: ifname, kind }) => `${ifname} ${kind}`)).toEqual([
      'eth1 remove-address',
      ...Array.from({ length: 2 }, () => 'eth1 remove-rule'),
      ...Array.from({ length: 4 }, () => 'eth1 remove-route'),
      'eth0 remove-rule',
      ...Array.from({ length: 4 }, () => 'eth0 remove-route'),
    ]);
    expect(steps.every(({ withdrawal }) => withdrawal)).toBe(true);
  });
});

describe('the diff', () => {
  test.each<readonly [string, readonly string[], readonly string[], readonly string[]]>([
    ['finds nothing to do where all is as it should be', [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL], RULES, []],
    [
      'ignores metric, protocol and scope of others (as NetworkManager writes them)',
      [
        `${SUBNET} metric 101 proto 4`,
        `${DEFAULT} metric 101 proto 4`,
        `${NEIGHBOUR} metric 101 proto 4`,
        REFUSAL,
      ],
      RULES,
      [],
    ],
    [
      'ignores the protocol of rules',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL],
      RULES.map((line) => `${line} proto 4`),
      [],
    ],
    [
      'replaces an unreachable default of a better metric: it would hide the default',
      [SUBNET, `${DEFAULT} metric 100`, NEIGHBOUR, 'unreachable default table 21001 metric 50'],
      RULES,
      ['+ route unreachable default table 21001 on eth1', '- route unreachable default table 21001 on eth1'],
    ],
    [
      'replaces a wrong gateway, the new one first',
      [SUBNET, 'default via 10.0.1.9 dev eth1 table 21001', NEIGHBOUR, REFUSAL],
      RULES,
      [
        '+ route default via 10.0.1.1 table 21001 on eth1',
        '- route default via 10.0.1.9 table 21001 on eth1',
      ],
    ],
    [
      'replaces a route by the wrong link',
      [SUBNET, DEFAULT, '10.0.0.0/24 via 10.0.0.1 dev eth0 table 21001 proto 196', REFUSAL],
      RULES,
      [
        '+ route 10.0.0.0/24 via 10.0.1.1 table 21001 on eth1',
        '- route 10.0.0.0/24 via 10.0.0.1 table 21001 on eth1',
      ],
    ],
    [
      'removes what does not belong in the table',
      [
        SUBNET,
        DEFAULT,
        NEIGHBOUR,
        REFUSAL,
        'throw 172.29.0.0/16 table 21001',
        '10.9.0.0/16 via 10.0.1.1 dev eth1 table 21001',
      ],
      RULES,
      [
        '- route throw 172.29.0.0/16 table 21001 on eth1',
        '- route 10.9.0.0/16 via 10.0.1.1 table 21001 on eth1',
      ],
    ],
    [
      'leaves a route of a kind that it has no words for in the table',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL, 'other 10.9.0.0/16 via 10.0.1.1 dev eth1 table 21001'],
      RULES,
      [],
    ],
    [
      'removes rules at our priority that nothing needs',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL],
      [...RULES, 'from 10.0.1.99 lookup 21001 priority 21001', 'oif eth7 lookup 21001 priority 21001'],
      [
        '- rule from 10.0.1.99 lookup 21001 priority 21001 on eth1',
        '- rule oif eth7 lookup 21001 priority 21001 on eth1',
      ],
    ],
    [
      'removes duplicate rules down to one',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL],
      [...RULES, ...RULES.slice(0, 1), ...RULES.slice(0, 1).map((line) => `${line} proto 196`)],
      Array.from({ length: 2 }, () => '- rule from 10.0.1.4 lookup 21001 priority 21001 on eth1'),
    ],
    [
      'leaves rules of others alone, also those that look our table up',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL],
      [
        ...RULES,
        'from 10.0.1.99 lookup 21001 priority 100',
        'fwmark 1 lookup 21001 priority 21001',
        'from all lookup 255 priority 0',
      ],
      [],
    ],
    [
      'deletes a rule that moves before it adds it',
      [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL],
      ['from 10.0.1.4 lookup 21000 priority 21000', ...RULES.slice(1)],
      [
        '- rule from 10.0.1.4 lookup 21000 priority 21000 on eth1',
        '+ rule from 10.0.1.4 lookup 21001 priority 21001 on eth1',
      ],
    ],
  ])('%s', (_, routes, rules, expected) => {
    const world = worldOf({ routes, rules, nics: { [macOf(2)]: owned(1, 'eth1') } });
    expect(stepsOf(world)).toEqual(expected);
    const after = runOnce(world);
    expect(stepsOf(after)).toEqual([]);
    expect(tableOf(after.host, 21_001).map((line) => line.replace(/ metric 10[01]/, ''))).toContain(
      '0.0.0.0/0 via 10.0.1.1 dev eth1',
    );
    expect(rulesOf(after.host, 21_001)).toEqual(expect.arrayContaining(RULES));
  });

  test('adds its rule beside one that is more than its own in the same place', () => {
    const foreign = { ...rule(RULES[0] ?? ''), foreign: true };
    const routes = [SUBNET, DEFAULT, NEIGHBOUR, REFUSAL];
    const world = worldOf({ routes, rules: RULES.slice(1) });
    const host = { ...world.host, rules: [...world.host.rules, foreign] };
    expect(stepsOf({ ...world, host })).toEqual([expect.stringContaining(`+ rule ${RULES[0]}`)]);
  });

  test('takes a default whose better leftover is gone before any address needs it', () => {
    const links = [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1')];
    const routes = [`${DEFAULT} metric 100`, 'default via 10.0.1.9 dev eth1 table 21001'];
    const steps = stepsOf(worldOf({ links, routes }));
    const removed = steps.indexOf('- route default via 10.0.1.9 table 21001 on eth1');
    expect(removed).toBeGreaterThanOrEqual(0);
    expect(removed).toBeLessThan(steps.indexOf('+ address 10.0.1.4/24 on eth1'));
  });
});

describe('routes in main', () => {
  const listed: ConfigText = {
    ...NEVER,
    interfaces: [{ match: { mac: macOf(2) }, routes: [{ to: cidr('172.16.0.0/12'), via: ip('10.0.1.9') }] }],
  };

  test('that were listed and are no more are removed, and only they', () => {
    const first = runOnce(worldOf({ routes: ['192.168.0.0/16 via 10.0.1.9 dev eth1'] }, listed));
    expect(first.host.state.nics[macOf(2)]?.routes).toEqual([{ to: '172.16.0.0/12', via: '10.0.1.9' }]);
    expect(stepsOf({ ...first, config: configOf(NEVER) })).toEqual([
      '- route 172.16.0.0/12 via 10.0.1.9 table 21001 on eth1',
      '- route 172.16.0.0/12 via 10.0.1.9 on eth1',
    ]);
  });

  test('that an administrator added himself stay when they are listed no more', () => {
    const first = runOnce(worldOf({ routes: ['172.16.0.0/12 via 10.0.1.9 dev eth1'] }, listed));
    const after = runOnce({ ...first, config: configOf(NEVER) });
    expect(tableOf(after.host, 254)).toContain('172.16.0.0/12 via 10.0.1.9 dev eth1');
    expect(stepsOf(after)).toEqual([]);
  });

  test('go with their NIC', () => {
    const first = runOnce(worldOf({}, listed));
    const after = runOnce({ ...first, metadata: instance([PRIMARY]) });
    expect(tableOf(after.host, 254).filter((line) => line.startsWith('172.16'))).toEqual([]);
  });
});

describe('a second run has nothing to do', () => {
  const rest = { match: { mac: macOf(2) } };
  const stale = { [macOf(2)]: owned(1, 'eth1', '10.0.1.4/8') };

  test.each<readonly [string, World]>([
    [
      'after an address of another subnet, which the configuration lists',
      worldOf({}, { ...NEVER, interfaces: [{ ...rest, addresses: addressesOf('10.9.0.4/24') }] }),
    ],
    [
      'after an address of ours got its right prefix length',
      worldOf({
        links: [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1', { addresses: '10.0.1.4/8' })],
        nics: stale,
      }),
    ],
    [
      'after a NIC that is gone, whose link keeps an address of somebody',
      {
        ...worldOf(
          {
            links: [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1', { addresses: '10.0.1.4/24 10.0.1.77/24' })],
            nics: { [macOf(2)]: owned(1, 'eth1', '10.0.1.4/24') },
          },
          { routing: { primary: 'always' } },
        ),
        metadata: instance([PRIMARY]),
      },
    ],
    ['after an address moved from one NIC to another of its subnet', movedAddress()],
    ['after a virtual address that two NICs have', sharedVip()],
  ])('%s', (_, world) => {
    expect(stepsOf(runOnce(world))).toEqual([]);
  });

  /** Each has a rule for it: neither is the other's that moved. */
  function sharedVip(): World {
    const links = ['10.0.0.4/24', '10.0.1.4/24 10.0.0.100/32', '10.0.2.4/24 10.0.0.100/32'].map(
      (addresses, index) => link(index + 1, `eth${index}`, { addresses }),
    );
    const secondaries = [eni(2, '10.0.1.4/24', '10.0.1.1'), eni(3, '10.0.2.4/24', '10.0.2.1')];
    return { metadata: instance([PRIMARY, ...secondaries]), host: hostOf({ links }), config: configOf() };
  }

  function movedAddress(): World {
    const gateway = '10.0.1.1';
    const before = instance([
      PRIMARY,
      eni(2, '10.0.1.4/24 10.0.1.6/24', gateway),
      eni(3, '10.0.1.5/24', gateway),
    ]);
    const after = instance([
      PRIMARY,
      eni(2, '10.0.1.4/24', gateway),
      eni(3, '10.0.1.5/24 10.0.1.6/24', gateway),
    ]);
    const host = hostOf({ links: [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1'), link(3, 'eth2')] });
    return { ...runOnce({ metadata: before, host, config: configOf() }), metadata: after };
  }
});

describe('the verification', () => {
  test('finds nothing where every step took effect', () => {
    const world = worldOf({}, {});
    const { desired, plan } = lookAt(world);
    const host = applyToHost(world.host, plan.steps);
    expect(verify({ host, desired, done: plan.steps }, optionsOf(world.config))).toEqual([]);
  });

  test('names the NIC and what the kernel does not have', () => {
    const world = worldOf({ links: [LINKS[0] ?? link(1, 'eth0'), link(2, 'eth1')] }, {});
    const { desired, plan } = lookAt(world);
    const host = applyToHost(
      world.host,
      plan.steps.filter(({ kind }) => kind !== 'add-address'),
    );
    const [problem, ...others] = verify({ host, desired, done: plan.steps }, optionsOf(world.config));
    expect(others).toEqual([]);
    expect(problem?.mac).toBe(macOf(2));
    expect(problem?.message).toMatch(/^verifying eth1: .*address 10\.0\.1\.4\/24 on eth1$/);
  });

  test('is not about what others changed meanwhile', () => {
    const world = worldOf({}, {});
    const { desired, plan } = lookAt(world);
    const host = applyToHost(world.host, plan.steps);
    const disturbed = { ...host, rules: [...host.rules, rule('from 10.0.1.99 lookup 21001 priority 21001')] };
    expect(verify({ host: disturbed, desired, done: plan.steps }, optionsOf(world.config))).toEqual([]);
  });
});
