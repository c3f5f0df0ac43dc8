/** Invariant 11: whoever is logged in, over the primary NIC or over a secondary, notices nothing of what happens to another NIC. */
import { expect, test } from 'vitest';
import type { Eni } from '../lab/cloud.ts';
import type { Daemon } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, sized, waitForAddresses } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const STAYS = '10.0.1.4';
/** In the subnet of a client that has sessions: where they are most in danger. */
const OTHER = addressRange('10.0.2.4', 4);
const ASSIGNED = '10.0.2.50';
const ASSIGNED_BESIDE = '10.0.1.50';
const CLIENTS = ['outside', 'client-10.0.2'];
const BRIDGE = '172.17.0.0/16';
/** Of the primary and of two secondaries. */
const TABLES = 3;
/** A byte every 10 ms makes 100; a loaded machine may be that much slower. */
const LEAST_BYTES_PER_SECOND = 20;

interface Stage {
  readonly lab: Lab;
  readonly stays: Eni;
  /** Another process after each start. */
  daemon: Daemon;
}

/** What happens between the attach and the detach of another NIC. */
const EVENTS: Readonly<Record<string, (stage: Stage, other: Eni) => Promise<void>>> = {
  'addresses are assigned and unassigned': async ({ lab, stays }, { mac, linkName }) => {
    await lab.assignAddress(mac, ASSIGNED);
    await lab.assignAddress(stays.mac, ASSIGNED_BESIDE);
    await waitForAddresses(lab.vm, linkName, [...OTHER, ASSIGNED]);
    await waitForAddresses(lab.vm, stays.linkName, [STAYS, ASSIGNED_BESIDE]);
    await lab.unassignAddress(mac, ASSIGNED);
    await lab.unassignAddress(stays.mac, ASSIGNED_BESIDE);
    await waitForAddresses(lab.vm, linkName, OTHER);
    await waitForAddresses(lab.vm, stays.linkName, [STAYS]);
  },
  'the other NIC is set down, and comes up again': async ({ lab, daemon }, { mac, linkName }) => {
    await lab.vm.run('ip', ['link', 'set', linkName, 'down']);
    await until({
      what: `${linkName} is up again`,
      read: async () => (await lab.vm.run('ip', ['-o', 'link', 'show', linkName])).stdout,
      holds: (link) => link.includes(',UP'),
    });
    await daemon.waitForStatus(inSync(mac));
  },
  'a bridge of a container host comes and goes': async ({ lab }) => {
    await runIp(lab, 'link add docker0 type bridge');
    await runIp(lab, 'address add 172.17.0.1/16 dev docker0');
    await runIp(lab, 'link set docker0 up');
    await waitForThrows(lab, TABLES);
    await runIp(lab, 'link del docker0');
    await waitForThrows(lab, 0);
  },
  'the other NIC is released and taken back': async ({ lab, daemon }, { mac, linkName }) => {
    expect(await lab.vm.agent(['release', linkName])).toMatchObject({ exitCode: 0, stderr: '' });
    await waitForAddresses(lab.vm, linkName, []);
    expect(await lab.vm.agent(['reconfigure', linkName])).toMatchObject({ exitCode: 0, stderr: '' });
    await daemon.waitForStatus(inSync(mac));
  },
  'the daemon is stopped, and starts again': (stage, other) => startAgain(stage, other, 'stop'),
  'the daemon is killed, and starts again': (stage, other) => startAgain(stage, other, 'kill'),
};

async function runIp(lab: Lab, line: string): Promise<void> {
  await lab.vm.run('ip', line.split(' '));
}

async function waitForThrows(lab: Lab, count: number): Promise<void> {
  await until({
    what: `${count} tables have a throw for ${BRIDGE}`,
    read: async () => (await lab.vm.run('ip', ['route', 'show', 'table', 'all', 'type', 'throw'])).stdout,
    holds: (routes) => routes.split('\n').filter((line) => line.includes(BRIDGE)).length === count,
  });
}

async function startAgain(stage: Stage, { mac }: Eni, end: 'stop' | 'kill'): Promise<void> {
  await stage.daemon[end]();
  stage.daemon = await stage.lab.vm.startDaemon({ config: EVERY_SECOND });
  await stage.daemon.waitForStatus(inSync(mac));
}

/** `check` is called after each event, with its name. */
async function everythingHappens(stage: Stage, check: (event: string) => Promise<void>): Promise<void> {
  const { lab, stays } = stage;
  const other = await lab.attachEni({ addresses: OTHER });
  await stage.daemon.waitForStatus(inSync(other.mac));
  await check('another NIC is attached');
  for (const [event, happens] of Object.entries(EVENTS)) {
    await happens(stage, other);
    await check(event);
  }
  await lab.detachEni(other.mac);
  await stage.daemon.waitForStatus((status) => inSync(stays.mac)(status) && !inSync(other.mac)(status));
  await check('the other NIC is detached');
}

test('whoever types over the primary or a secondary NIC notices nothing of what happens to another one', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const stays = await lab.attachEni({ addresses: [STAYS] });
  await daemon.waitForStatus(inSync(stays.mac));
  const ends = CLIENTS.flatMap((from) => [VM_ADDRESS, STAYS].map((to) => ({ from, to })));
  const sessions = await Promise.all(ends.map((each) => lab.openSession(each)));
  const startedAt = performance.now();
  const stops = sessions.map((session) => session.keepTyping());
  const check = async (event: string): Promise<void> => {
    const counts = await Promise.all(sessions.map((session) => session.retransmissions()));
    const seen = ends.map((each, index) => ({ ...each, retransmissions: counts[index] }));
    expect(seen, event).toEqual(ends.map((each) => ({ ...each, retransmissions: 0 })));
  };
  const stage: Stage = { lab, stays, daemon };
  for (let count = 0; count < sized(1, 20); count += 1) await everythingHappens(stage, check);
  const typed = await Promise.all(stops.map((stop) => stop()));
  const seconds = (performance.now() - startedAt) / 1_000;
  const bytes = Math.min(...typed.map((each) => each.bytes));
  const longestEchoMs = Math.max(...typed.map((each) => each.longestEchoMs));
  console.log(
    `at least ${bytes} bytes each way in ${seconds.toFixed(1)} s, longest echo ${longestEchoMs.toFixed(0)} ms`,
  );
  expect(bytes).toBeGreaterThan(LEAST_BYTES_PER_SECOND * seconds);
  await check('the end');
  await Promise.all(sessions.map((session) => session.close()));
});
