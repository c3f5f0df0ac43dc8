/** packaging/ansible by a real ansible over a real ssh, on VMs with a real systemd and dnf, with the RPM. As root alone. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { commandsOf } from '../lab/doc-commands.ts';
import { dumpKernel } from '../lab/kernel-dump.ts';
import type { Lab } from '../lab/lab.ts';
import { readPage } from '../lab/markdown.ts';
import { openLab } from '../lab/open-lab.ts';
import type { ServiceManager } from '../lab/service-manager.ts';
import { inSync, sized } from '../lab/settled.ts';
import { type ControlNode, installSsh, SSHD } from '../lab/ssh.ts';
import { METADATA_ADDRESS } from '../lab/topology.ts';
import { bootImage, buildImagePackage } from './image.ts';
import { packageFile, ROOT } from './packages.ts';

const PLAYBOOK = path.join(ROOT, 'packaging/ansible/eni-agent.yml');
const PLAY = 'ansible-playbook -i inventory.yml eni-agent.yml';
const DAEMON = 'eni-agent.service';
const CONFIG = '/etc/eni-agent/config.yaml';
const CANDIDATE = '/etc/eni-agent/candidate.yaml';
const METADATA = { endpoint: `http://${METADATA_ADDRESS}`, fallbackEndpoints: [] };
/** Long for a machine that does other things meanwhile; nobody waits for its end but where a VM is cut off. */
const CONFIRM_SECONDS = { patient: 60, short: 15 };
/** The control node's network by a gateway that is not there, and no rule that has replies leave as they came. */
const CUTS_OFF = {
  metadata: METADATA,
  routing: { primary: 'never' },
  interfaces: [{ match: { role: 'secondary' }, routes: [{ to: '203.0.113.0/24', via: '10.0.1.99' }] }],
};
const SMALL = { metadata: METADATA, interfaces: [{ match: { role: 'secondary' }, mtu: 1400 }] };
/** That changes no network. */
const QUIET = { ...SMALL, log: { level: 'warn' } };

interface Fleet {
  readonly lab: Lab;
  readonly control: ControlNode;
  readonly managers: readonly ServiceManager[];
}

interface Play {
  readonly exitCode: number;
  readonly output: string;
  /** By host, of the recap. */
  readonly changed: Readonly<Record<string, number>>;
}

async function bootFleet(vms: number): Promise<Fleet> {
  const lab = await openLab({ vms });
  for (const vm of lab.vms.keys())
    await lab.attachEni({ vm, addresses: [`10.0.1.${10 * vm + 4}`, `10.0.1.${10 * vm + 5}`] });
  const control = await installSsh(lab);
  const imagePackage = await buildImagePackage('eni-agent');
  const managers = await Promise.all(lab.vms.map((vm) => bootImage(vm, imagePackage)));
  return { lab, control, managers };
}

/** What docs/fleet.md tells to type on the control node. */
function documented(): readonly string[] {
  const commands = commandsOf(readPage('docs/fleet.md')).map(({ command }) => command);
  return commands.filter((command) => command.startsWith(PLAY));
}

/** `byHost`: the configuration of a host that has its own; `command`: one of docs/fleet.md. */
async function play(
  { lab, control }: Fleet,
  vars: Readonly<Record<string, unknown>>,
  byHost: Readonly<Record<string, unknown>> = {},
  command = PLAY,
): Promise<Play> {
  const hosts = lab.vms.map(({ address }, index) => {
    const name = `vm${index + 1}`;
    const own = byHost[name] === undefined ? {} : { eni_agent_config: byHost[name] };
    return [name, { ansible_host: address, ...own }] as const;
  });
  const inventory = path.join(control.home, 'inventory.yml');
  const common = {
    ansible_user: 'root',
    ansible_python_interpreter: '/usr/bin/python3',
    ansible_ssh_common_args: control.sshOptions.join(' '),
    eni_agent_package_file: packageFile('eni-agent'),
    eni_agent_package_signed: false,
    eni_agent_package_manager: 'dnf',
    eni_agent_confirm_seconds: CONFIRM_SECONDS.patient,
    eni_agent_config: { metadata: METADATA },
    ...vars,
  };
  await writeFile(
    inventory,
    JSON.stringify({ eni_agent: { hosts: Object.fromEntries(hosts), vars: common } }),
  );
  // Half as many commands on the VM for each task; and nothing is written to the checkout.
  const env = { ANSIBLE_PIPELINING: '1', PYTHONDONTWRITEBYTECODE: '1' };
  const typed = command.replace('inventory.yml', inventory).replace('eni-agent.yml', PLAYBOOK);
  const { exitCode, stdout, stderr } = await control.run(['sh', '-c', typed], env);
  const recap = [...stdout.matchAll(/^(\w+) +: ok=\d+ +changed=(\d+)/gm)];
  return {
    exitCode,
    output: stdout + stderr,
    changed: Object.fromEntries(recap.map(([, host = '', count]) => [host, Number(count)])),
  };
}

/** How often somebody came to each VM. */
async function visits({ managers }: Fleet): Promise<readonly number[]> {
  const journals = await Promise.all(managers.map((manager) => manager.journal(SSHD)));
  return journals.map((journal) => journal.match(/^Connection from /gm)?.length ?? 0);
}

/** What a VM is and says. */
async function describe(fleet: Fleet): Promise<readonly string[]> {
  const pids = await daemons(fleet);
  return Promise.all(
    fleet.lab.vms.map(async (vm, index) => {
      return [await dumpKernel(vm.namespace), await vm.readFile(CONFIG), pids[index]].join('\n');
    }),
  );
}

async function daemons({ managers }: Fleet): Promise<readonly string[]> {
  const shown = await Promise.all(managers.map((manager) => manager.show(DAEMON, 'MainPID')));
  return shown.map(({ MainPID = '' }) => MainPID);
}

async function expectInSync({ lab, managers }: Fleet): Promise<void> {
  for (const [index, manager] of managers.entries()) {
    await manager.waitForStatus(inSync(lab.primaries[index]?.mac ?? ''));
    const { stdout } = await manager.run('systemctl', 'is-enabled', DAEMON, 'eni-agent-boot.service');
    expect(stdout).toBe('enabled\nenabled');
  }
}

function nobody({ managers }: Fleet): readonly number[] {
  return managers.map(() => 0);
}

async function expectRefusedUntouched(fleet: Fleet): Promise<void> {
  const last = `vm${fleet.managers.length}`;
  const mistyped = await play(fleet, {}, { [last]: { metadata: METADATA, interfaces: [{ mut: 9000 }] } });
  expect(mistyped.exitCode).toBe(2);
  expect(mistyped.output).toContain(`eni_agent_config of ${last}: interfaces[0]: `);
  expect(mistyped.output).toContain("('mut' was unexpected)");
  // Which a JSON Schema cannot say.
  const hostBits = {
    metadata: METADATA,
    interfaces: [{ match: { role: 'secondary' }, routes: [{ to: '172.20.0.1/16', via: '10.0.1.1' }] }],
  };
  const program = [process.execPath, path.join(ROOT, 'dist/cli.js'), 'config', '--check'];
  const refused = await play(fleet, { eni_agent_check_command: program }, { [last]: hostBits });
  expect(refused.exitCode).toBe(2);
  expect(refused.output).toContain('a network without host bits');
  expect(await visits(fleet)).toEqual(nobody(fleet));
}

async function expectUnchanged(fleet: Fleet, command: string): Promise<void> {
  const { exitCode, changed, output } = await play(fleet, {}, {}, command);
  expect(exitCode, output).toBe(0);
  expect(changed).toEqual(Object.fromEntries(fleet.managers.map((_, index) => [`vm${index + 1}`, 0])));
}

/** The other VMs are not even visited. */
async function expectRolledBack(fleet: Fleet): Promise<void> {
  const [before, visited] = [await describe(fleet), await visits(fleet)];
  const [canary] = fleet.managers;
  const playing = play(fleet, {
    eni_agent_config: CUTS_OFF,
    eni_agent_confirm_seconds: CONFIRM_SECONDS.short,
  });
  await canary?.waitForStatus(({ confirmBy }) => confirmBy !== null, { deadlineMs: 30_000 });
  expect((await fleet.lab.connect({ from: 'outside', to: fleet.lab.vm.address })).outcome).toBe('timeout');
  const { exitCode, output } = await playing;
  expect(exitCode).toBe(2);
  expect(output).toContain('This configuration cuts vm1 off: no new connection got in within 15 s.');
  expect(output).toContain('What was tried is rolled back, and the VM is in-sync.');
  expect(await describe(fleet)).toEqual(before);
  const [, ...others] = await visits(fleet);
  expect(others).toEqual(visited.slice(1));
  expect((await fleet.lab.connect({ from: 'outside', to: fleet.lab.vm.address })).outcome).toBe('ok');
}

test('a fleet: refused before anything is touched, installed, in sync a second time, and a VM that would be cut off rolls back', {
  // A minute by itself; CI has other tests beside it, and machines differ by the factor of three.
  timeout: sized(400_000, 900_000),
}, async () => {
  const fleet = await bootFleet(sized(2, 5));
  await expectRefusedUntouched(fleet);

  const installed = await play(fleet, {});
  expect(installed.exitCode, installed.output).toBe(0);
  await expectInSync(fleet);
  // To begin with, to see whether somebody new gets in, and to say so.
  expect(Math.min(...(await visits(fleet)))).toBeGreaterThanOrEqual(3);

  await expectUnchanged(fleet, `${PLAY} -e '{ "eni_agent_serial": ["100%"] }'`);
  const quick = (command: string): boolean => command.endsWith('--tags eni_agent_check');
  expect(documented()).toHaveLength(4);
  for (const command of documented().filter(sized(quick, () => true))) await expectUnchanged(fleet, command);

  await expectRolledBack(fleet);

  for (const config of sized([], [SMALL, QUIET])) {
    const before = await daemons(fleet);
    const changed = await play(fleet, { eni_agent_config: config });
    expect(changed.exitCode, changed.output).toBe(0);
    expect(await daemons(fleet)).toEqual(before);
    for (const vm of fleet.lab.vms) {
      expect((await vm.run('ip', ['link', 'show', 'eth1'])).stdout).toContain('mtu 1400');
      expect(parse(await vm.readFile(CONFIG))).toEqual(config);
    }
    expect(fleet.lab.vms.filter((vm) => existsSync(vm.path(CANDIDATE)))).toEqual([]);
  }
});
