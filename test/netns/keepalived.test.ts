/** High availability with Debian's Keepalived on two VMs; its files and the agent's are those of docs/keepalived.md. */
import { describe, expect, test } from 'vitest';
import { type Answers, watchAnswers } from '../lab/answers.ts';
import { brokenCells } from '../lab/cells.ts';
import { filesOfDoc } from '../lab/doc-files.ts';
import {
  at,
  createPair,
  type HaVm,
  moveByStopping,
  type Pair,
  running,
  startBoth,
  stopBoth,
  stopMaster,
} from '../lab/ha-pair.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { coverageOf } from '../lab/presence.ts';
import { alarms, INTERVAL_MS, sized, waitForAddresses } from '../lab/settled.ts';
import { bound, until } from '../lab/until.ts';
import { countOf, ruleLags } from '../lab/vip-history.ts';

const PAGE = 'keepalived.md';
const HAVIP = '10.0.1.100';
const MOVED = '10.0.1.50';
const EXCLUDED = '10.0.1.101';
const HOSTS = ['vm', 'vm2'];
const FAILOVERS = sized(2, 20);
const FAULTS_IN_ALL = sized(1, 21);
const RULE_MS = bound(1_000);
const ON_BOTH_MS = bound(2 * INTERVAL_MS + 1_000);

/** Whoever has the address answers by its ENI, and nothing is dropped anywhere. */
async function assertRightNic(lab: Lab, address: string, { eni }: HaVm): Promise<void> {
  const before = await lab.portCounters();
  expect(brokenCells(await lab.matrix([address]))).toEqual([]);
  const after = await lab.portCounters();
  expect(after[eni.mac]?.accepted[address]).toBeGreaterThan(before[eni.mac]?.accepted[address] ?? 0);
  for (const port of Object.keys(after))
    expect(after[port]?.spoofed, `dropped from ${port}`).toEqual(before[port]?.spoofed);
}

/** Sessions with all other addresses of both VMs; the returned function ends them. */
async function typeMeanwhile({ lab, vms }: Pair): Promise<() => Promise<void>> {
  const targets = vms.flatMap(({ primary, eni }) => [at(primary.addresses, 0), at(eni.addresses, 0)]);
  const sessions = await Promise.all(targets.map((to) => lab.openSession({ from: 'outside', to })));
  const stops = sessions.map((session) => session.keepTyping());
  return async () => {
    for (const stop of stops) expect((await stop()).bytes).toBeGreaterThan(0);
    for (const session of sessions) expect(await session.retransmissions()).toBe(0);
    await Promise.all(sessions.map((session) => session.close()));
  };
}

/** By the agents' logs, which have every step, their files, and what the kernels announced. Returns how late its rule was at most. */
async function assertMovedByKeepalivedAlone({ vms }: Pair, address: string): Promise<number> {
  const steps = vms.flatMap(({ daemon }) => daemon.log().map(({ msg }) => msg));
  expect(steps.filter((step) => step.includes(` address ${address}/`))).toEqual([]);
  const monitors = vms.map(({ monitor }) => monitor);
  expect(coverageOf(monitors, address).onBothMs).toBe(0);
  for (const { vm, monitor, keepalived } of vms) {
    for (const file of ['ifcfg-eth1', 'rule-eth1'])
      expect(await vm.readFile(`/etc/sysconfig/network-scripts/${file}`)).not.toContain(address);
    const mastered = keepalived.reduce((sum, each) => sum + each.mastered(), 0);
    expect(countOf(monitor, address, 'appeared')).toBe(mastered);
    expect(countOf(monitor, address, 'went')).toBe(mastered);
  }
  const lags = await until({
    what: 'every rule has followed its address',
    read: () => monitors.flatMap((monitor) => ruleLags(monitor, address)),
    holds: (all) => all.every(Number.isFinite),
  });
  expect(Math.max(...lags)).toBeLessThan(RULE_MS);
  return Math.max(...lags);
}

function report(what: string, { vms }: Pair, address: string, answers: Answers): void {
  const { onBothMs, onNoneMs } = coverageOf(
    vms.map(({ monitor }) => monitor),
    address,
  );
  const [gap, none, both] = [answers.longestGapMs(), onNoneMs, onBothMs].map((ms) => `${ms.toFixed(0)} ms`);
  console.log(`${what}: unanswered for ${gap} at most, on no VM for ${none}, on both for ${both}`);
}

/** What befalls a VM, and its end. */
const FAULTS: readonly ((lab: Lab, vm: HaVm) => Promise<() => Promise<void>>)[] = [
  (lab, { eni }) => pullCable(lab, eni.mac),
  async (_, { vm, eni }) => {
    await vm.run('ip', ['link', 'set', eni.linkName, 'down']);
    // The agent sets it up again.
    return async () => {};
  },
  (lab, { primary }) => pullCable(lab, primary.mac),
];

async function pullCable(lab: Lab, mac: string): Promise<() => Promise<void>> {
  await lab.setCarrier(mac, 'off');
  return () => lab.setCarrier(mac, 'on');
}

async function stopInTurns(pair: Pair, answers: Answers): Promise<void> {
  for (let count = 0; count < FAILOVERS; count += 1) {
    await stopMaster(pair, count % 2);
    await answers.waitFor(at(HOSTS, 1 - (count % 2)));
  }
}

async function failInTurns({ lab, vms }: Pair, answers: Answers): Promise<void> {
  for (let count = 0; count < FAULTS_IN_ALL; count += 1) {
    const failing = at(vms, count % 2);
    const heal = await at(FAULTS, count % FAULTS.length)(lab, failing);
    await answers.waitFor(at(HOSTS, 1 - failing.index));
    await heal();
    await running(failing).waitFor('BACKUP');
  }
}

test('a HAVIP moves with its rule, the agent leaves it alone, and nobody else notices', async () => {
  const lab = await openLab({ vms: 2 });
  const pair = await createPair(lab, filesOfDoc(PAGE, '1. A HAVIP'));
  const macs = pair.vms.map(({ eni }) => eni.mac);
  await lab.bindHavip(HAVIP, macs);
  await startBoth(pair);

  const stopping = watchAnswers(lab, { from: 'outside', to: HAVIP });
  await stopping.waitFor(at(HOSTS, 0));
  const stopTyping = await typeMeanwhile(pair);
  await stopInTurns(pair, stopping);
  await stopping.stop();
  await assertRightNic(lab, HAVIP, at(pair.vms, FAILOVERS % 2));
  await stopTyping();
  const { interfaces } = await at(pair.vms, FAILOVERS % 2).daemon.status();
  expect(interfaces.flatMap(({ addresses }) => addresses)).toContainEqual({
    address: HAVIP,
    state: 'foreign',
  });
  for (const { daemon } of pair.vms) expect(alarms(daemon.log())).toEqual([]);
  report(`HAVIP, ${FAILOVERS} times stopped`, pair, HAVIP, stopping);

  const failing = watchAnswers(lab, { from: 'outside', to: HAVIP });
  await failing.waitFor(at(HOSTS, FAILOVERS % 2));
  await failInTurns(pair, failing);
  await failing.stop();
  await stopBoth(pair);
  const lag = await assertMovedByKeepalivedAlone(pair, HAVIP);
  report(`HAVIP, ${FAULTS_IN_ALL} NICs failed`, pair, HAVIP, failing);
  console.log(`its rule followed it within ${lag.toFixed(0)} ms`);
});

async function moveInTurns(pair: Pair, address: string): Promise<Answers> {
  const { lab, vms } = pair;
  await startBoth(pair);
  const answers = watchAnswers(lab, { from: 'outside', to: address });
  await answers.waitFor(at(HOSTS, 0));
  const stopTyping = await typeMeanwhile(pair);
  for (let count = 0; count < FAILOVERS; count += 1) {
    const from = at(vms, count % 2);
    await moveByStopping(pair, from.index);
    await answers.waitFor(at(HOSTS, 1 - from.index));
    await waitForAddresses(from.vm, from.eni.linkName, [at(from.eni.addresses, 0)]);
  }
  await answers.stop();
  await assertRightNic(lab, address, at(vms, FAILOVERS % 2));
  await stopTyping();
  return answers;
}

describe('a secondary IP that the cloud moves when Keepalived asks for it', () => {
  test('goes and comes by the agents', async () => {
    const lab = await openLab({ vms: 2 });
    const pair = await createPair(lab, filesOfDoc(PAGE, '2. A secondary IP that the agent sets'), [MOVED]);
    const answers = await moveInTurns(pair, MOVED);
    const monitors = pair.vms.map(({ monitor }) => monitor);
    expect(coverageOf(monitors, MOVED).onBothMs).toBeLessThan(ON_BOTH_MS);
    report(`the agents' secondary IP, ${FAILOVERS} failovers`, pair, MOVED, answers);
  });

  test('is left to Keepalived where the configuration excludes it', async () => {
    const lab = await openLab({ vms: 2 });
    const scripts = filesOfDoc(PAGE, '2. A secondary IP that the agent sets');
    const files = filesOfDoc(PAGE, '3. A secondary IP that Keepalived sets');
    const pair = await createPair(lab, { ...scripts, ...files }, [EXCLUDED]);
    const answers = await moveInTurns(pair, EXCLUDED);
    await stopBoth(pair);
    await assertMovedByKeepalivedAlone(pair, EXCLUDED);
    report(`Keepalived's secondary IP, ${FAILOVERS} failovers`, pair, EXCLUDED, answers);
  });
});
