/** `routing.forwarded: connmark`: a published port answers by the NIC that the question came in by. */
import { describe, expect, test } from 'vitest';
import { brokenCells, sentBy } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { withCapabilities } from '../lab/programs.ts';
import { openPublishedLab, PUBLISHED_ADDRESSES, publishedMatrix, untilAllAnswer } from '../lab/published.ts';
import { EVERY_SECOND, inSync, networkOf, sized } from '../lab/settled.ts';
import { addContainer, PLACES } from '../lab/surroundings.ts';
import { ECHO_PORT, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const CONNMARK = 'routing: { forwarded: connmark }\n';
const OFF = 'routing: { forwarded: off }\n';
const DOCKER = ['table ip docker', 'table ip6 docker'];
/** Without marks a container's replies go by main: out by the primary NIC, to neighbours by the NIC in their subnet. */
const BROKEN_WITHOUT = [
  'outside > 10.0.1.4',
  'outside > 10.0.1.5',
  'outside > 10.0.2.4',
  'client-10.0.0 > 10.0.1.4',
  'client-10.0.0 > 10.0.1.5',
  'client-10.0.0 > 10.0.2.4',
  `client-10.0.1 > ${VM_ADDRESS}`,
  'client-10.0.1 > 10.0.2.4',
  `client-10.0.2 > ${VM_ADDRESS}`,
  'client-10.0.2 > 10.0.1.4',
  'client-10.0.2 > 10.0.1.5',
];

/** Somebody who uses the other bits of both marks, and counts connections of ours that have lost them. */
const OTHERS_MARKS = `table inet others {
  chain before {
    type filter hook prerouting priority -160
    ct state new ct mark set 0xabcdef00
    meta mark set 0x12345600
  }
  chain after {
    type filter hook prerouting priority -140
    ct mark and 0x7f == 0 accept
    ct mark and 0xffffff80 != 0xabcdef00 counter comment "broken"
    meta mark and 0xffffff80 != 0x12345600 counter comment "broken"
    meta mark and 0x7f != 0 counter comment "whole"
  }
}`;

const PUBLISHED_ECHO = `add rule ip docker prerouting fib daddr type local tcp dport ${ECHO_PORT} dnat to ${PLACES[4].container}`;

const tablesOf = async ({ vm }: Lab): Promise<readonly string[]> =>
  (await vm.run('nft', ['list', 'tables'])).stdout.split('\n').filter((line) => line !== '');

const markRulesOf = async ({ vm }: Lab): Promise<readonly string[]> =>
  (await vm.run('ip', ['rule'])).stdout.split('\n').filter((line) => line.includes('fwmark'));

describe('a published port', () => {
  test('answers every client on every address, each reply by the NIC that owns it, and only with the marks', async () => {
    const lab = await openPublishedLab();
    expect((await lab.vm.agent(['reconfigure'], { config: OFF })).exitCode).toBe(0);
    expect(brokenCells(await publishedMatrix(lab, PUBLISHED_ADDRESSES))).toEqual(BROKEN_WITHOUT);
    const without = await networkOf(lab.vm);
    // As the units run it.
    const through = withCapabilities('net_admin');
    const result = await lab.vm.agent(['reconfigure'], { config: CONNMARK, through });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toContain(
      '+ rule fwmark 0x7e/0x7f lookup 21001 priority 21001 on eth1 (forwarded replies leave by the NIC that the connection came in by)\n',
    );
    expect(result.stdout).toContain(
      '+ mark 0x7e/0x7f on eth1 (replies of forwarded connections leave by the NIC)\n',
    );
    await untilAllAnswer(lab, PUBLISHED_ADDRESSES);
    expect(brokenCells(await lab.matrix(PUBLISHED_ADDRESSES))).toEqual([]);

    const before = await lab.vm.snapshot({ identity: true });
    const second = await lab.vm.agent(['reconfigure'], { strace: 'trace=execve,execveat' });
    expect(second.stdout).toBe('In sync: nothing to change.');
    expect(second.strace.match(/execve/g)).toHaveLength(1);
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);

    const off = await lab.vm.agent(['reconfigure'], { config: OFF });
    expect(off.stdout).toContain('- mark 0x7e/0x7f on eth1');
    expect(await tablesOf(lab)).toEqual(DOCKER);
    expect(await markRulesOf(lab)).toEqual([]);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
    expect(await networkOf(lab.vm)).toBe(without);
  });

  test('a container reaches out as before, and bits of the marks that are not ours stay as others set them', async () => {
    const lab = await openLab();
    await addContainer(lab);
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.run('nft', [OTHERS_MARKS]);
    expect((await lab.vm.agent(['reconfigure'], { config: CONNMARK })).exitCode).toBe(0);
    await untilAllAnswer(lab, [VM_ADDRESS, '10.0.1.4']);
    const outside = await lab.connect({ from: 'container', to: '203.0.113.250' });
    expect(outside).toMatchObject({ outcome: 'ok', answer: { remote: VM_ADDRESS } });
    const { stdout } = await lab.vm.run('nft', ['list', 'chain', 'inet', 'others', 'after']);
    const counts = [...stdout.matchAll(/packets (\d+) .*comment "(\w+)"/g)];
    expect(counts.map(([, packets, what]) => `${what} ${Number(packets) > 0}`)).toEqual([
      'broken false',
      'broken false',
      'whole true',
    ]);
  });

  test('IPv6 and NICs in one subnet are answered by the right NIC, too', async () => {
    const lab = await openLab();
    await addContainer(lab);
    const v6 = ['2001:db8:1::4', '2001:db8:1::5'];
    await lab.attachEni({ addresses: ['10.0.1.4', ...v6] });
    await lab.attachEni({ addresses: ['10.0.0.20'] });
    const config = `${CONNMARK}interfaces:
  - match: { name: eth1 }
    addresses: [${v6.map((address) => `'${address}/64'`).join(', ')}]
    gateway6: fe80::feee:ffff:feff:ffff
`;
    const { exitCode, stdout } = await lab.vm.agent(['reconfigure'], { config });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/\+ mark 0x7[ed]\/0x7f \(IPv6\) on eth1/);
    await untilAllAnswer(lab, [VM_ADDRESS, '10.0.1.4', ...v6, '10.0.0.20']);
    const counters = Object.values(await lab.portCounters());
    expect(counters.flatMap((port) => sentBy(port).spoofed)).toEqual([]);
  });

  test('sessions with the container last while NICs come and go, also one in the subnet of the client', async () => {
    const lab = await openLab();
    await addContainer(lab);
    await lab.vm.run('nft', [PUBLISHED_ECHO]);
    const daemon = await lab.vm.startDaemon({ config: `${CONNMARK}${EVERY_SECOND}` });
    await daemon.waitForStatus(inSync(lab.primary.mac));
    const lasting = await lab.openSession({ from: 'client-10.0.1', to: VM_ADDRESS });
    const stop = lasting.keepExchanging();
    for (let count = 0; count < sized(1, 20); count += 1) {
      const second = await lab.attachEni({ addresses: ['10.0.1.4'] });
      await daemon.waitForStatus(inSync(second.mac));
      const session = await lab.openSession({ from: 'outside', to: '10.0.1.4' });
      const stopped = session.keepExchanging();
      const third = await lab.attachEni({ addresses: ['10.0.2.4'] });
      await daemon.waitForStatus(inSync(third.mac));
      await lab.detachEni(third.mac);
      await daemon.waitForStatus(({ interfaces }) => interfaces.length === 2);
      expect(await stopped()).toBeGreaterThan(1);
      expect(await session.retransmissions()).toBe(0);
      await session.close();
      await lab.detachEni(second.mac);
      await daemon.waitForStatus(({ interfaces }) => interfaces.length === 1);
    }
    expect(await stop()).toBeGreaterThan(1);
    expect(await lasting.retransmissions()).toBe(0);
  });

  test('what somebody removes comes back with the next run, alone and in a daemon', async () => {
    const lab = await openPublishedLab();
    await lab.vm.agent(['reconfigure'], { config: `${CONNMARK}${EVERY_SECOND}` });
    const table = async () => (await lab.vm.run('nft', ['-s', 'list', 'table', 'inet', 'eni_agent'])).stdout;
    const whole = await table();
    const damage = async () => {
      const { stdout } = await lab.vm.run('nft', ['-a', 'list', 'table', 'inet', 'eni_agent']);
      const [, handle = ''] = /eth1.* # handle (\d+)/.exec(stdout) ?? [];
      await lab.vm.run('nft', ['delete', 'rule', 'inet', 'eni_agent', 'prerouting', 'handle', handle]);
    };
    await damage();
    expect(await table()).not.toBe(whole);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('+ mark 0x7e/0x7f on eth1');
    expect(await table()).toBe(whole);
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(({ state }) => state === 'in-sync');
    await lab.vm.run('nft', ['delete', 'table', 'inet', 'eni_agent']);
    await until({
      what: 'the table is back',
      read: () => tablesOf(lab),
      holds: (tables) => tables.length === DOCKER.length + 1,
    });
    expect(await table()).toBe(whole);
    await daemon.stop();
    await damage();
    await lab.vm.agent(['reconfigure'], { config: OFF });
    expect(await tablesOf(lab)).toEqual(DOCKER);
  });

  test('wherever a run is killed, off takes everything away', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.agent(['reconfigure'], { config: OFF });
    const without = await networkOf(lab.vm);
    const killAt = (nth: number) =>
      lab.vm.agent(['reconfigure'], {
        config: CONNMARK,
        // strace counts the calls of each thread for itself: all files are handled by one.
        env: { UV_THREADPOOL_SIZE: '1' },
        strace: `inject=rename:signal=SIGKILL:when=${nth}`,
      });
    let kills = 0;
    while ((await killAt(kills + 1)).exitCode === null) {
      kills += 1;
      expect((await lab.vm.agent(['reconfigure'], { config: OFF })).exitCode).toBe(0);
      expect(await tablesOf(lab), `killed before rename ${kills}`).toEqual([]);
      expect(await networkOf(lab.vm)).toBe(without);
    }
    // The intent, with the generation before it and the journal, and what is remembered in the end.
    expect(kills).toBe(5);
  });

  test('a NIC that is detached takes its mark along, release --all the rest', async () => {
    const lab = await openLab();
    await addContainer(lab);
    await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    await lab.vm.agent(['reconfigure'], { config: CONNMARK });
    const { mac } = await lab.attachEni({ addresses: ['10.0.2.4'] });
    await lab.vm.agent(['reconfigure']);
    await lab.detachEni(mac);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('- mark 0x7d/0x7f on eth2');
    expect((await lab.vm.run('nft', ['list', 'table', 'inet', 'eni_agent'])).stdout).not.toContain('eth2');
    await untilAllAnswer(lab, [VM_ADDRESS, '10.0.1.4', '10.0.1.5']);
    expect((await lab.vm.agent(['release', '--all'])).exitCode).toBe(0);
    expect(await tablesOf(lab)).toEqual(DOCKER);
    expect(await markRulesOf(lab)).toEqual([]);
  });
});
