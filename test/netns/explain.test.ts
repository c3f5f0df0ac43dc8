/** `explain`: against `ip route get`, and in set-ups that somebody broke. */
import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExplainDocument } from '../../src/explain/document.ts';
import type { Lab } from '../lab/lab.ts';
import { inNamespace } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';
import { CLIENT_SUBNETS, GATEWAY6, VM_ADDRESS } from '../lab/topology.ts';
import type { Vm } from '../lab/vm.ts';
import type { Pair } from './explain-probe.ts';

const OUTSIDE = '203.0.113.250';
const OUTSIDE6 = '2001:db8:ffff::250';
const PROBE = new URL('./explain-probe.ts', import.meta.url).pathname;
const EXPLAIN_DEADLINE_MS = 120_000;
const IPV6_CONFIG = `interfaces:
  - match: { subnet: 10.0.1.0/24 }
    addresses: ['2001:db8:1::4/64', '2001:db8:1::5/64']
    gateway6: ${GATEWAY6}
`;

interface Explained {
  readonly exitCode: number | null;
  readonly document: ExplainDocument;
}

async function explain(vm: Vm, ...args: readonly string[]): Promise<Explained> {
  const { exitCode, stdout, stderr } = await vm.agent(['explain', ...args, '--json']);
  expect(stderr).toBe('');
  return { exitCode, document: JSON.parse(stdout) as ExplainDocument };
}

/** eth1 and eth2 in subnets of their own, configured. */
async function threeNics(): Promise<Lab> {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5', '2001:db8:1::4', '2001:db8:1::5'] });
  await lab.attachEni({ addresses: ['10.0.2.4', '10.0.2.5'] });
  expect((await lab.vm.agent(['reconfigure'], { config: IPV6_CONFIG })).exitCode).toBe(0);
  return lab;
}

async function sh(vm: Vm, script: string): Promise<void> {
  await vm.run('sh', ['-e', '-c', script]);
}

/** In one process. */
async function explainAll(vm: Vm, pairs: readonly Pair[]): Promise<readonly ExplainDocument[]> {
  const [file, ...args] = inNamespace(vm.namespace, [
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    PROBE,
    vm.root,
  ]);
  const { stdout } = await execa(file, args, {
    input: JSON.stringify(pairs),
    timeout: EXPLAIN_DEADLINE_MS,
  });
  return JSON.parse(stdout) as ExplainDocument[];
}

/** user_namespaces(7): inside, outside, how many. */
function hasOtherUsers(): boolean {
  return Number(readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2]) > 1;
}

describe('the random pairs', () => {
  const NOT_HERE = '10.0.1.77';
  /** Behind the bridge: what it sends is forwarded. */
  const CONTAINER = '172.17.0.9';
  const FOREIGN = [
    // A bridge with containers, a tunnel with a subnet behind it, and what others put beside our rules.
    'link add docker0 type bridge',
    'addr add 172.17.0.1/16 dev docker0',
    'link add tun0 type veth peer name tun0p',
    'link add c0 type veth peer name c0p',
    'link set c0 master docker0 up',
    'link set c0p up',
    'link set docker0 up',
    'link set tun0 up',
    'link set tun0p up',
    'addr add 10.8.0.2/24 dev tun0',
    'route add 192.168.0.0/16 via 10.8.0.1 dev tun0',
    'route add 198.51.100.0/24 nexthop via 10.8.0.1 dev tun0 nexthop via 10.8.0.3 dev tun0 weight 2',
    'route add unreachable 198.18.0.0/24',
    'route add prohibit 198.18.1.0/24',
    'route add blackhole 198.18.2.0/24',
    'route add default via 10.0.0.253 dev eth0 table 99',
    'route add 100.64.0.0/24 via 10.0.0.253 dev eth0 table 98',
    'route add default via 10.0.0.253 dev eth0 tos 8 table 97',
    'rule add from 10.0.1.5 to 203.0.113.0/25 lookup 99 priority 500',
    'rule add fwmark 7 lookup 99 priority 501',
    'rule add not fwmark 7 to 100.64.0.0/10 lookup 98 priority 502',
    'rule add to 198.18.3.0/24 prohibit priority 503',
    'rule add to 198.18.4.0/24 unreachable priority 504',
    'rule add to 198.18.5.0/24 blackhole priority 505',
    'rule add ipproto tcp dport 443 lookup 99 priority 506',
    'rule add iif eth1 lookup 99 priority 507',
    'rule add lookup 97 priority 508',
    'rule add from 10.0.2.5 goto 30000 priority 509',
    'rule add lookup main suppress_prefixlength 16 priority 30000',
    // Without root the namespace has no other users that a rule could be about.
    ...(hasOtherUsers() ? ['rule add uidrange 1000-2000 lookup 99 priority 510'] : []),
  ];
  const FOREIGN6 = [
    'addr add 2001:db8:8::2/64 dev tun0 nodad',
    'route add 2001:db8:9::/48 via 2001:db8:8::1 dev tun0',
    'route add unreachable 2001:db8:a::/48',
    'rule add to 2001:db8:b::/48 prohibit priority 503',
    'rule add from 2001:db8:1::5 to 2001:db8:c::/48 lookup 99 priority 504',
    'route add default via 2001:db8:8::1 dev tun0 table 99',
  ];
  const SOURCES = [
    null,
    VM_ADDRESS,
    '10.0.1.4',
    '10.0.1.5',
    '10.0.2.4',
    '10.0.2.5',
    '172.17.0.1',
    '10.8.0.2',
    CONTAINER,
    NOT_HERE,
  ];
  const NETWORKS = [
    '10.0.0',
    '10.0.1',
    '10.0.2',
    '10.8.0',
    '172.16.0',
    '172.17.0',
    '192.168.7',
    '198.51.100',
    '203.0.113',
    '100.64.0',
    '100.64.1',
    ...[0, 1, 2, 3, 4, 5].map((part) => `198.18.${part}`),
    '224.0.0',
  ];
  const SOURCES6 = [null, '2001:db8:1::4', '2001:db8:1::5', '2001:db8:8::2'];
  const NETWORKS6 = ['0', '1', '2', '8', '9', 'a', 'b', 'c', 'ffff'];
  const ODD_DESTINATIONS = [
    '255.255.255.255',
    VM_ADDRESS,
    '10.0.1.5',
    '172.17.0.1',
    '127.0.0.1',
    '10.0.1.255',
  ];

  const byte = fc.integer({ min: 1, max: 254 });
  const destination = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...NETWORKS), byte).map((parts) => parts.join('.')) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_DESTINATIONS) },
    { weight: 1, arbitrary: fc.tuple(byte, byte, byte).map((parts) => `8.${parts.join('.')}`) },
  );
  const destination6 = fc
    .tuple(fc.constantFrom(...NETWORKS6), byte)
    .map(([network, host]) => `2001:db8:${network}::${host}`);
  const pair = fc.oneof(
    { weight: 3, arbitrary: fc.record({ from: fc.constantFrom(...SOURCES), to: destination }) },
    { weight: 1, arbitrary: fc.record({ from: fc.constantFrom(...SOURCES6), to: destination6 }) },
  );

  /** One `ip -batch` for all: answers come in order on stdout, refusals with their line on stderr. */
  async function askIp(vm: Vm, pairs: readonly Pair[], match: '' | 'fibmatch'): Promise<readonly string[]> {
    const lines = pairs.map(({ from, to }) => {
      const input = from === CONTAINER ? ' iif docker0' : '';
      return `route get ${match} ${to}${from === null ? '' : ` from ${from}`}${input}`;
    });
    const [file, ...args] = inNamespace(vm.namespace, ['ip', '-force', '-batch', '-']);
    const { stdout, stderr } = await execa(file, args, { input: `${lines.join('\n')}\n`, reject: false });
    const refused = new Map(
      [...stderr.matchAll(/RTNETLINK answers: (.*)\nCommand failed -:(\d+)/g)].map(([, text, line]) => [
        Number(line) - 1,
        text,
      ]),
    );
    const answers = stdout.split(/\n(?!\s)/).values();
    return pairs.map((_, index) => {
      const text = refused.get(index);
      return text === undefined ? (answers.next().value ?? '') : `refused ${text}`;
    });
  }

  const TABLES: Readonly<Record<string, number>> = { local: 255, main: 254 };

  /** The kernel's words, or its answer; the route is null where it does not tell. */
  function witness(got: string, matched: string, { from, to }: Pair): object {
    const nothing = { type: null, refusal: null, interface: null, gateway: null, source: from };
    if (got.startsWith('refused ')) return { ...nothing, refusal: got.slice('refused '.length) };
    const word = (name: string, text = got): string | null =>
      new RegExp(` ${name} (\\S+)`).exec(text)?.[1] ?? null;
    const kind = /^(local|broadcast|multicast) /;
    const isTold = !matched.startsWith('refused ');
    const text = matched.replace(kind, '').split(' ')[0] ?? '';
    const table = word('table', matched) ?? 'main';
    return {
      type: kind.exec(got)?.[1] ?? 'unicast',
      refusal: null,
      interface: word('dev'),
      gateway: word('via'),
      source: from ?? word('src'),
      ...(isTold ? { destination: networkFor(text, to), table: TABLES[table] ?? Number(table) } : {}),
    };
  }

  function networkFor(text: string, to: string): string {
    const isIpv6 = to.includes(':');
    if (text === 'default') return isIpv6 ? '::/0' : '0.0.0.0/0';
    return text.includes('/') ? text : `${text}/${isIpv6 ? 128 : 32}`;
  }

  /** What we say; the route only where the witness tells it, too. */
  function said({ way }: ExplainDocument, expected: object): object {
    const { rule: _, route, ...rest } = way;
    return 'table' in expected ? { ...rest, destination: route?.destination, table: route?.table } : rest;
  }

  test('are as `ip route get` says, and the rule that decided is told for each', async () => {
    const lab = await threeNics();
    await sh(lab.vm, 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    await lab.vm.run('sh', ['-c', `ip -batch - <<'END'\n${FOREIGN.join('\n')}\nEND`]);
    await lab.vm.run('sh', ['-c', `ip -6 -batch - <<'END'\n${FOREIGN6.join('\n')}\nEND`]);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const seed = Date.now();
    const pairs = fc.sample(pair, { seed, numRuns: sized(60, 1000) });
    const [documents, got, matched] = await Promise.all([
      explainAll(lab.vm, pairs),
      askIp(lab.vm, pairs, ''),
      askIp(lab.vm, pairs, 'fibmatch'),
    ]);
    expect(documents).toHaveLength(pairs.length);
    for (const [index, document] of documents.entries()) {
      const { from, to } = pairs[index] as Pair;
      const what = `explain ${to} --from ${from}, seed ${seed}`;
      const expected = witness(got[index] ?? '', matched[index] ?? '', { from, to });
      expect(said(document, expected), what).toEqual(expected);
      if (from === NOT_HERE) expect(document.problems[0]?.code, what).toBe('source-missing');
      // What comes in from a container may be refused before any rule is asked.
      else if (from !== CONTAINER || document.way.refusal === null)
        expect(deciding(document), what).toBe(true);
    }
  });

  /** A rule was named, and it looks up the table that the witness told; or no rule led anywhere. */
  function deciding({ way, notes }: ExplainDocument): boolean {
    const isTold = !notes.some((note) => note.startsWith('which rule decided cannot be told'));
    const isToGroup = way.type === 'multicast' || way.type === 'broadcast';
    if (way.rule === null) return isTold && (isToGroup || way.refusal === 'Network is unreachable');
    return isTold && (way.route === null || way.rule.table === way.route.table);
  }
});

describe('what somebody broke', () => {
  const TO_OUTSIDE = [OUTSIDE, '--from', '10.0.1.5'];
  const TO_OUTSIDE6 = [OUTSIDE6, '--from', '2001:db8:1::5'];
  const UNBOUND = [OUTSIDE];

  interface Break {
    readonly what: string;
    readonly script: string;
    readonly ask: readonly string[];
    readonly codes: readonly string[];
    readonly says: string;
    /** Puts it right; without it `reconfigure` does. */
    readonly undo?: string;
    /** Wrong, and yet a connection gets through. */
    readonly connects?: boolean;
  }

  /** By a connection, too, which takes half a second where the cloud drops it. */
  const TRIED_BREAKS = 6;
  const BREAKS: readonly Break[] = [
    {
      what: 'the rule of an address is deleted',
      script: 'ip rule del from 10.0.1.5',
      ask: TO_OUTSIDE,
      codes: ['no-rule'],
      says: 'no rule leads 10.0.1.5 to table 21001, that of eth1: packets from 10.0.1.5 to 203.0.113.250 leave by eth0, where the cloud drops them; `eni-agent reconfigure eth1` puts it right',
    },
    {
      what: 'it is deleted, and the filter of its NIC is strict',
      script: 'ip rule del from 10.0.1.5; echo 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter',
      ask: TO_OUTSIDE,
      codes: ['no-rule', 'rp-filter'],
      says: 'rp_filter=1 on eth1 drops what comes in there from 203.0.113.250 to 10.0.1.5, since replies leave by eth0',
    },
    {
      what: 'the table is emptied',
      script: 'ip route flush table 21001',
      ask: TO_OUTSIDE,
      codes: ['table-empty'],
      says: 'rule 21001 (from 10.0.1.5 lookup 21001) is there, but its table is empty',
    },
    {
      what: 'the default of the table is taken out',
      script: 'ip route del default via 10.0.1.1 table 21001',
      ask: TO_OUTSIDE,
      codes: ['table-incomplete'],
      says: 'table 21001 has no route to 203.0.113.250: the kernel refuses packets from 10.0.1.5 to 203.0.113.250 (No route to host)',
    },
    {
      what: 'the NIC is down',
      script: 'ip link set eth1 down',
      ask: TO_OUTSIDE,
      codes: ['link-down'],
      says: 'eth1 is down, and has taken its routes with it: the kernel refuses packets',
    },
    {
      what: 'a rule of better priority leads elsewhere',
      script:
        'ip route add default via 10.0.0.1 table 99; ip rule add from 10.0.1.0/24 lookup 99 priority 500',
      ask: TO_OUTSIDE,
      codes: ['foreign-rule'],
      says: "rule 500 (from 10.0.1.0/24 lookup 99) is none of eni-agent's and comes before priority 21001: packets from 10.0.1.5 to 203.0.113.250 leave by eth0, where the cloud drops them; remove it, or give it a priority above 21001",
      undo: 'ip rule del priority 500',
    },
    {
      what: 'a rule of better priority refuses',
      script: 'ip rule add from 10.0.1.5 to 203.0.113.0/24 prohibit priority 501',
      ask: TO_OUTSIDE,
      codes: ['foreign-rule'],
      says: "rule 501 (from 10.0.1.5 to 203.0.113.0/24 prohibit) is none of eni-agent's",
      undo: 'ip rule del priority 501',
    },
    {
      what: 'the address is moved to another NIC',
      script: 'ip addr del 10.0.1.5/24 dev eth1; ip addr add 10.0.1.5/24 dev eth2',
      ask: TO_OUTSIDE,
      codes: ['address-moved'],
      says: '10.0.1.5 is on eth2, but it is listed on eth1, and rule 21001 (from 10.0.1.5 lookup 21001) leads to the table of eth1; take it off eth2, then `eni-agent reconfigure eth1` puts it right',
      undo: 'ip addr del 10.0.1.5/24 dev eth2; ip addr add 10.0.1.5/24 dev eth1',
      // The cloud brings its packets to eth1, where the kernel takes them for its own.
      connects: true,
    },
    {
      what: 'an address that the metadata does not list is moved, and its rule is not',
      script: 'ip rule add from 10.0.1.50 lookup 21001 priority 21001; ip addr add 10.0.1.50/24 dev eth2',
      ask: [OUTSIDE, '--from', '10.0.1.50'],
      codes: ['address-moved'],
      says: '10.0.1.50 belongs to eth2, but rule 21001 (from 10.0.1.50 lookup 21001) leads to the table of eth1: packets from 10.0.1.50 to 203.0.113.250 leave by eth1, where the cloud drops them; `eni-agent reconfigure eth2` puts it right',
      undo: 'ip addr del 10.0.1.50/24 dev eth2; ip rule del from 10.0.1.50',
    },
    {
      what: 'the address is removed',
      script: 'ip addr del 10.0.1.5/24 dev eth1',
      ask: TO_OUTSIDE,
      codes: ['source-missing'],
      says: '10.0.1.5 is on no interface of this machine: it is listed on eth1; `eni-agent reconfigure eth1` puts it right',
    },
    {
      what: 'the rule of an IPv6 address is deleted',
      script: 'ip -6 rule del from 2001:db8:1::5',
      ask: TO_OUTSIDE6,
      codes: ['no-rule'],
      says: 'no rule leads 2001:db8:1::5 to table 21001, that of eth1: the kernel refuses packets from 2001:db8:1::5 to 2001:db8:ffff::250 (Network is unreachable)',
    },
    {
      what: 'its NIC is down, and it has vanished',
      script: 'ip link set eth1 down',
      ask: TO_OUTSIDE6,
      codes: ['link-down'],
      says: 'eth1 is down, and has taken 2001:db8:1::5 with it; `eni-agent reconfigure eth1` puts it right',
    },
    {
      what: "the table's default leads to another NIC",
      script: 'ip route replace default via 10.0.0.1 dev eth0 table 21001',
      ask: TO_OUTSIDE,
      codes: ['wrong-route'],
      says: "default via 10.0.0.1 dev eth0 in table 21001 is none of eni-agent's",
      undo: 'ip route replace default via 10.0.1.1 dev eth1 table 21001',
    },
    {
      what: 'the table refuses a network',
      script: 'ip route add unreachable 203.0.113.0/24 table 21001',
      ask: TO_OUTSIDE,
      codes: ['wrong-route'],
      says: "unreachable 203.0.113.0/24 in table 21001 is none of eni-agent's: the kernel refuses packets",
      undo: 'ip route del unreachable 203.0.113.0/24 table 21001',
    },
    {
      what: 'the table hands a network on that main sends by another NIC',
      script:
        'ip route add 203.0.113.0/24 via 10.0.0.1 dev eth0; ip route add throw 203.0.113.0/24 table 21001',
      ask: TO_OUTSIDE,
      codes: ['throw'],
      says: 'throw 203.0.113.0/24 in table 21001 hands it on to main: packets from 10.0.1.5 to 203.0.113.250 leave by eth0',
      undo: 'ip route del 203.0.113.0/24; ip route del throw 203.0.113.0/24 table 21001',
    },
    {
      what: 'main has a route that gives unbound packets the address of another NIC',
      script: 'ip route add 203.0.113.0/24 via 10.0.0.1 dev eth0 src 10.0.1.5',
      ask: UNBOUND,
      codes: ['wrong-source'],
      says: 'unbound packets to 203.0.113.250 leave by eth0',
      undo: 'ip route del 203.0.113.0/24',
    },
    {
      what: 'main refuses the destination',
      script: 'ip route add unreachable 203.0.113.0/24',
      ask: UNBOUND,
      codes: ['no-route'],
      says: 'unreachable 203.0.113.0/24 in table main: the kernel refuses packets to 203.0.113.250 (No route to host)',
      undo: 'ip route del unreachable 203.0.113.0/24',
    },
    {
      what: 'a rule is left of a NIC that is not there',
      script:
        'ip rule del from 10.0.1.5; ip route add default via 10.0.0.1 table 21100; ip rule add from 10.0.1.5 lookup 21100 priority 21100',
      ask: TO_OUTSIDE,
      codes: ['stale-rule'],
      says: 'rule 21100 (from 10.0.1.5 lookup 21100) leads to a table of no NIC of this machine',
      undo: 'ip rule del priority 21100; ip route flush table 21100; ip rule add from 10.0.1.5 lookup 21001 priority 21001',
    },
  ];

  test('is named, with what to do, and exits 3; a connection fails as long, and both are well once it is put right', async () => {
    const lab = await threeNics();
    for (const [index, { what, script, ask, codes, says, undo, connects = false }] of BREAKS.entries()) {
      await sh(lab.vm, script);
      // An unbound socket that is connected has its source, and so its way, by now.
      const [to = '', , source] = ask;
      const isTried = source !== undefined && index < sized(TRIED_BREAKS, BREAKS.length);
      const connecting = isTried ? lab.vm.connectFrom({ to, source }) : null;
      const { exitCode, document } = await explain(lab.vm, ...ask);
      expect(document, what).toMatchObject({ good: false, problems: codes.map((code) => ({ code })) });
      expect(document.problems.map(({ message }) => message).join('\n'), what).toContain(says);
      expect(exitCode, what).toBe(3);
      if (connecting !== null) expect((await connecting).outcome === 'ok', what).toBe(connects);
      if (undo !== undefined) await sh(lab.vm, undo);
      else expect((await lab.vm.agent(['reconfigure'])).exitCode, what).toBe(0);
    }
    for (const [to = '', option = '', source = ''] of [TO_OUTSIDE, TO_OUTSIDE6]) {
      const { exitCode, document } = await explain(lab.vm, to, option, source);
      expect({ exitCode, problems: document.problems }).toEqual({ exitCode: 0, problems: [] });
      expect((await lab.vm.connectFrom({ to, source })).outcome, source).toBe('ok');
    }
  });
});

describe('explain', () => {
  const MISUSES: readonly (readonly [args: readonly string[], message: string])[] = [
    [['example.com'], 'explaining example.com: the destination has to be the IP address of a host'],
    [['10.0.1.0/24'], 'explaining 10.0.1.0/24: the destination has to be the IP address of a host'],
    [['0.0.0.0'], 'explaining 0.0.0.0: the destination has to be the IP address of a host'],
    [[OUTSIDE, '--from', 'eth1'], 'explaining eth1: --from has to be the IP address of a host'],
    [
      [OUTSIDE, '--from', '2001:db8::4'],
      'explaining 203.0.113.250: the destination is IPv4, --from 2001:db8::4 is IPv6',
    ],
    [[], "missing required argument 'dest'"],
  ];

  test('tells the story of a packet that gets through, and of one that does not', async () => {
    const lab = await threeNics();
    const good = await lab.vm.agent(['explain', OUTSIDE, '--from', '10.0.1.5']);
    expect(good.stdout).toBe(`203.0.113.250 from 10.0.1.5
  rule     21001: from 10.0.1.5 lookup 21001 (eni-agent's)
  route    default via 10.0.1.1 dev eth1 in table 21001
  leaves   by eth1 to gateway 10.0.1.1, source 10.0.1.5
  NIC      eth1, 02:e0:0a:00:01:04, secondary, managed by eni-agent, table 21001
  reply    a packet from 203.0.113.250 to 10.0.1.5 comes in by eth1 and is answered by the same
Nothing is wrong with it.`);
    expect(good.exitCode).toBe(0);
    await sh(lab.vm, 'ip rule del from 10.0.1.5; ip rule add fwmark 7 lookup 99 priority 50');
    const bad = await lab.vm.agent(['explain', OUTSIDE, '--from', '10.0.1.5']);
    expect(bad.stdout).toBe(`203.0.113.250 from 10.0.1.5
  rule     32766: from all lookup main
  route    default via 10.0.0.1 dev eth0 in table main
  leaves   by eth0 to gateway 10.0.0.1, source 10.0.1.5
  NIC      eth0, 02:e0:0a:00:00:04, primary, managed by eni-agent, table 21000
  reply    a packet from 203.0.113.250 to 10.0.1.5 comes in by eth1 and is answered by eth0
  note: packets with the mark, protocol, port or user of rule 50 go by that one: from all fwmark 0x7 lookup 99
! no rule leads 10.0.1.5 to table 21001, that of eth1: packets from 10.0.1.5 to 203.0.113.250 leave by eth0, where the cloud drops them; \`eni-agent reconfigure eth1\` puts it right`);
    expect(bad.exitCode).toBe(3);
    expect((await lab.vm.agent(['reconfigure', 'eth1'])).exitCode).toBe(0);
  });

  test('has nothing against a bridge that is reached from the address of a NIC, and names the rule that passed it on', async () => {
    const lab = await threeNics();
    await sh(
      lab.vm,
      'ip link add docker0 type bridge; ip link set docker0 up; ip addr add 172.17.0.1/16 dev docker0',
    );
    await lab.vm.agent(['reconfigure']);
    const { stdout, exitCode } = await lab.vm.agent(['explain', '172.17.0.2', '--from', '10.0.1.4']);
    expect(stdout).toContain(
      '\n  passed   21001: from 10.0.1.4 lookup 21001: its table hands 172.17.0.0/16 on (throw)\n' +
        '  rule     32766: from all lookup main\n',
    );
    expect(stdout).toContain(' comes in by docker0 and is answered by the same\n');
    expect(exitCode).toBe(0);
  });

  test('says what a container behind a bridge needs: translation, and connection marks for what is published', async () => {
    const lab = await threeNics();
    await sh(
      lab.vm,
      `echo 1 > /proc/sys/net/ipv4/ip_forward
       ip link add docker0 type bridge; ip link set docker0 up; ip addr add 172.17.0.1/16 dev docker0`,
    );
    const { exitCode, document } = await explain(lab.vm, OUTSIDE, '--from', '172.17.0.2');
    expect(document).toMatchObject({ way: { interface: 'eth0', gateway: '10.0.0.1' }, reply: null });
    expect(document.notes).toEqual([
      '172.17.0.2 is behind docker0, no NIC of the cloud: it gets out only where it is translated (NAT)',
      expect.stringContaining('with routing.forwarded: connmark they would not'),
    ]);
    expect(exitCode).toBe(0);
    await sh(lab.vm, 'ip rule add fwmark 0x10000/0xf0000 lookup 21001 priority 21001');
    expect((await explain(lab.vm, OUTSIDE, '--from', '172.17.0.2')).document.notes).toHaveLength(1);
  });

  test('works before the first run, and with the metadata down; writes nothing and starts no process', async () => {
    const lab = await openLab();
    await lab.metadata.down();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await sh(lab.vm, 'ip link set eth1 up; ip addr add 10.0.1.4/24 dev eth1');
    const before = await lab.vm.snapshot({ identity: true });
    const trace = 'trace=execve,openat,mkdir,rename,renameat2,unlink,link,connect';
    const { exitCode, strace, stdout } = await lab.vm.agent(['explain', OUTSIDE, '--from', '10.0.1.4'], {
      strace: trace,
    });
    expect(stdout).toContain('NIC      eth0: no answer of the metadata is known yet\n');
    expect(stdout).toContain('! no rule leads 10.0.1.4 to a table of eth1: ');
    expect(exitCode).toBe(3);
    expect(strace.match(/execve\(/g)).toHaveLength(1);
    expect(strace).not.toMatch(/mkdir|rename|unlink|link\(|connect\(|O_WRONLY|O_CREAT/);
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  });

  test('refuses what is no address of a host', async () => {
    const lab = await openLab();
    for (const [args, message] of MISUSES) {
      const { exitCode, stderr, stdout } = await lab.vm.agent(['explain', ...args]);
      expect(stderr).toContain(message);
      expect({ exitCode, stdout }, message).toEqual({ exitCode: 2, stdout: '' });
    }
  });
});

describe('the verdict', () => {
  const SOURCES = [null, VM_ADDRESS, '10.0.1.4', '10.0.1.5', '10.0.2.4'];
  const CLIENTS = CLIENT_SUBNETS.map(({ client }) => client.address);
  const PAIRS = CLIENTS.flatMap((to) => SOURCES.map((from) => ({ from, to })));

  /** Pairs about which explain and a connection do not agree, and how many do not get through. */
  async function disagreements(vm: Vm): Promise<{ wrong: readonly string[]; broken: number }> {
    const [documents, outcomes] = await Promise.all([
      explainAll(vm, PAIRS),
      Promise.all(
        PAIRS.map(({ from, to }) => vm.connectFrom({ to, ...(from === null ? {} : { source: from }) })),
      ),
    ]);
    const cells = PAIRS.map(({ from, to }, index) => ({
      name: `${from} > ${to}`,
      isGood: documents[index]?.good,
      isThrough: outcomes[index]?.outcome === 'ok',
    }));
    return {
      wrong: cells.filter(({ isGood, isThrough }) => isGood !== isThrough).map(({ name }) => name),
      broken: cells.filter(({ isThrough }) => !isThrough).length,
    };
  }

  test('is what a connection finds: with the agent, with primary: never, and without the agent', async () => {
    const lab = await threeNics();
    expect(await disagreements(lab.vm)).toEqual({ wrong: [], broken: 0 });
    await lab.vm.agent(['reconfigure'], { config: 'routing: { primary: never }\n' });
    expect(await disagreements(lab.vm)).toEqual({ wrong: [], broken: 2 });
    await lab.vm.agent(['release', '--all']);
    const byHand = ['10.0.1.4 eth1', '10.0.1.5 eth1', '10.0.2.4 eth2'].map((words) => {
      const [address, link] = words.split(' ');
      return `ip link set ${link} up; ip addr add ${address}/24 dev ${link}`;
    });
    await sh(lab.vm, byHand.join('; '));
    expect(await disagreements(lab.vm)).toEqual({ wrong: [], broken: 11 });
  });
});
