/** A real systemd in a VM of the lab, as PID 1 of its own namespaces, with the project's units. As root alone: it needs a control group. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { AgentError, errorMessage } from '../../src/errors.ts';
import { connectControl } from '../../src/system/control-client.ts';
import { parseStatus, type Status, type WaitOptions } from './daemon.ts';
import { until } from './until.ts';
import type { CommandResult, Vm } from './vm.ts';

const SCRIPT = new URL('systemd-as-init.sh', import.meta.url).pathname;
const CHECKOUT = path.join(import.meta.dirname, '../..');
/** On a busy machine: two starts of Node one after the other, and what surrounds them. */
const BOOT_DEADLINE_MS = 30_000;

export interface ServiceManager {
  /** A command in the VM beside systemd, as root with all that root has there; throws when it fails. */
  run(command: string, ...args: readonly string[]): Promise<CommandResult>;
  /** `systemctl show`: the properties of a unit. */
  show(unit: string, ...properties: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** What a unit and its processes have said, and systemd about it. */
  journal(unit: string): Promise<string>;
  /** Returns the daemon's status that holds; there may be no daemon for a while. */
  waitForStatus(holds: (status: Status) => boolean, options?: WaitOptions): Promise<Status | null>;
  /** All that it started ends with it; it leaves nothing behind. */
  end(): Promise<void>;
}

/** Text of a drop-in by unit. */
export type DropIns = Readonly<Record<string, string>>;

export async function addDropIns(vm: Vm, dropIns: DropIns): Promise<void> {
  for (const [unit, text] of Object.entries(dropIns)) {
    const folder = vm.path(`/etc/systemd/system/${unit}.d`);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'test.conf'), text);
  }
}

/**
 * Returns when the boot has ended, whatever became of its units. `packaged`: with nothing of the checkout, for a package to be
 * installed; what was is there again at the next boot.
 */
export async function bootSystemd(vm: Vm, { packaged = false } = {}): Promise<ServiceManager> {
  await mkdir(vm.path('/sys'), { recursive: true });
  const command = ['sh', SCRIPT, vm.root, process.execPath, packaged ? 'packaged' : CHECKOUT];
  const child = vm.start({ name: 'systemd', command });
  const init = await until({
    what: 'systemd is there',
    read: async () => ({ pid: await findSystemd(child.pid), said: child.stderr }),
    holds: ({ pid }) => pid !== '',
  });
  const inside = async (args: readonly string[], reject: boolean): Promise<CommandResult> => {
    const options = ['--target', init.pid, '--mount', '--pid', '--ipc', '--uts', '--net', '--cgroup', '--'];
    const { exitCode, stdout, stderr } = await execa('nsenter', [...options, ...args], { reject });
    return { exitCode: exitCode ?? -1, stdout, stderr };
  };
  await until({
    what: 'systemd has booted',
    read: async () => ({ ...(await inside(['systemctl', 'is-system-running'], false)), said: child.stderr }),
    holds: ({ stdout }) => ['running', 'degraded'].includes(stdout),
    deadlineMs: BOOT_DEADLINE_MS,
  });
  return {
    run: (name, ...args) => inside([name, ...args], true),
    show: async (unit, ...properties) => {
      const { stdout } = await inside(['systemctl', 'show', '--property', properties.join(','), unit], true);
      return Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/, 2)));
    },
    journal: async (unit) => (await inside(['journalctl', '--output=cat', '--unit', unit], true)).stdout,
    waitForStatus: async (holds, options) => {
      try {
        return await until({
          what: 'the status is right',
          read: () => statusOf(vm),
          holds: (status) => status !== null && holds(status),
          ...options,
        });
      } catch (error) {
        const { stdout } = await inside(['journalctl', '--output=cat', '--lines=30'], false);
        throw new Error(`${errorMessage(error)}\nfrom the journal:\n${stdout}`, { cause: error });
      }
    },
    end: async () => {
      await child.end('SIGTERM');
    },
  };
}

/** null when nobody answers. */
async function statusOf(vm: Vm): Promise<Status | null> {
  try {
    const control = await connectControl(vm.path('/run/eni-agent/control.sock'));
    return control === null ? null : parseStatus(await control.status());
  } catch (error) {
    if (error instanceof AgentError) return null;
    throw error;
  }
}

/** The child of unshare(1), the child of the script; '' as long as it is still a shell. */
async function findSystemd(supervisor: number): Promise<string> {
  try {
    const child = async (pid: string): Promise<string> =>
      (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim();
    const pid = await child(await child(String(supervisor)));
    return (await readFile(`/proc/${pid}/comm`, 'utf8')) === 'systemd\n' ? pid : '';
  } catch {
    // It was one of the commands of the script, which has ended.
    return '';
  }
}
