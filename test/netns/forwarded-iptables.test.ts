/** `routing.forwarded: connmark` on a machine without nft. */
import { expect, test } from 'vitest';
import type { Diagnosis } from '../../src/doctor/judge.ts';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { withCapabilities, withPrograms } from '../lab/programs.ts';
import {
  openPublishedLab,
  PUBLISHED_ADDRESS6,
  PUBLISHED_ADDRESSES,
  untilAllAnswer,
} from '../lab/published.ts';
import { EVERY_SECOND } from '../lab/settled.ts';
import { GATEWAY6 } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';

const IPV6 = `interfaces:
  - match: { name: eth1 }
    addresses: ['${PUBLISHED_ADDRESS6}/64']
    gateway6: ${GATEWAY6}
`;
const CONNMARK = `routing: { forwarded: connmark }\n${EVERY_SECOND}${IPV6}`;
const OFF = `routing: { forwarded: off }\n${IPV6}`;
const ADDRESSES = [...PUBLISHED_ADDRESSES, PUBLISHED_ADDRESS6];

const NFT_MULTI = '/usr/sbin/xtables-nft-multi';
const LEGACY_MULTI = '/usr/sbin/xtables-legacy-multi';

test.each([
  [
    'iptables on nftables without nft',
    {
      kind: 'nft',
      programs: { 'iptables-restore': NFT_MULTI, 'ip6tables-restore': NFT_MULTI },
      capabilities: ['net_admin'],
    },
  ],
  [
    'old iptables beside an nft that fails',
    {
      kind: 'legacy',
      programs: {
        'iptables-restore': LEGACY_MULTI,
        'ip6tables-restore': LEGACY_MULTI,
        nft: '/usr/bin/false',
      },
      capabilities: ['net_admin', 'net_raw'],
    },
  ],
])(
  '%s marks as nft does, is read without a process, and is left as it was',
  async (_, { kind, programs, capabilities }) => {
    const lab = await openPublishedLab();
    const through = [...(await withPrograms(programs)), ...withCapabilities(...capabilities)];
    const mangle = async (): Promise<string> => {
      const save = (program: string) => lab.vm.run(`${program}-${kind}-save`, ['-t', 'mangle']);
      const saved = await Promise.all(['iptables', 'ip6tables'].map(save));
      return saved.map(({ stdout }) => stdout.replaceAll(/^[#:].*$\n?/gm, '')).join('');
    };
    const iptables = (...args: string[]) => lab.vm.run(`iptables-${kind}`, ['-t', 'mangle', ...args]);
    await iptables('-A', 'PREROUTING', '-i', 'lo', '-j', 'ACCEPT');
    const before = await mangle();
    const first = await lab.vm.agent(['reconfigure'], { config: CONNMARK, through });
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await lab.vm.run('nft', ['list', 'tables'])).stdout).not.toContain('eni_agent');
    await untilAllAnswer(lab, ADDRESSES);
    const second = await lab.vm.agent(['reconfigure'], { strace: 'trace=execve,execveat' });
    expect(second.stdout).toBe('In sync: nothing to change.');
    expect(second.strace.match(/execve/g)).toHaveLength(1);
    await iptables('-F');
    await iptables('-A', 'PREROUTING', '-i', 'lo', '-j', 'ACCEPT');
    expect((await lab.vm.agent(['reconfigure'], { through })).stdout).toContain('+ mark 0x7e/0x7f on eth1');
    await untilAllAnswer(lab, ['10.0.1.4']);
    expect((await lab.vm.agent(['reconfigure'], { config: OFF, through })).exitCode).toBe(0);
    expect(await mangle()).toBe(before);
  },
);

test('without iptables, too, it is a problem of the NICs, which work otherwise', async () => {
  const lab = await openPublishedLab();
  const through = await withPrograms({});
  const result = await lab.vm.agent(['reconfigure'], { config: CONNMARK, through });
  expect(result.exitCode).toBe(3);
  expect(result.stdout).toMatch(
    /setting the connection marks of eth1: running nft .*ENOENT; running iptables-restore .*ENOENT; one of the two has to work/,
  );
  expect(brokenCells(await lab.matrix(PUBLISHED_ADDRESSES))).toEqual([]);
  const again = await lab.vm.agent(['reconfigure', '--json'], { through });
  expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'degraded', steps: [] });
  const daemon = await lab.vm.startDaemon({ through });
  await daemon.waitForStatus(({ interfaces }) => interfaces.every(({ state }) => state === 'failed'));
  // Longer than the second until the first attempt is made again.
  await until({
    what: 'a second attempt has failed',
    read: () =>
      Promise.resolve(daemon.log().filter(({ msg }) => msg.includes('connection marks of eth1')).length),
    holds: (attempts) => attempts >= 2,
  });
  const removedAt = performance.now();
  await lab.vm.run('ip', ['rule', 'del', 'from', '10.0.1.5', 'lookup', '21001']);
  await until({
    what: 'the rule is back',
    read: async () => (await lab.vm.run('ip', ['rule'])).stdout,
    holds: (rules) => rules.includes('from 10.0.1.5 lookup 21001'),
  });
  expect(performance.now() - removedAt).toBeLessThan(bound(1_000));
  await daemon.stop();
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  await untilAllAnswer(lab, PUBLISHED_ADDRESSES);
});

test('doctor finds what old iptables publishes, and says so where no program can list it', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  const rule = '-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80';
  await lab.vm.run('iptables-legacy', ['-t', 'nat', ...rule.split(' ')]);
  const examine = async (through: readonly string[]): Promise<Diagnosis> =>
    JSON.parse((await lab.vm.agent(['doctor', '--json'], { through })).stdout) as Diagnosis;
  const { findings } = await examine([]);
  expect(findings.find(({ id }) => id === 'published-ports')?.evidence).toEqual([rule]);
  const { checked, unknown } = await examine(await withPrograms({}));
  expect(checked).not.toContain('published-ports');
  const reasonOf = (reasons: Diagnosis['unknown']) =>
    reasons.find(({ id }) => id === 'published-ports')?.reason;
  expect(reasonOf(unknown)).toMatch(/iptables-save.*ENOENT/);
  await lab.vm.run('iptables-legacy', ['-t', 'nat', '-F']);
  await lab.vm.run('nft', ['add', 'table', 'inet', 'others']);
  const { unknown: without } = await examine(await withPrograms({ 'iptables-save': LEGACY_MULTI }));
  expect(reasonOf(without)).toMatch(/nft.*ENOENT/);
});
