/** The lab proves without the agent what tests of the daemon build on: two VMs, moves between them, sessions that last. */
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { METADATA_ADDRESS, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const SECOND_VM_ADDRESS = '10.0.0.5';
const LISTED_MACS = 'latest/meta-data/network/interfaces/macs/';

/** What the VM's metadata lists, with its own primary. */
async function listedMacs(lab: Lab, vm: number): Promise<readonly string[]> {
  const script = `fetch('http://${METADATA_ADDRESS}/${LISTED_MACS}').then((answer) => answer.text()).then(console.log)`;
  const result = await lab.vms[vm]?.run(process.execPath, ['-e', script]);
  return (result?.stdout ?? '').split('\n').map((line) => line.replace('/', '').toLowerCase());
}

async function addByHand(lab: Lab, vm: number, link: string, address: string): Promise<void> {
  await lab.vms[vm]?.run('ip', ['link', 'set', link, 'up']);
  await lab.vms[vm]?.run('ip', ['addr', 'add', `${address}/24`, 'dev', link]);
}

describe('two VMs', () => {
  test('have an address, a tree and a metadata answer each', async () => {
    const lab = await openLab({ vms: 2 });
    expect(brokenCells(await lab.matrix([VM_ADDRESS, SECOND_VM_ADDRESS]))).toEqual([]);
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'], vm: 1 });
    const [first, second] = [await listedMacs(lab, 0), await listedMacs(lab, 1)];
    expect(first).toEqual([lab.primary.mac]);
    expect(second).toContain(mac);
    expect(second).not.toContain(lab.primary.mac);
    expect(new Set(lab.vms.map(({ root }) => root)).size).toBe(2);
  });

  test('an ENI that migrates is there with its MAC, and its address answers there alone', async () => {
    const lab = await openLab({ vms: 2 });
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await addByHand(lab, 0, 'eth1', '10.0.1.4');
    const answer = async () => (await lab.connect({ from: 'client-10.0.1', to: '10.0.1.4' })).answer?.host;
    expect(await answer()).toBe('vm');
    await lab.migrateEni(mac, 1);
    expect((await lab.vm.tryRun('ip', ['link', 'show', 'eth1'])).exitCode).not.toBe(0);
    expect(await answer()).toBeUndefined();
    await addByHand(lab, 1, 'eth1', '10.0.1.4');
    expect(await answer()).toBe('vm2');
    expect(await listedMacs(lab, 0)).not.toContain(mac);
    expect(await listedMacs(lab, 1)).toContain(mac);
  });

  test('an address on both answers by its owner', async () => {
    const lab = await openLab({ vms: 2 });
    const one = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.50'] });
    const other = await lab.attachEni({ addresses: ['10.0.1.5'], vm: 1 });
    for (const vm of [0, 1]) await addByHand(lab, vm, 'eth1', '10.0.1.50');
    const answer = async () => (await lab.connect({ from: 'client-10.0.1', to: '10.0.1.50' })).answer?.host;
    expect(await answer()).toBe('vm');
    await lab.migrateAddress('10.0.1.50', one.mac, other.mac);
    expect(await answer()).toBe('vm2');
  });
});

describe('metadata that runs ahead', () => {
  test('lists an ENI whose link is plugged in later', async () => {
    const lab = await openLab();
    const { mac, linkName } = await lab.announceEni({ addresses: ['10.0.1.4'] });
    expect(await listedMacs(lab, 0)).toContain(mac);
    expect((await lab.vm.tryRun('ip', ['link', 'show', linkName])).exitCode).not.toBe(0);
    await lab.plugIn(mac);
    expect((await lab.vm.run('ip', ['link', 'show', linkName])).stdout).toContain(mac);
  });
});

describe('a session', () => {
  test('counts the retransmissions that an interruption costs, and none without', async () => {
    const lab = await openLab();
    const session = await lab.openSession({ from: 'outside', to: VM_ADDRESS });
    const stop = session.keepExchanging();
    await session.retransmissions();
    expect(await stop()).toBeGreaterThan(1);
    expect(await session.retransmissions()).toBe(0);

    await lab.vm.run('ip', ['rule', 'add', 'from', VM_ADDRESS, 'blackhole', 'priority', '100']);
    const held = session.exchange();
    await until({
      what: 'something is sent again',
      read: () => session.retransmissions(),
      holds: (count) => count > 0,
    });
    await lab.vm.run('ip', ['rule', 'del', 'priority', '100']);
    await held;
    await session.close();
  });
});

describe('the monitor', () => {
  test('tells when a link came, got an address and changed its name', async () => {
    const lab = await openLab();
    const monitor = await lab.vm.monitor();
    const startedAt = Date.now();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.attachEni({ addresses: ['10.0.2.4'] });
    await addByHand(lab, 0, 'eth1', '10.0.1.4');
    await lab.vm.swapNames('eth1', 'eth2');
    const lines = await until({
      what: 'the names are swapped',
      read: () => monitor.lines(),
      holds: (seen) => seen.some(({ text }) => text.includes('swapped')),
    });
    const address = lines.find(({ text }) => text.startsWith('[ADDR]') && text.includes('inet 10.0.1.4/24'));
    expect(lines.findIndex(({ text }) => /^\[LINK\].* eth1/.test(text))).toBeLessThan(
      lines.findIndex((line) => line === address),
    );
    expect(Math.abs((address?.at ?? 0) - startedAt)).toBeLessThan(10_000);
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth2'])).stdout).toContain('10.0.1.4/24');
  });
});
