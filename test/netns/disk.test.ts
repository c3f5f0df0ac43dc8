/** A disk that is full, read-only, in the way or forbidden: the kernel is configured all the same, it is said, and it heals. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, sized, waitForAddresses } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';

const STATE = '/var/lib/eni-agent/state.json';
const PARKED = '/run/eni-agent/state.json';
const SCRIPTS = '/etc/sysconfig/network-scripts';
const ADDRESSES = addressRange('10.0.1.4', 3);
const EXTRA = '10.0.0.5';

interface Disk {
  break(how: Fault): Promise<void>;
  repair(): Promise<void>;
}

type Fault = 'full' | 'read-only';

/** A small file system under the VM's own folders. The lab looks at ifcfg-eth0 again, as it was, when the test has ended. */
async function mountDisk({ vm }: Lab): Promise<Disk> {
  const folders = [vm.path('/var/lib'), vm.path(SCRIPTS)];
  const disk = vm.path('/disk');
  const filler = path.join(disk, 'filler');
  await vm.run('mkdir', [disk]);
  await vm.run('mount', ['-t', 'tmpfs', '-o', 'mode=755,size=256k', 'tmpfs', disk]);
  onTestFinished(async () => {
    for (const folder of [...folders, disk]) await vm.run('umount', [folder]);
  });
  for (const [index, folder] of folders.entries()) {
    await vm.run('cp', ['-a', folder, path.join(disk, `${index}`)]);
    await vm.run('mount', ['--bind', path.join(disk, `${index}`), folder]);
  }
  // Mount by mount: without root the options of the file system itself cannot be given again.
  const remount = async (mode: 'ro' | 'rw'): Promise<void> => {
    for (const folder of folders) await vm.run('mount', ['-o', `remount,bind,${mode}`, folder]);
  };
  return {
    break: async (how) => {
      if (how === 'read-only') await remount('ro');
      else await vm.tryRun('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']);
    },
    repair: async () => {
      await remount('rw');
      await rm(filler, { force: true });
    },
  };
}

async function statusOf({ vm }: Lab) {
  const { stdout } = await vm.agent(['status', '--json']);
  return JSON.parse(stdout) as { state: string; storageProblem: string | null };
}

/** Nobody but the disk has it. */
async function expectHealed(lab: Lab): Promise<void> {
  expect(await lab.vm.readFile(STATE)).toContain(EXTRA.replace('.5', '.6'));
  await expect(readFile(lab.vm.path(PARKED))).rejects.toThrow('ENOENT');
  expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toContain('IPADDR2=10.0.1.6');
  expect(await statusOf(lab)).toMatchObject({ state: 'in-sync', storageProblem: null });
}

describe('a disk that cannot be written', () => {
  test.each(sized<readonly Fault[]>(['full'], ['full', 'read-only']))(
    '(%s) keeps no run from the kernel; what is ours is known all the same, and written down as soon as it can be',
    async (fault) => {
      const lab = await openLab();
      await lab.assignAddress(lab.primary.mac, EXTRA);
      const { mac } = await lab.attachEni({ addresses: ADDRESSES });
      const disk = await mountDisk(lab);
      await disk.break(fault);
      const result = await lab.vm.agent(['reconfigure']);
      expect(result).toMatchObject({ exitCode: 3, stderr: expect.not.stringContaining('internal error') });
      expect(result.stdout).toMatch(/what the agent remembers: writing \S+eni-agent.*: E(NOSPC|ROFS)/);
      expect(result.stdout).toContain('would not come up like this after a reboot');
      expect(brokenCells(await lab.matrix([VM_ADDRESS, EXTRA, ...ADDRESSES]))).toEqual([]);
      expect(await statusOf(lab)).toMatchObject({
        state: 'degraded',
        storageProblem: expect.stringContaining('/var/lib/eni-agent'),
      });
      await lab.unassignAddress(lab.primary.mac, EXTRA);
      await lab.assignAddress(lab.primary.mac, '10.0.0.6');
      await lab.unassignAddress(mac, '10.0.1.5');
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
      await waitForAddresses(lab.vm, 'eth0', [VM_ADDRESS, '10.0.0.6']);
      await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.6']);
      await lab.assignAddress(mac, '10.0.1.5');
      await disk.repair();
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      await expectHealed(lab);
      const before = await lab.vm.snapshot({ identity: true });
      expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
      expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    },
  );

  test.each(sized<readonly Fault[]>(['read-only'], ['full', 'read-only']))(
    '(%s) under the daemon: configured at once, said once, healed by itself',
    async (fault) => {
      const lab = await openLab();
      const disk = await mountDisk(lab);
      const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
      await daemon.waitForStatus(inSync());
      await disk.break(fault);
      const { mac } = await lab.attachEni({ addresses: ADDRESSES });
      await lab.assignAddress(lab.primary.mac, '10.0.0.6');
      await waitForAddresses(lab.vm, 'eth0', [VM_ADDRESS, '10.0.0.6']);
      await waitForAddresses(lab.vm, 'eth1', ADDRESSES);
      await daemon.waitForStatus(({ state }) => state === 'degraded');
      await lab.assignAddress(mac, '10.0.1.7');
      await waitForAddresses(lab.vm, 'eth1', [...ADDRESSES, '10.0.1.7']);
      const runs = daemon.runs();
      await until({ what: 'two more runs', read: () => daemon.runs(), holds: (now) => now >= runs + 2 });
      const told = daemon.log().filter(({ msg }) => msg === 'the state is not on the disk');
      expect(told).toHaveLength(1);
      expect(daemon.log().filter(({ msg }) => msg === 'the run is not in the history')).toEqual([]);
      expect(daemon.log().filter(({ msg }) => msg.includes('after a reboot')).length).toBeLessThanOrEqual(2);
      await disk.repair();
      await daemon.waitForStatus(inSync(mac));
      await expectHealed(lab);
      expect(daemon.log().filter(({ level }) => level === 'fatal')).toEqual([]);
    },
  );
});

describe('a file that is forbidden', () => {
  /** As SELinux does it: root, and yet EACCES. */
  const forbidding = (lab: Lab, ...files: readonly string[]): readonly string[] => [
    'strace',
    '--seccomp-bpf',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'inject=openat:error=EACCES',
    ...files.flatMap((file) => ['-P', lab.vm.path(file)]),
  ];

  test('keeps no run from the kernel either, is not overwritten unread, and is said; what is no file is neither waited for nor followed', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.assignAddress(lab.primary.mac, EXTRA);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);

    await lab.assignAddress(mac, '10.0.1.5');
    const state = await lab.vm.readFile(STATE);
    const unread = await lab.vm.agent(['reconfigure'], {
      through: forbidding(lab, STATE, `${STATE}.previous`),
    });
    expect(unread).toMatchObject({ exitCode: 3, stdout: expect.stringContaining(`${STATE}: EACCES`) });
    await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5']);
    expect(await lab.vm.readFile(STATE)).toBe(state);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);

    await lab.unassignAddress(lab.primary.mac, EXTRA);
    await lab.assignAddress(mac, '10.0.1.6');
    const unwritten = await lab.vm.agent(['reconfigure'], {
      through: forbidding(lab, '/var/lib/eni-agent/.state.json.eni-agent-tmp'),
    });
    expect(unwritten).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining(`kept in ${lab.vm.root}`),
    });
    expect((await lab.vm.agent(['reconfigure'])).stdout).toBe('In sync: nothing to change.');
    await expect(lab.vm.readFile(PARKED)).rejects.toThrow('ENOENT');

    await lab.assignAddress(mac, '10.0.1.7');
    const unlisted = await lab.vm.agent(['reconfigure'], { through: forbidding(lab, SCRIPTS) });
    expect(unlisted).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('the files of eth1 stay as they are'),
    });
    await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5', '10.0.1.6', '10.0.1.7']);
    await waitForAddresses(lab.vm, 'eth0', [VM_ADDRESS]);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toContain('IPADDR3=10.0.1.7');
    const left = [SCRIPTS, '/var/lib/eni-agent', '/run/eni-agent'].map(
      (folder) => `${folder}/.killed.eni-agent-tmp`,
    );
    for (const file of left) await writeFile(lab.vm.path(file), '');
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
    for (const file of left) await expect(lab.vm.readFile(file)).rejects.toThrow('ENOENT');

    const outside = lab.vm.path('/outside');
    await writeFile(outside, 'of somebody else');
    for (const make of sized(['mkfifo'], ['mkfifo', 'mkdir', `ln -s ${outside}`])) {
      for (const file of [STATE, '/run/eni-agent/journal.json', '/run/eni-agent/.lock.eni-agent-tmp']) {
        await lab.vm.run('sh', ['-c', `rm -rf "$1" && ${make} "$1"`, 'make', lab.vm.path(file)]);
      }
      const { exitCode, stderr, durationMs } = await lab.vm.agent(['reconfigure']);
      expect({ exitCode, stderr }, make).toMatchObject({
        exitCode: 0,
        stderr: expect.stringContaining('it is no regular file'),
      });
      expect(durationMs).toBeLessThan(bound(5_000));
      expect((await lab.vm.agent(['reconfigure'])).stdout, make).toContain('In sync');
    }
    expect(await readFile(outside, 'utf8')).toBe('of somebody else');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.1.4']))).toEqual([]);
  });
});
