/** Invariant 9: whoever runs at the same moment takes turns, and each ends with a correct state or exit code 4. */
import { watch } from 'node:fs';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { alarms, inSync, sized } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import type { AgentResult } from '../lab/vm.ts';

const ROUNDS = sized(1, 50);
const COMMANDS = sized(4, 20);
const TIMEOUT_MS = sized(60_000, 1_200_000);
const ADDRESSES = addressRange('10.0.1.4', 10);
const RUN = '/run/eni-agent';

/** Its own process says that it waits, and goes on when the gate opens. */
const WAIT = ': > "$0/$$"; read -r _ < "$0.gate"; exec "$@"';

/** Holds back what is started through it until all are there. */
async function buildGate(lab: Lab, round: number) {
  const folder = lab.vm.path(`/run/waiting${round}`);
  await mkdir(folder);
  await execa('mkfifo', [`${folder}.gate`]);
  return {
    through: ['sh', '-c', WAIT, folder],
    openFor: async (count: number): Promise<void> => {
      await until({
        what: 'all are waiting',
        read: () => readdir(folder),
        holds: ({ length }) => length === count,
      });
      const gate = await open(`${folder}.gate`, 'r+');
      await gate.write('\n'.repeat(count));
      // Nobody reads from a pipe that is gone.
      await until({
        what: 'all have left',
        read: () => readersOf(folder),
        holds: (readers) => readers === 0,
      });
      await gate.close();
      await Promise.all([rm(folder, { recursive: true }), rm(`${folder}.gate`)]);
    },
  };
}

/** Shells that have not become the agent yet. */
async function readersOf(folder: string): Promise<number> {
  const pids = await readdir(folder);
  const programs = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return programs.filter((program) => program.startsWith('sh\0')).length;
}

/** Nobody is killed here: no lock is ever broken, so whoever has it was the only one who could. */
function watchLock(lab: Lab): { readonly taken: () => readonly string[]; readonly close: () => void } {
  const seen: string[] = [];
  const watcher = watch(lab.vm.path(RUN), (_, name) => {
    if (name?.startsWith('lock') === true) seen.push(name);
  });
  return { taken: () => seen, close: () => watcher.close() };
}

function wrongEnds(runs: readonly AgentResult[]): readonly AgentResult[] {
  return runs.filter(({ exitCode }) => exitCode !== 0 && exitCode !== 4);
}

test(`${COMMANDS} reconfigures, a boot and a daemon at the same instant: one at a time, each right, nothing left over`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const lab = await openLab();
  await mkdir(lab.vm.path(RUN));
  const lock = watchLock(lab);
  const ends: Record<string, number> = {};
  let mac = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    const isAttached = round % 2 === 0;
    if (isAttached) mac = (await lab.attachEni({ addresses: ADDRESSES })).mac;
    else await lab.detachEni(mac);
    const gate = await buildGate(lab, round);
    const { through } = gate;
    const commands = [...Array.from({ length: COMMANDS }, () => ['reconfigure']), ['boot']];
    const [runs, daemon] = await Promise.all([
      Promise.all(commands.map((args) => lab.vm.agent(args, { through }))),
      lab.vm.startDaemon({ through }),
      gate.openFor(COMMANDS + 2),
    ]);
    expect(wrongEnds(runs)).toEqual([]);
    for (const { exitCode } of runs) ends[String(exitCode)] = (ends[String(exitCode)] ?? 0) + 1;
    await daemon.waitForStatus(
      (status) =>
        inSync(...(isAttached ? [mac] : []))(status) && status.interfaces.length === (isAttached ? 2 : 1),
    );
    expect(alarms(daemon.log())).toEqual([]);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...(isAttached ? ADDRESSES : [])]))).toEqual([]);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(await readdir(lab.vm.path(RUN))).toEqual([]);
  }
  lock.close();
  expect([...new Set(lock.taken())]).toEqual(['lock']);
  console.info(`exit codes of ${ROUNDS} rounds: ${JSON.stringify(ends)}`);
});
