/**
 * An attach while hooks of another NIC's address fail, flood the journal and do not end, beside one without any: below a real systemd, in
 * the unit's sandbox. In turns.
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import type { Lab } from '../test/lab/lab.ts';
import { addDropIns, bootSystemd, type ServiceManager } from '../test/lab/service-manager.ts';
import { inSync, waitForAddresses } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { until } from '../test/lab/until.ts';
import { bundleProbe, takeNotes } from './attach.ts';
import type { Noted } from './probe.ts';
import { REPEATS, type Row, row } from './sample.ts';

const DAEMON = 'eni-agent.service';
const FOLDER = '/etc/eni-agent/hooks.d/address-added';
const PROBE_FOLDER = '/var/lib/eni-bench';
const NOTES = '/run/eni-agent/noted.json';
const HOOKS = { '10-fails': 'exit 1', '20-floods-and-hangs': 'exec yes' };
const UNITS = 'eni-agent-hook-*';
/** Of the NIC that stays; what comes and goes of it rings. */
const FIRST = '10.0.1.4';
const ANOTHER = '10.0.1.5';
const ADDRESSES = addressRange('10.0.2.4', 10);

export async function measureHooks(lab: Lab): Promise<readonly Row[]> {
  const manager = await bootWithProbe(lab);
  try {
    const { mac } = await lab.attachEni({ addresses: [FIRST] });
    await manager.waitForStatus(inSync(mac));
    const without: number[] = [];
    const beside: number[] = [];
    for (let count = 0; count < REPEATS; count += 1) {
      without.push(await measureTurn(lab, manager, mac, {}));
      beside.push(await measureTurn(lab, manager, mac, HOOKS));
    }
    const floor = row('attach of 1 + 9 IPs in the sandbox, plugged in to verified', 'ms', without);
    return [floor, row('… while hooks hang, flood and fail', 'ms', beside, floor)];
  } finally {
    await manager.end();
  }
}

async function bootWithProbe(lab: Lab): Promise<ServiceManager> {
  const { vm } = lab;
  await mkdir(vm.path(PROBE_FOLDER), { recursive: true });
  await bundleProbe(vm.path(PROBE_FOLDER));
  await mkdir(vm.path(FOLDER), { recursive: true });
  await vm.writeConfig('');
  const environment = [`NODE_OPTIONS=--require=${PROBE_FOLDER}/probe.cjs`, `ENI_BENCH_PROBE=${NOTES}`];
  await addDropIns(vm, { [DAEMON]: `[Service]\nEnvironment=${environment.join(' ')}\n` });
  return bootSystemd(vm);
}

/**
 * From before the NIC is plugged in to the verification, in milliseconds: what says when the kernel announced it, in attach.ts, waits for a
 * processor as well.
 */
async function measureTurn(
  lab: Lab,
  manager: ServiceManager,
  mac: string,
  hooks: Readonly<Record<string, string>>,
): Promise<number> {
  const { vm } = lab;
  for (const [name, script] of Object.entries(hooks)) {
    await writeFile(vm.path(`${FOLDER}/${name}`), `#!/bin/sh\n${script}\n`);
    await chmod(vm.path(`${FOLDER}/${name}`), 0o755);
  }
  await lab.assignAddress(mac, ANOTHER);
  await ringDoorbell(manager);
  await waitForAddresses(vm, 'eth1', [FIRST, ANOTHER]);
  if (Object.keys(hooks).length > 0) await waitForHooks(manager);
  await takeNotesOf(lab, manager);
  const eni = await lab.announceEni({ addresses: ADDRESSES });
  const from = performance.timeOrigin + performance.now();
  await lab.plugIn(eni.mac);
  await waitForAddresses(vm, 'eth2', ADDRESSES);
  await manager.waitForStatus(inSync(eni.mac));
  const { verified } = await takeNotesOf(lab, manager);
  const to = verified.findLast((at) => at > from);
  if (to === undefined)
    throw new Error(`an attach that did not verify: ${JSON.stringify({ from, verified })}`);
  await lab.detachEni(eni.mac);
  await until({
    what: 'the rules of the detached ENI are gone',
    read: async () => (await vm.run('ip', ['rule'])).stdout,
    holds: (rules) => !rules.includes('10.0.2.'),
  });
  for (const name of Object.keys(hooks)) await rm(vm.path(`${FOLDER}/${name}`));
  await endHooks(manager);
  await lab.unassignAddress(mac, ANOTHER);
  await ringDoorbell(manager);
  await waitForAddresses(vm, 'eth1', [FIRST]);
  return to - from;
}

/** So that nobody waits for the interval. */
async function ringDoorbell(manager: ServiceManager): Promise<void> {
  await manager.run('touch', '/run/eni-agent/wake');
}

async function takeNotesOf({ vm }: Lab, manager: ServiceManager): Promise<Noted> {
  await manager.run('systemctl', 'kill', '--kill-who=main', '--signal=USR2', DAEMON);
  return takeNotes(vm.path(NOTES));
}

/** The one that does not end is under way. */
async function waitForHooks(manager: ServiceManager): Promise<void> {
  await until({
    what: 'a hook floods the journal',
    read: () => unitsIn(manager),
    holds: (units) => / activating +start .*20-floods-and-hangs/.test(units),
  });
}

async function endHooks(manager: ServiceManager): Promise<void> {
  await until({
    what: 'no hook is left',
    read: async () => {
      // One that ends by itself meanwhile cannot be stopped.
      await manager.run('sh', '-c', `systemctl --quiet stop '${UNITS}' || true`);
      return unitsIn(manager);
    },
    holds: (units) => units === '',
  });
}

async function unitsIn(manager: ServiceManager): Promise<string> {
  return (await manager.run('systemctl', 'list-units', '--all', '--no-legend', UNITS)).stdout;
}
