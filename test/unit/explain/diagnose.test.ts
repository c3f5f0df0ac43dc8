import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/explain/decide.ts';
import { diagnose } from '../../../src/explain/diagnose.ts';
import { documentOf } from '../../../src/explain/document.ts';
import type { Findings, World } from '../../../src/explain/findings.ts';
import type { Link } from '../../../src/model/host.ts';
import type { LookupAnswer, NicFacts } from '../../../src/model/lookup.ts';
import { cidr, ip, macOf } from '../builders.ts';
import { DOCKER0, ETH0, ETH1, flowOf, LINKS, refusal, routesOf, rulesOf, way } from './tables.ts';

const PRIMARY: NicFacts = {
  mac: macOf(1),
  link: ETH0,
  role: 'primary',
  table: 21_000,
  leftAlone: null,
  listed: [ip('10.0.0.4')],
  excluded: [],
};
const SECONDARY: NicFacts = {
  mac: macOf(2),
  link: ETH1,
  role: 'secondary',
  table: 21_001,
  leftAlone: null,
  listed: [ip('10.0.1.4'), ip('10.0.1.5')],
  excluded: [],
};
const WORLD: World = {
  links: LINKS,
  rules: rulesOf(),
  routes: routesOf(LINKS, 'default via 10.0.0.1 dev eth0'),
  allSysctls: { rp_filter: 0, arp_ignore: 0, arp_announce: 0, promote_secondaries: 0 },
  nics: [PRIMARY, SECONDARY],
  tableBase: 21_000,
  slots: 256,
  isPrimaryRouted: true,
};
const BY_ETH0 = way(ETH0, '10.0.0.1');

const DUPLICATE: Link = {
  ...ETH1,
  addresses: [{ address: ip('2001:db8:1::4'), prefixLength: 64, scope: 'global', duplicate: true }],
};

interface Case {
  readonly flow: string;
  readonly answer: LookupAnswer;
  readonly world?: Partial<World>;
  readonly rest?: Partial<Findings>;
}

function found({ flow, answer, world = {}, rest = {} }: Case): Findings {
  const given = { ...WORLD, ...world };
  const nics = given.nics.map((nic) => ({
    ...nic,
    link: given.links.find(({ index }) => index === nic.link.index) ?? nic.link,
  }));
  const here = { ...given, nics };
  const asked = flowOf(flow);
  const forward = { flow: asked, answer, decision: decide(here, asked, answer) };
  const isSent = answer.kind === 'way' && answer.type === 'unicast' && asked.source !== null;
  return {
    forward,
    source: asked.source,
    isSourceHere: true,
    reply: isSent ? forward : null,
    isArrivalRefused: false,
    world: here,
    ...rest,
  };
}

function problemsOf(given: Case): readonly string[] {
  return diagnose(found(given)).map(({ code, message }) => `${code}: ${message}`);
}

function strict(link: Link): Link {
  return { ...link, sysctls: { ...link.sysctls, rp_filter: 1 } };
}

describe('nothing is wrong', () => {
  test.each<[string, Case]>([
    ['with the address of a NIC that leaves by it', { flow: '8.8.8.8 from 10.0.0.4', answer: BY_ETH0 }],
    [
      'with the address of a NIC that leaves by a bridge',
      { flow: '172.17.0.2 from 10.0.1.4', answer: way(DOCKER0, null) },
    ],
    [
      'with the address of a bridge that leaves by a NIC',
      { flow: '8.8.8.8 from 172.17.0.1', answer: BY_ETH0 },
    ],
    [
      'with an address of the machine itself',
      { flow: '10.0.1.4', answer: way(ETH1, null, { type: 'local' }) },
    ],
    [
      'with an address of no link that the machine takes for its own',
      { flow: '8.8.8.8 from 10.9.9.9', answer: BY_ETH0 },
    ],
    [
      'with a bridge before any answer of the metadata is known',
      { flow: '172.17.0.2 from 10.0.0.4', answer: way(DOCKER0, null), world: { nics: [] } },
    ],
    [
      'where the filter is off, whatever else the kernel has against the packet',
      { flow: '8.8.8.8 from 10.0.0.4', answer: BY_ETH0, rest: { isArrivalRefused: true } },
    ],
  ])('%s', (_what, given) => {
    expect(problemsOf(given)).toEqual([]);
  });
});

describe('what is wrong', () => {
  const MISLED = { flow: '8.8.8.8 from 10.0.1.4', answer: BY_ETH0 };
  const DROPPED = 'packets from 10.0.1.4 to 8.8.8.8 leave by eth0, where the cloud drops them';

  test.each<[string, Case, readonly string[]]>([
    [
      'no rule, of a NIC that was released',
      { ...MISLED, world: { nics: [PRIMARY, { ...SECONDARY, leftAlone: 'released' }] } },
      [
        `no-rule: no rule leads 10.0.1.4 to table 21001, that of eth1: ${DROPPED}; eth1 was released, \`eni-agent reconfigure eth1\` takes it back`,
      ],
    ],
    [
      'no rule, of a NIC that is not managed',
      { ...MISLED, world: { nics: [PRIMARY, { ...SECONDARY, table: null, leftAlone: 'unmanaged' }] } },
      [
        `no-rule: no rule leads 10.0.1.4 to a table of eth1: ${DROPPED}; eni-agent leaves eth1 alone (unmanaged)`,
      ],
    ],
    [
      'no rule, of the primary, where the configuration wants none',
      {
        flow: '10.0.1.250 from 10.0.0.4',
        answer: way(ETH1, null),
        world: { isPrimaryRouted: false },
      },
      [
        'no-rule: no rule leads 10.0.0.4 to table 21000, that of eth0: packets from 10.0.0.4 to 10.0.1.250 leave by eth1, where the cloud drops them; the configuration says routing.primary: never',
      ],
    ],
    [
      'no rule, before any answer of the metadata is known',
      { ...MISLED, world: { nics: [] } },
      [
        `no-rule: no rule leads 10.0.1.4 to a table of eth1: ${DROPPED}; \`eni-agent plan\` shows what there is to do`,
      ],
    ],
    [
      'the primary is down',
      {
        flow: '8.8.8.8 from 10.0.0.4',
        answer: refusal('no-route'),
        world: { links: [{ ...ETH0, up: false }, ETH1], routes: [] },
      },
      [
        'link-down: eth0 is down, and has taken its routes with it: the kernel refuses packets from 10.0.0.4 to 8.8.8.8 (no-route); `ip link set eth0 up` sets it up',
      ],
    ],
    [
      'nothing leads there, with a NIC that is down',
      {
        flow: '8.8.8.8',
        answer: refusal('no-route'),
        world: { links: [{ ...ETH0, up: false }, ETH1], routes: [] },
      },
      ['no-route: no route leads to 8.8.8.8: the kernel refuses packets to 8.8.8.8 (no-route); eth0 is down'],
    ],
    [
      'an address that is on no link and that the metadata does not know',
      { flow: '8.8.8.8 from 10.9.9.9', answer: refusal('invalid'), rest: { isSourceHere: false } },
      ['source-missing: 10.9.9.9 is on no interface of this machine: no packet of it has this source'],
    ],
    [
      'an address that the configuration leaves to others, and that nobody has set',
      {
        flow: '8.8.8.8 from 10.0.1.9',
        answer: refusal('invalid'),
        world: {
          nics: [PRIMARY, { ...SECONDARY, listed: [ip('10.0.1.9')], excluded: [cidr('10.0.1.8/30')] }],
        },
        rest: { isSourceHere: false },
      },
      [
        'source-missing: 10.0.1.9 is on no interface of this machine: it is listed on eth1; the configuration leaves it to others (excludeAddresses)',
      ],
    ],
    [
      'an IPv6 address that another host has, too',
      {
        flow: '2001:db8:9::9 from 2001:db8:1::4',
        answer: refusal('no-route'),
        world: { links: [ETH0, DUPLICATE] },
        rest: { isSourceHere: false },
      },
      ['source-missing: 2001:db8:1::4 on eth1 is not used by the kernel: another host of the subnet has it'],
    ],
    [
      'a rule of somebody else behind which ours would come, of a NIC without a table',
      {
        ...MISLED,
        world: {
          rules: rulesOf('from 10.0.1.4 lookup 98 priority 98'),
          routes: routesOf(LINKS, 'default via 10.0.0.1 dev eth0 table 98'),
          nics: [PRIMARY, { ...SECONDARY, table: null }],
        },
      },
      [
        `foreign-rule: rule 98 (from 10.0.1.4 lookup 98) is none of eni-agent's: ${DROPPED}; remove it, if it is not meant so`,
      ],
    ],
    [
      'a strict filter, by the larger of its two values',
      {
        flow: '8.8.8.8 from 10.0.0.4',
        answer: BY_ETH0,
        world: { links: [strict(ETH0), ETH1] },
        rest: { isArrivalRefused: true },
      },
      [
        'rp-filter: rp_filter=1 on eth0 drops what comes in there from 8.8.8.8 to 10.0.0.4, since replies leave by eth0',
      ],
    ],
  ])('%s', (_what, given, expected) => {
    expect(problemsOf(given)).toEqual(expected);
  });
});

describe('what is worth knowing', () => {
  test('that an address of a bridge has to be translated', () => {
    const { notes } = documentOf(found({ flow: '8.8.8.8 from 172.17.0.1', answer: BY_ETH0 }), []);
    expect(notes).toEqual([
      '172.17.0.1 is on docker0, no NIC of the cloud: it gets out only where it is translated (NAT)',
    ]);
  });

  test('among which rules it cannot be told', () => {
    const world = {
      rules: rulesOf(
        ['from all lookup 98 priority 1', { opaque: true }],
        'from 10.0.0.4 lookup 98 priority 2',
      ),
      routes: routesOf(LINKS, 'default via 10.0.0.1 dev eth0 table 98'),
    };
    const { notes, way } = documentOf(found({ flow: '8.8.8.8 from 10.0.0.4', answer: BY_ETH0, world }), []);
    expect(way.rule).toBeNull();
    expect(notes).toEqual([
      'which rule decided cannot be told from the rules and routes that are there; it is one of rule 1 (from all … lookup 98), rule 2 (from 10.0.0.4 lookup 98)',
    ]);
  });
});
