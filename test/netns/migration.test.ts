/** A host whose network is brought up by another program than before: the files move, and nothing else does. Killed: kill-sweep.test.ts. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Backend } from '../../src/model/config.ts';
import { CONNECTIONS, NETWORK_SCRIPTS } from '../../src/model/files.ts';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';
import type { Vm } from '../lab/vm.ts';
import { cloudInitFile } from '../lab/vm-root.ts';

const SCRIPTS = 'network-scripts';
const KEYFILE = 'networkmanager-keyfile';
const OTHERS: readonly Backend[] = sized([KEYFILE], [KEYFILE, 'networkmanager-ifcfg']);
const using = (backend: Backend): string => `persistence: { backend: ${backend} }\n`;

async function reconfigure(vm: Vm, backend: Backend): Promise<void> {
  const result = await vm.agent(['reconfigure'], { config: using(backend) });
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
}

async function filesOf(vm: Vm): Promise<readonly string[]> {
  const folders = [NETWORK_SCRIPTS, CONNECTIONS].map((folder) => readdir(vm.path(folder)));
  return (await Promise.all(folders)).flat().toSorted();
}

/** eth1, and eth2 that cloud-init had written a file for; brought up from network-scripts. */
async function twoNics() {
  const lab = await openLab();
  await mkdir(lab.vm.path(CONNECTIONS), { recursive: true });
  const first = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const second = await lab.attachEni({ addresses: ['10.0.2.4'] });
  await writeFile(lab.vm.path(`${NETWORK_SCRIPTS}/ifcfg-eth2`), cloudInitFile('eth2', second.mac));
  await reconfigure(lab.vm, SCRIPTS);
  return { lab, first, second };
}

/** Kernel, and files with their modes and bytes; without the state, which knows when it was written. */
async function everything({ vm }: Lab): Promise<string> {
  const lines = (await vm.snapshot()).split('\n');
  return lines.filter((line) => !/ \/(?:var|run|etc\/eni-agent)(?:\/| |$)/.test(line)).join('\n');
}

test.each(OTHERS)('to %s and back: no file is left over, the kernel hears of nothing', async (other) => {
  const { lab, first, second } = await twoNics();
  const { vm } = lab;
  const before = await everything(lab);
  expect(await filesOf(vm)).toContain('ifcfg-eth2.orig');
  const monitor = await vm.monitor();

  await reconfigure(vm, other);
  const files = await filesOf(vm);
  if (other === KEYFILE)
    expect(files).toEqual([
      'eni-agent-eth1.nmconnection',
      'eni-agent-eth2.nmconnection',
      'ifcfg-eth0',
      'ifcfg-eth2.orig',
    ]);
  else expect(files.filter((name) => name.startsWith('rule'))).toEqual([]);
  expect((await vm.agent(['plan', '--check'])).exitCode).toBe(0);
  const status = JSON.parse((await vm.agent(['status', '--json'])).stdout) as {
    readonly interfaces: unknown;
  };
  expect(status.interfaces).toContainEqual(expect.objectContaining({ mac: first.mac, persistence: other }));

  await reconfigure(vm, SCRIPTS);
  expect(await everything(lab)).toBe(before);
  expect((await vm.agent(['plan', '--check'])).exitCode).toBe(0);
  expect(monitor.lines()).toEqual([]);
  expect(brokenCells(await lab.matrix([...first.addresses, ...second.addresses]))).toEqual([]);
});

test('with a NIC that was detached in between: nothing of it is left, what cloud-init wrote is back', async () => {
  const { lab, second } = await twoNics();
  await lab.detachEni(second.mac);
  await reconfigure(lab.vm, KEYFILE);
  expect(await filesOf(lab.vm)).toEqual(['eni-agent-eth1.nmconnection', 'ifcfg-eth0', 'ifcfg-eth2']);
  await reconfigure(lab.vm, SCRIPTS);
  expect(await filesOf(lab.vm)).toEqual([
    'ifcfg-eth0',
    'ifcfg-eth1',
    'ifcfg-eth2',
    'route-eth1',
    'rule-eth1',
  ]);
});

test('released: what was there before is back, whichever files it was that were written last', async () => {
  const { lab } = await twoNics();
  await reconfigure(lab.vm, KEYFILE);
  expect((await lab.vm.agent(['release', '--all'])).exitCode).toBe(0);
  expect(await filesOf(lab.vm)).toEqual(['ifcfg-eth0', 'ifcfg-eth2']);
});
