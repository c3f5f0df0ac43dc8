/** The main job from beginning to end, on a real kernel, in a lab VPC. What does not come true ends it with exit code 1. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { errorMessage } from '../../src/errors.ts';
import { bundleActor } from '../lab/actor-client.ts';
import { brokenCells } from '../lab/cells.ts';
import type { Daemon, LogLine } from '../lab/daemon.ts';
import { createLab, type Lab } from '../lab/lab.ts';
import type { Monitor } from '../lab/monitor.ts';
import { EVERY_SECOND, inSync, networkOf, waitForAddresses, waitForNetwork } from '../lab/settled.ts';
import { addressRange } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { createNarrator, type Narrator } from './stage.ts';

const ADDRESSES = addressRange('10.0.1.4', 4);
const ANOTHER = '10.0.1.20';
const TABLE = '21001';

interface Scene {
  readonly lab: Lab;
  readonly narrator: Narrator;
  /** Kernel and files before anything was attached. */
  readonly bare: string;
}

async function main(): Promise<void> {
  const narrator = createNarrator(process.stdout, process.env);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-demo-'));
  const startedAt = performance.now();
  try {
    const lab = await createLab({ actorBundle: await bundleActor(folder) });
    try {
      narrator.say('A VM with one NIC (eth0, 10.0.0.4) in a lab VPC: real kernel, real TCP, a');
      narrator.say('metadata service, and a fabric that drops every packet whose source is not an');
      narrator.say('address of the NIC that it leaves by.');
      await tell({ lab, narrator, bare: await networkOf(lab.vm) });
    } finally {
      await lab.close();
    }
    narrator.measured(performance.now() - startedAt, 'the whole demo; nothing of this machine was touched');
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function tell(scene: Scene): Promise<void> {
  await withoutAgent(scene);
  const daemon = await scene.lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(scene.lab.primary.mac));
  const mac = await attach(scene, daemon);
  await showResult(scene);
  await assign(scene, mac);
  await unassign(scene, mac);
  await loseMetadata(scene, daemon, mac);
  await detach(scene, mac);
  scene.narrator.stage('systemctl stop', 'SIGTERM; the network stays as it is.');
  const stoppedAt = performance.now();
  await daemon.stop();
  scene.narrator.measured(performance.now() - stoppedAt, 'until it had ended');
}

async function withoutAgent({ lab, narrator, bare }: Scene): Promise<void> {
  narrator.stage(
    'Without the agent',
    'The console attaches an ENI with 1 + 3 IPs. Nothing happens in the VM:',
  );
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const matrix = await lab.matrix(ADDRESSES);
  narrator.matrix(matrix);
  const plan = (await lab.vm.agent(['plan'])).stdout.split('\n').slice(0, -1);
  const kinds = ['route', 'rule', 'address', 'file'];
  const examples = kinds.flatMap((kind) => plan.find((line) => line.startsWith(`+ ${kind} `)) ?? []);
  narrator.say(`What the agent would do, and why: ${plan.length} steps, here one of each kind.`);
  narrator.shown('eni-agent plan', examples);
  await lab.detachEni(mac);
  await waitForNetwork(lab.vm, bare);
}

async function attach({ lab, narrator }: Scene, daemon: Daemon): Promise<string> {
  narrator.stage('With the agent', 'The daemon is running. The console attaches the ENI again:');
  const monitor = await lab.vm.monitor();
  const { mac } = await lab.announceEni({ addresses: ADDRESSES });
  await lab.plugIn(mac);
  await waitForAddresses(lab.vm, 'eth1', ADDRESSES);
  await daemon.waitForStatus(inSync(mac));
  // It is in sync before the run has remembered that, and said so.
  const isWhole = ({ steps }: LogLine): boolean => Number(steps) > ADDRESSES.length;
  await daemon.waitForLog((log) => log.some(isWhole));
  const lines = monitor.lines();
  const changes = lines.filter(({ text }) => /^\[(ADDR|ROUTE|RULE)\]/.test(text) && !text.includes('::'));
  const link = lines.find(({ text }) => text.startsWith('[LINK]') && text.includes(' eth1'));
  const run = daemon.log().findLast(isWhole);
  await monitor.stop();
  narrator.measured(
    (changes.at(-1)?.at ?? Number.NaN) - (link?.at ?? Number.NaN),
    'from the link event to the last change in the kernel',
  );
  narrator.measured(
    Number(run?.['durationMs']),
    `the whole run: metadata read, ${Number(run?.['steps'])} steps done and verified`,
  );
  return mac;
}

async function showResult({ lab, narrator }: Scene): Promise<void> {
  const { vm } = lab;
  narrator.stage(
    'What it wrote',
    "The distribution's files, so that the NIC comes up right without the agent:",
  );
  for (const name of ['ifcfg-eth1', 'route-eth1', 'rule-eth1']) {
    const file = `/etc/sysconfig/network-scripts/${name}`;
    narrator.shown(`cat ${file}`, (await vm.readFile(file)).trim().split('\n'), 16);
  }
  narrator.stage(
    'What the kernel has',
    'A rule for each address, and a table in which every reply finds its own NIC:',
  );
  const rules = (await vm.run('ip', ['rule'])).stdout.split('\n');
  narrator.shown(
    'ip rule',
    rules.filter((line) => line.includes(`lookup ${TABLE}`)),
  );
  narrator.shown(
    `ip route show table ${TABLE}`,
    (await vm.run('ip', ['route', 'show', 'table', TABLE])).stdout.trim().split('\n'),
  );
  const matrix = await lab.matrix(ADDRESSES);
  narrator.matrix(matrix);
  narrator.check(brokenCells(matrix).length === 0, 'every IP answers everybody, by the NIC that owns it');
}

async function assign({ lab, narrator }: Scene, mac: string): Promise<void> {
  narrator.stage('One more IP', `The console assigns ${ANOTHER}. The demo looks every second, not every 10.`);
  const monitor = await lab.vm.monitor();
  const calledAt = Date.now();
  await lab.assignAddress(mac, ANOTHER);
  narrator.measured(
    (await heard(monitor, `inet ${ANOTHER}/`, false)) - calledAt,
    'from the call of the API to the address on eth1',
  );
  const broken = brokenCells(await lab.matrix([...ADDRESSES, ANOTHER]));
  narrator.check(broken.length === 0, `it answers, and so do the other ${ADDRESSES.length}`);
}

async function unassign({ lab, narrator }: Scene, mac: string): Promise<void> {
  narrator.stage('One IP less', 'The console takes it back. Nothing is removed before two answers agree.');
  const [neighbour = ''] = ADDRESSES;
  const session = await lab.openSession({ from: 'outside', to: neighbour });
  const stopExchanging = session.keepExchanging();
  const monitor = await lab.vm.monitor();
  const calledAt = Date.now();
  await lab.unassignAddress(mac, ANOTHER);
  narrator.measured(
    (await heard(monitor, `inet ${ANOTHER}/`, true)) - calledAt,
    'from the call of the API to the address gone from eth1',
  );
  await stopExchanging();
  const lost = await session.retransmissions();
  narrator.check(lost === 0, `a connection to ${neighbour} went on meanwhile, without one retransmission`);
  await session.close();
  narrator.check(brokenCells(await lab.matrix(ADDRESSES)).length === 0, 'the others answer as before');
}

/** When the kernel announced an address as new or as deleted. */
async function heard(monitor: Monitor, what: string, isDeleted: boolean): Promise<number> {
  const find = () =>
    monitor
      .lines()
      .find(
        ({ text }) =>
          text.startsWith('[ADDR]') && text.includes(what) && text.includes('Deleted') === isDeleted,
      );
  const line = await until({
    what: `the kernel announces ${what}`,
    read: find,
    holds: (found) => found !== undefined,
  });
  await monitor.stop();
  return line?.at ?? Number.NaN;
}

async function loseMetadata({ lab, narrator }: Scene, daemon: Daemon, mac: string): Promise<void> {
  narrator.stage('The metadata service goes away', 'A failure is never read as "no addresses":');
  await lab.metadata.down();
  await daemon.waitForStatus(({ state }) => state === 'degraded');
  const status = (await lab.vm.agent(['status'])).stdout.split('\n');
  narrator.shown('eni-agent status', status);
  narrator.check(brokenCells(await lab.matrix(ADDRESSES)).length === 0, 'every IP still answers');
  const backAt = performance.now();
  await lab.metadata.up();
  await daemon.waitForStatus(inSync(mac));
  narrator.measured(performance.now() - backAt, 'from its return to in-sync');
}

async function detach({ lab, narrator, bare }: Scene, mac: string): Promise<void> {
  narrator.stage('Detach', 'The console takes the ENI away, while nothing in the VM is prepared for it:');
  const calledAt = performance.now();
  await lab.detachEni(mac);
  await waitForNetwork(lab.vm, bare);
  narrator.measured(
    performance.now() - calledAt,
    'until routing, files and sysctls are, to the line, what they were',
  );
  narrator.check(
    (await networkOf(lab.vm)) === bare,
    "nothing is left but the agent's own state in /var/lib/eni-agent",
  );
}

try {
  await main();
} catch (error) {
  console.error(`The demo did not come true: ${errorMessage(error)}`);
  process.exitCode = 1;
}
