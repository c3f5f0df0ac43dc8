/** ENIs that come and go while the daemon runs: by MAC, and without a trace. */
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { alarms, EVERY_SECOND, inSync, networkOf, sized, tablesOf, waitForNetwork } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const ONE = addressRange('10.0.1.4', 4);
const OTHER = addressRange('10.0.2.4', 4);

/** A container's bridge, a VIP, a rule and a table of somebody else. */
async function addOthersObjects(vm: Vm): Promise<void> {
  const lines = [
    'link add docker0 type bridge',
    'link set docker0 up',
    'addr add 172.17.0.1/16 dev docker0',
    'addr add 10.0.0.100/32 dev eth0',
    'rule add from 192.0.2.7 lookup 52 priority 5270',
    'route add 192.0.2.0/24 via 10.0.0.1 dev eth0 table 52',
  ];
  await vm.run('sh', ['-c', lines.map((line) => `ip ${line}`).join(' && ')]);
}

describe('a detached ENI', () => {
  test('leaves nothing, and what others have is the same byte for byte', async () => {
    const lab = await openLab();
    await addOthersObjects(lab.vm);
    const bare = await networkOf(lab.vm);
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    const one = await lab.attachEni({ addresses: ONE });
    await daemon.waitForStatus(inSync(one.mac));
    const withOne = await networkOf(lab.vm);
    const other = await lab.attachEni({ addresses: OTHER });
    await daemon.waitForStatus(inSync(one.mac, other.mac));
    await lab.detachEni(other.mac);
    await waitForNetwork(lab.vm, withOne);
    await lab.detachEni(one.mac);
    await waitForNetwork(lab.vm, bare);
    await daemon.waitForStatus(inSync(lab.primary.mac));
    expect(alarms(daemon.log())).toEqual([]);
  });
});

describe('two ENIs', () => {
  test('that come again at once, in the other order and then with swapped names are right by MAC', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    const one = await lab.attachEni({ addresses: ONE });
    await daemon.waitForStatus(inSync(one.mac));
    const other = await lab.attachEni({ addresses: OTHER });
    const tables = tablesOf(await daemon.waitForStatus(inSync(one.mac, other.mac)));
    expect(tables).toMatchObject({ [one.mac]: 21001, [other.mac]: 21002 });

    await lab.detachEni(one.mac);
    const left = await daemon.waitForStatus(
      (status) => inSync(other.mac)(status) && !inSync(one.mac)(status),
    );
    expect(tablesOf(left)[other.mac]).toBe(21002);
    await lab.detachEni(other.mac);
    await Promise.all([
      lab.attachEni({ addresses: OTHER, name: 'eth1' }),
      lab.attachEni({ addresses: ONE, name: 'eth2' }),
    ]);
    expect(tablesOf(await daemon.waitForStatus(inSync(one.mac, other.mac)))).toEqual(tables);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ONE, ...OTHER]))).toEqual([]);

    await lab.vm.swapNames('eth1', 'eth2');
    const swapped = await daemon.waitForStatus(
      (status) =>
        inSync(one.mac, other.mac)(status) &&
        status.interfaces.some(({ mac, name }) => mac === one.mac && name === 'eth1'),
    );
    expect(tablesOf(swapped)).toEqual(tables);
    const rules = (await lab.vm.run('ip', ['rule'])).stdout;
    expect(rules).toContain('oif eth1 lookup 21001');
    expect(rules).toContain('oif eth2 lookup 21002');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ONE, ...OTHER]))).toEqual([]);
  });
});

describe('many attaches and detaches', () => {
  /** So many ENIs come and go beside each other: together some ten per second. */
  const LANES = 4;

  async function comeAndGo(lab: Lab, lane: number): Promise<void> {
    const [address = ''] = addressRange(`10.0.1.${20 + lane}`, 1);
    for (let count = 0; count < sized(2, 25); count += 1) {
      const { mac } = await lab.attachEni({ addresses: [address], name: `eth${lane + 1}` });
      await lab.detachEni(mac);
    }
  }

  test('end right, and nothing is left open', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    await daemon.waitForStatus(inSync(lab.primary.mac));
    const bare = await networkOf(lab.vm);
    const { mac } = await lab.attachEni({ addresses: ONE });
    await daemon.waitForStatus(inSync(mac));
    const open = await daemon.fds();
    await lab.detachEni(mac);
    await Promise.all(Array.from({ length: LANES }, (_, lane) => comeAndGo(lab, lane)));
    await waitForNetwork(lab.vm, bare);
    await daemon.waitForStatus(inSync(lab.primary.mac));
    await until({ what: `${open} files are open`, read: () => daemon.fds(), holds: (fds) => fds <= open });
    await lab.attachEni({ addresses: ONE });
    await daemon.waitForStatus(inSync(mac));
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ONE]))).toEqual([]);
    expect(alarms(daemon.log())).toEqual([]);
  });
});
