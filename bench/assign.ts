/** One more private IP for a NIC that has some: from the bell (the operator's, as at an interval) to the address in the kernel. */
import { writeFile } from 'node:fs/promises';
import type { Lab } from '../test/lab/lab.ts';
import { inSync } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { until } from '../test/lab/until.ts';
import { REPEATS, type Row, row } from './sample.ts';

/** An ENI has so many addresses at most. */
const MOST = 30;
/** At first; one more with each sample. */
const OTHERS = [1, MOST - REPEATS];

export async function measureAssign(lab: Lab): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const others of OTHERS)
    rows.push(row(`assign of one IP to a NIC with ${others} and more`, 'ms', await measureWith(lab, others)));
  return rows;
}

async function measureWith(lab: Lab, others: number): Promise<readonly number[]> {
  const { mac } = await lab.attachEni({ addresses: addressRange('10.0.1.4', others) });
  const daemon = await lab.vm.startDaemon({ asPackaged: true });
  await daemon.waitForStatus(inSync(mac));
  const durations: number[] = [];
  for (const address of addressRange('10.0.1.100', REPEATS)) {
    const monitor = await lab.vm.monitor();
    await lab.assignAddress(mac, address);
    const from = performance.timeOrigin + performance.now();
    await writeFile(lab.vm.path('/run/eni-agent/wake'), '');
    const line = await until({
      what: `${address} is there`,
      read: () =>
        monitor.lines().find(({ text }) => text.startsWith('[ADDR]') && text.includes(` ${address}/`)),
      holds: (found) => found !== undefined,
    });
    durations.push((line?.at ?? Number.NaN) - from);
    await daemon.waitForStatus(inSync(mac));
    await monitor.stop();
  }
  await daemon.stop();
  await lab.detachEni(mac);
  const { exitCode, stderr } = await lab.vm.agent(['reconfigure']);
  if (exitCode !== 0) throw new Error(`taking it away: ${stderr}`);
  return durations;
}
