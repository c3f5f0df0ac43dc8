/** A real systemd-udevd for a systemd that is booted in a VM (service-manager.ts), with the project's rule and a test's own. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceManager } from './service-manager.ts';
import { findTool } from './tools.ts';
import type { Vm } from './vm.ts';

const SHIPPED = path.join(import.meta.dirname, '../../systemd/80-eni-agent.rules');
const PROGRAM = '/opt/udev/systemd-udevd';
const RULES = '/etc/udev/rules.d';

export interface UdevOptions {
  /** Text by file name: what an administrator or the distribution has beside ours. */
  readonly rules?: Readonly<Record<string, string>>;
  /** A command that runs the command which is given to it. */
  readonly through?: string;
  /** A package brings our rule. */
  readonly packaged?: boolean;
}

/** udevadm(8) is the daemon when it has its name. The other settings of its unit are about devices, which there are none of here. */
function unitText(through: string): string {
  return `[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=notify
NotifyAccess=all
ExecStart=${through} ${PROGRAM}
`;
}

/** Before systemd is booted. */
export async function installUdev(
  vm: Vm,
  { rules = {}, through = '', packaged = false }: UdevOptions = {},
): Promise<void> {
  const wants = '/etc/systemd/system/sysinit.target.wants';
  for (const folder of ['/opt/udev', RULES, wants]) await mkdir(vm.path(folder), { recursive: true });
  await copyFile(findTool('udevadm') ?? '', vm.path(PROGRAM));
  await vm.run('ln', ['-s', 'systemd-udevd', vm.path('/opt/udev/udevadm')]);
  await writeFile(vm.path('/etc/systemd/system/systemd-udevd.service'), unitText(through.trim()));
  await vm.run('ln', ['-s', '../systemd-udevd.service', vm.path(`${wants}/systemd-udevd.service`)]);
  if (!packaged) await copyFile(SHIPPED, vm.path(`${RULES}/80-eni-agent.rules`));
  for (const [name, text] of Object.entries(rules)) await writeFile(vm.path(`${RULES}/${name}`), text);
}

/** The lab's NICs are veths, which the rule leaves alone: in its place one that takes but the links of these names for virtual. */
export async function takeForVirtual(vm: Vm, manager: ServiceManager, names: string): Promise<void> {
  const shipped = await readFile(SHIPPED, 'utf8');
  const text = shipped.replace('"/devices/virtual/*"', `"/devices/virtual/net/${names}"`);
  await writeFile(vm.path(`${RULES}/80-eni-agent.rules`), text);
  await manager.run('/opt/udev/udevadm', 'control', '--reload');
}

/** When udevd has nothing more to do. */
export async function settleUdev(manager: ServiceManager): Promise<void> {
  await manager.run('/opt/udev/udevadm', 'settle');
}

/** What renames the NIC of that MAC when it comes, and takes its time. */
export function slowName(mac: string, name: string, seconds: number): string {
  return `SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="${mac}", PROGRAM="/bin/sleep ${seconds}", NAME="${name}"\n`;
}
