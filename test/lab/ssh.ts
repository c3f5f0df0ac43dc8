/** Debian's sshd in VMs of the lab, below the systemd that is booted there, and a machine outside that has the key to them. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import type { Lab } from './lab.ts';
import { inNamespace } from './netns.ts';
import { findTool } from './tools.ts';
import type { CommandResult, Vm } from './vm.ts';

export const SSHD = 'sshd.service';
const PROGRAM = '/opt/ssh/sshd';
const CONTROL_ADDRESS = '203.0.113.9';
/** The user that it needs has none of the machine's other names: /etc/passwd is laid out at each boot. */
const UNIT = `[Unit]
After=network.target
[Service]
Type=notify
RuntimeDirectory=sshd
ExecStartPre=/bin/sh -c 'grep -q ^sshd: /etc/passwd || echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin >>/etc/passwd'
ExecStart=${PROGRAM} -D -e -f /etc/ssh/sshd_config
`;
const CONFIG = `HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
AuthenticationMethods publickey
PermitRootLogin yes
UsePAM no
LogLevel VERBOSE
Subsystem sftp internal-sftp
`;

export interface ControlNode {
  readonly address: string;
  /** Of a folder that goes with the test: the home of who works there. */
  readonly home: string;
  /** What ssh has to be told. */
  readonly sshOptions: readonly string[];
  /** A command there; whatever it leaves running ends with it. Never throws for an exit code. */
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<CommandResult>;
}

/** Before systemd is booted in the VMs; a machine of its own outside, 203.0.113.9. */
export async function installSsh(lab: Lab): Promise<ControlNode> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'eni-control-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const [key, hostKey] = [path.join(home, 'key'), path.join(home, 'host_key')];
  for (const file of [key, hostKey]) await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  for (const vm of lab.vms) await installServer(vm, key, hostKey);
  const knownHosts = path.join(home, 'known_hosts');
  await writeFile(knownHosts, `* ${await readFile(`${hostKey}.pub`, 'utf8')}`);
  const namespace = await lab.addMachine({ name: 'control', addresses: [CONTROL_ADDRESS] });
  const options = { UserKnownHostsFile: knownHosts, IdentityFile: key, IdentitiesOnly: 'yes' };
  return {
    address: CONTROL_ADDRESS,
    home,
    sshOptions: Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    run: async (command, env = {}) => {
      // A connection that is kept for the next command has a process that outlives this one.
      const alone = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--', ...command];
      const [file, ...args] = inNamespace(namespace, alone);
      const options = { reject: false, stdin: 'ignore', env: { HOME: home, ...env } } as const;
      const { exitCode, stdout, stderr } = await execa(file, args, options);
      return { exitCode: exitCode ?? -1, stdout, stderr };
    },
  };
}

async function installServer(vm: Vm, key: string, hostKey: string): Promise<void> {
  const wants = '/etc/systemd/system/multi-user.target.wants';
  for (const folder of ['/opt/ssh', '/etc/ssh', '/root', wants])
    await mkdir(vm.path(folder), { recursive: true });
  await copyFile(findTool('sshd') ?? '', vm.path(PROGRAM));
  await writeFile(vm.path('/etc/ssh/sshd_config'), CONFIG);
  await copyFile(hostKey, vm.path('/etc/ssh/host_key'));
  await copyFile(`${key}.pub`, vm.path('/etc/ssh/authorized_keys'));
  // Without this file root counts as locked.
  await writeFile(vm.path('/etc/shadow'), 'root:*:19000::::::\n', { mode: 0o600 });
  await writeFile(vm.path(`/etc/systemd/system/${SSHD}`), UNIT);
  await vm.run('ln', ['-s', `../${SSHD}`, vm.path(`${wants}/${SSHD}`)]);
}
