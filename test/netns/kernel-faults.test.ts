/**
 * What the kernel does to a run at each of its messages. That objects change while they are listed, that a link goes in the middle and
 * that others are faster: kernel.test.ts, apply.test.ts and foreign.test.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { networkOf, sized } from '../lab/settled.ts';
import { until } from '../lab/until.ts';

const ADDRESSES = ['10.0.1.4', '10.0.1.5'];

/** The first is as soon as the run says that it begins with the kernel, each other one so much later. */
const PULLS = sized(1, 40);
const LATER_MS = 15;
/** From the first change on: longer than a pull takes. */
const SLOW_MS = 100;
/** Links, addresses, routes and rules, by family. */
const MESSAGES_OF_A_LOOK = 7;
const HOLD_MS = 1_000;
const JOURNAL = '/run/eni-agent/journal.json';

const CONFIG = 'daemon: { removalConfirmations: 1 }\n';
/** With a gateway that the kernel refuses. */
const REFUSED = `${CONFIG}interfaces:
  - match: { role: secondary }
    routes: [{ to: 172.20.0.0/16, via: 192.0.2.1 }]
`;

test.each([
  ['attach', CONFIG, 0],
  ['attach that is rolled back', REFUSED, 3],
])(
  'an answer that is lost for want of memory in an %s: the end is the same',
  {
    timeout: 600_000,
  },
  async (_, config, exitCode) => {
    const lab = await openLab();
    await lab.vm.writeConfig(config);
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    const first = await lab.vm.agent(['reconfigure'], { strace: 'trace=sendmsg,recvmsg' });
    expect(first.exitCode).toBe(exitCode);
    const complete = await network(lab);
    const { count, change } = messagesIn(first.strace);
    // Each is one datagram, or the word that there are no more.
    expect(count).toBeGreaterThan(30);
    for (const nth of sized(
      [change],
      Array.from({ length: count }, (__, index) => index + 1),
    )) {
      await lab.detachEni(mac);
      await lab.vm.agent(['reconfigure']);
      await lab.attachEni({ addresses: ADDRESSES, mac });
      const strace = `inject=recvmsg:error=ENOBUFS:when=${nth}`;
      const run = await lab.vm.agent(['reconfigure'], { strace });
      expect(run.strace).toContain('INJECTED');
      expect(run.exitCode, `message ${nth}: ${run.stderr}`).toBe(exitCode);
      expect(await network(lab), `message ${nth}`).toEqual(complete);
    }
  },
);

interface Messages {
  /** How many were received. */
  readonly count: number;
  /** Which of them, from 1, was the answer to the last change. */
  readonly change: number;
  /** Which of those that were sent, from 1, was the first change. */
  readonly firstChange: number;
}

function messagesIn(strace: string): Messages {
  const calls = strace.split('\n').flatMap((line) => /(?:recvmsg|sendmsg)\(.*/.exec(line) ?? []);
  const isAnswer = (call: string): boolean => call.startsWith('recvmsg');
  const isChange = (call: string): boolean => !isAnswer(call) && /RTM_NEW(ADDR|RULE|ROUTE)/.test(call);
  const sent = calls.filter((call) => !isAnswer(call));
  const firstChange = sent.findIndex(isChange);
  const answersBefore = calls.slice(0, calls.findLastIndex(isChange)).filter(isAnswer).length;
  return {
    count: calls.filter(isAnswer).length,
    change: answersBefore + 1,
    firstChange: firstChange + 1,
  };
}

test('a NIC that is pulled in the middle of a run: nothing of it is left, and nothing else is touched', {
  timeout: 600_000,
}, async () => {
  const lab = await openLab();
  await lab.vm.writeConfig(CONFIG);
  await lab.attachEni({ addresses: ['10.0.2.4', '10.0.2.5'] });
  await lab.vm.agent(['reconfigure']);
  const before = await network(lab);
  const whole = await lab.attachEni({ addresses: ADDRESSES });
  const traced = await lab.vm.agent(['reconfigure'], { strace: 'trace=sendmsg,recvmsg' });
  const { firstChange } = messagesIn(traced.strace);
  await lab.detachEni(whole.mac);
  await lab.vm.agent(['reconfigure']);
  let gone = 0;
  // On a busy machine one may come too late, and a look may take a message more or less; the next run then waits longer for it, at each.
  for (let pull = 0; pull < PULLS || (gone === 0 && pull < PULLS + 5); pull += 1) {
    const { mac } = await lab.attachEni({ addresses: ADDRESSES });
    const slowMs = SLOW_MS * 2 ** Math.max(0, pull - PULLS + 1);
    const strace = `inject=sendmsg:delay_enter=${slowMs}ms:when=${pull < PULLS ? firstChange : 1}+`;
    const running = lab.vm.agent(['reconfigure'], { strace });
    await until({
      what: 'the run has written what it is about to do',
      read: () => lab.vm.readFile(JOURNAL).catch(() => ''),
      holds: (text) => text !== '',
    });
    await sleep(pull * LATER_MS);
    await lab.detachEni(mac);
    const { exitCode, stdout, stderr } = await running;
    const run = `pull ${pull}: ${stdout} ${stderr}`;
    expect([0, 3], run).toContain(exitCode);
    if (exitCode !== 0) gone += 1;
    expect((await lab.vm.agent(['reconfigure'])).exitCode, run).toBe(0);
    expect(await network(lab), run).toEqual(before);
  }
  console.log(`pulled ${PULLS} times, ${gone} of them in the middle`);
  expect(gone).toBeGreaterThan(0);
});

test('a NIC that is pulled while the run looks whether the kernel took everything is gone, and no error', {
  timeout: 600_000,
}, async () => {
  const lab = await openLab();
  await lab.vm.writeConfig(CONFIG);
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const traced = await lab.vm.agent(['reconfigure'], { strace: 'trace=sendmsg,recvmsg' });
  await lab.detachEni(mac);
  await lab.vm.agent(['reconfigure']);
  const before = await network(lab);
  const { firstChange } = messagesIn(traced.strace);
  let tries = 0;
  await until({
    what: 'it is pulled between two lists',
    read: async () => {
      tries += 1;
      // Each message from the change on is held back: so that of the list of links, and then that of addresses. On a busy machine some more
      // questions may come before.
      const slow = `${firstChange}..${firstChange + tries * MESSAGES_OF_A_LOOK}`;
      // And a pull takes longer.
      const holdMs = HOLD_MS * (1 + ((tries - 1) % 3) / 2);
      const strace = `inject=sendmsg:delay_enter=${holdMs}ms:when=${slow}`;
      await lab.attachEni({ addresses: ADDRESSES, mac });
      let isOver = false;
      const running = lab.vm
        .agent(['--log-level', 'info', 'reconfigure'], { strace })
        .finally(() => (isOver = true));
      await until({
        what: 'the addresses are there, or the run is over',
        read: async () => (await lab.vm.run('ip', ['-o', '-4', 'address', 'show', 'eth1'])).stdout,
        holds: (text) => isOver || ADDRESSES.every((address) => text.includes(` ${address}/`)),
        // What is held back goes stale, and is asked for again.
        deadlineMs: 3 * tries * MESSAGES_OF_A_LOOK * holdMs,
      });
      await sleep(holdMs + holdMs / 4);
      await lab.detachEni(mac);
      const { exitCode, stderr } = await running;
      expect([0, 3]).toContain(exitCode);
      expect(stderr).not.toContain('"level":"error"');
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      expect(await network(lab)).toEqual(before);
      return stderr;
    },
    holds: (stderr) => stderr.includes('verifying eth1: the kernel took it, but it does not show'),
    deadlineMs: 120_000,
  });
});

test('answers that are lost each time: exit 1 and the reason; the next run does the rest', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ADDRESSES });
  const run = await lab.vm.agent(['reconfigure'], { strace: 'inject=recvmsg:error=ENOBUFS' });
  expect(run.exitCode).toBe(1);
  expect(run.stderr).toContain('talking to the kernel over rtnetlink: ');
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
});

/** A link that came back has another index. */
async function network({ vm }: Lab): Promise<readonly string[]> {
  return (await networkOf(vm))
    .split('\n')
    .map((line) => line.replace(/^\d+: eth/, 'eth'))
    .toSorted();
}
