/** Debian's NetworkManager in a VM of the lab, with the VM's own /etc/NetworkManager and /run, on a message bus of its own. */
import { mkdir, readdir, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { Child } from './children.ts';
import { findTool } from './tools.ts';
import { until } from './until.ts';
import type { CommandResult, Vm } from './vm.ts';

export interface NetworkManager {
  /** Of a device, and its connection: `connected eni-agent-eth1`. */
  stateOf(ifname: string): Promise<string>;
  waitForState(ifname: string, state: string): Promise<void>;
  log(): string;
  nmcli(...args: readonly string[]): Promise<CommandResult>;
  /** SIGTERM as systemd does, or SIGKILL; then a new one, ready. */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  stop(): Promise<void>;
}

const PROFILES = '/etc/NetworkManager/system-connections';
/** For the agent it is installed. */
const PROGRAM = '/usr/sbin/NetworkManager';
/** As on a VM: keyfiles alone, its own DHCP client. Root asks for everything, without polkit. */
const CONFIG = `[main]
plugins=keyfile
auth-polkit=false
dhcp=internal
dns=none
rc-manager=unmanaged
systemd-resolved=false
`;
/** /sys is read-only, so it does not wait for a udev. */
const ENTER = `
set -e
vm=$1
programs=$2
root=/mnt
shift 2
mount -t tmpfs -o mode=755 tmpfs $root
for name in bin sbin lib lib64 usr dev proc; do
  if [ -L /$name ]; then cp -P /$name $root/$name; continue; fi
  mkdir $root/$name
  mount --rbind /$name $root/$name
done
mkdir -p $root/etc/NetworkManager $root/opt $root/run $root/sys $root/tmp $root/var/lib/NetworkManager
mount -t sysfs -o ro sysfs $root/sys
cp /etc/passwd /etc/group /etc/ld.so.cache /etc/nsswitch.conf $root/etc
echo 0123456789abcdef0123456789abcdef >$root/etc/machine-id
mount --bind "$programs" $root/opt
for folder in /etc/NetworkManager /run /var/lib/NetworkManager; do mount --bind "$vm$folder" $root$folder; done
export LD_LIBRARY_PATH=$(echo $root/opt/lib/*-linux-gnu | sed "s,$root,,g; s/ /:/g")
exec chroot $root env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket /opt/sbin/NetworkManager --debug
`;

/** Its folders, without it: what the agent takes for a VM on which it will run. */
export async function installNetworkManager(vm: Vm): Promise<void> {
  for (const folder of ['/run/dbus', '/usr/sbin', '/var/lib/NetworkManager'])
    await mkdir(vm.path(folder), { recursive: true, mode: 0o755 });
  await mkdir(vm.path(PROFILES), { recursive: true, mode: 0o700 });
  await mkdir(vm.path('/etc/systemd/system/multi-user.target.wants'), { recursive: true });
  await vm.run('ln', [
    '-s',
    '/usr/lib/systemd/system/NetworkManager.service',
    vm.path('/etc/systemd/system/multi-user.target.wants/NetworkManager.service'),
  ]);
  await writeFile(vm.path(PROGRAM), '');
  await writeFile(vm.path('/etc/NetworkManager/NetworkManager.conf'), CONFIG);
}

/** Returns when it answers. */
export async function startNetworkManager(vm: Vm): Promise<NetworkManager> {
  const socket = vm.path('/run/dbus/system_bus_socket');
  await startBus(vm, socket);
  const usr = path.join(await realpath(findTool('NetworkManager') ?? ''), '../..');
  const command = ['unshare', '--mount', '--', 'sh', '-c', ENTER, 'enter', vm.root, usr];
  const start = (): Child => vm.start({ name: 'NetworkManager', command });
  const folders = (await readdir(path.join(usr, 'lib'))).filter((name) => name.endsWith('-linux-gnu'));
  const env = {
    LC_ALL: 'C',
    DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket}`,
    LD_LIBRARY_PATH: folders.map((name) => path.join(usr, 'lib', name)).join(':'),
  };
  const nmcli: NetworkManager['nmcli'] = async (...args) => {
    const { exitCode, stdout, stderr } = await execa('nmcli', args, { env, reject: false });
    return { exitCode: exitCode ?? -1, stdout, stderr };
  };
  const answers = (child: Child): Promise<unknown> =>
    until({
      what: 'NetworkManager answers',
      read: async () => ({ ...(await nmcli('general')), log: child.stderr, death: child.death }),
      holds: ({ exitCode }) => exitCode === 0,
    });
  const stateOf: NetworkManager['stateOf'] = async (ifname) => {
    const { stdout } = await nmcli('--terse', '--fields', 'DEVICE,STATE,CONNECTION', 'device');
    const line = stdout.split('\n').find((text) => text.startsWith(`${ifname}:`)) ?? '';
    return line.split(':').slice(1).join(' ');
  };
  let child = start();
  await answers(child);
  return {
    nmcli,
    stateOf,
    log: () => child.stderr,
    waitForState: async (ifname, state) => {
      await until({
        what: `${ifname} is ${state}`,
        read: async () => ({ state: await stateOf(ifname), log: child.stderr }),
        holds: (seen) => seen.state === state,
      });
    },
    restart: async (signal) => {
      await child.end(signal);
      child = start();
      await answers(child);
    },
    stop: async () => {
      await child.end('SIGTERM');
    },
  };
}

async function startBus(vm: Vm, socket: string): Promise<void> {
  const config = vm.path('/run/dbus/bus.conf');
  const types = ['method_call', 'method_return', 'signal', 'error'];
  const allowed = [
    'user="*"',
    'own="*"',
    ...types.flatMap((type) => [`send_type="${type}"`, `receive_type="${type}"`]),
  ];
  await writeFile(
    config,
    `<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default">${allowed.map((rule) => `<allow ${rule}/>`).join('')}</policy></busconfig>\n`,
  );
  const bus = vm.start({
    name: 'dbus-daemon',
    command: ['dbus-daemon', `--config-file=${config}`, '--nofork', '--nopidfile'],
  });
  await until({
    what: 'the bus is there',
    read: async () => ({ files: await readdir(path.dirname(socket)), log: bus.stderr }),
    holds: ({ files }) => files.includes(path.basename(socket)),
  });
}
