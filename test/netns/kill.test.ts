/** Invariant 5: killed at any instant and started again, it ends as if it had not been killed. */
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);
const KILLS = sized(2, 50);

test(`kill -9 at ${KILLS} random instants, then once more: the right state each time`, {
  timeout: 170_000,
}, async () => {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
  // So that a detached ENI is cleared at once.
  await lab.vm.writeConfig('daemon: { removalConfirmations: 1 }\n');
  let { durationMs } = await lab.vm.agent(['reconfigure']);
  const complete = await settledSnapshot(lab.vm);
  await lab.detachEni(mac);
  await lab.vm.agent(['reconfigure']);
  const empty = await settledSnapshot(lab.vm);
  let killed = 0;
  for (let index = 0; killed < KILLS && index < 4 * KILLS; index += 1) {
    await lab.attachEni({ addresses: ENI_ADDRESSES, mac });
    const instant = 1 + Math.random() * durationMs;
    const run = await lab.vm.agent(['reconfigure'], { killAfterMs: instant });
    if (run.exitCode === null) killed += 1;
    // It was over before: the first run, which the instants go by, was slower than this one.
    else durationMs = Math.min(durationMs, run.durationMs);
    expect((await lab.vm.agent(['reconfigure'])).exitCode, `killed after ${instant} ms`).toBe(0);
    expect(await settledSnapshot(lab.vm), `killed after ${instant} ms`).toBe(complete);
    await lab.detachEni(mac);
    if (index === 0) expect(await settledSnapshot(lab.vm)).not.toBe(empty);
    await lab.vm.agent(['reconfigure']);
  }
  expect(await settledSnapshot(lab.vm)).toBe(empty);
  expect(killed).toBe(KILLS);
  await lab.attachEni({ addresses: ENI_ADDRESSES, mac });
  await lab.vm.agent(['reconfigure']);
  expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
});

/** Everything but what differs between two good runs: link indexes, times in the state file and in the history, a dead holder's lock. */
async function settledSnapshot(vm: { snapshot(): Promise<string> }): Promise<string> {
  return (await vm.snapshot())
    .split('\n')
    .filter((line) => !line.includes('/run/eni-agent'))
    .map((line) =>
      line.replace(/^\d+: eth/, 'eth').replace(/(state\.json(?:\.previous)?|history\.jsonl) .*/, '$1'),
    )
    .toSorted()
    .join('\n');
}
