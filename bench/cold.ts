/** Commands from the start of their process to its end, in turns with a Node that does nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Lab } from '../test/lab/lab.ts';
import { inNamespace } from '../test/lab/netns.ts';
import { EVERY_SECOND, inSync } from '../test/lab/settled.ts';
import { addressRange } from '../test/lab/topology.ts';
import { REPEATS, type Row, row } from './sample.ts';

const CLI = new URL('../dist/cli.js', import.meta.url).pathname;
const NOTHING = ['-e', '0'];

export async function measureCold(lab: Lab): Promise<readonly Row[]> {
  const { mac } = await lab.attachEni({ addresses: addressRange('10.0.1.4', 10) });
  const boots: number[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    await lab.detachEni(mac);
    await expectExit(lab, ['reconfigure']);
    await lab.attachEni({ addresses: addressRange('10.0.1.4', 10), mac });
    boots.push(await time(lab, [CLI, '--root', lab.vm.root, 'boot']));
  }
  const commands = { '--version': ['--version'], plan: ['plan'], 'status, no daemon': ['status'] };
  const cold = await inTurns(lab, commands);
  const daemon = await lab.vm.startDaemon({ asPackaged: true, config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(mac));
  const warm = await inTurns(lab, { 'status, of the daemon': ['status'] });
  await daemon.stop();
  await lab.detachEni(mac);
  await expectExit(lab, ['reconfigure']);
  const floor = row('node -e 0', 'ms', [...cold.floor, ...warm.floor]);
  const rows = [...cold.samples, ...warm.samples].map(([what, samples]) => row(what, 'ms', samples, floor));
  return [floor, ...rows, row('boot, 1 + 9 addresses to set up', 'ms', boots, floor)];
}

async function inTurns(
  lab: Lab,
  commands: Readonly<Record<string, readonly string[]>>,
): Promise<{ floor: readonly number[]; samples: readonly (readonly [string, readonly number[]])[] }> {
  const floor: number[] = [];
  const samples = Object.keys(commands).map((what) => [what, [] as number[]] as const);
  for (let count = 0; count < REPEATS; count += 1) {
    floor.push(await time(lab, NOTHING));
    for (const [what, times] of samples)
      times.push(await time(lab, [CLI, '--root', lab.vm.root, ...(commands[what] ?? [])]));
  }
  return { floor, samples };
}

async function expectExit(lab: Lab, args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await lab.vm.agent(args);
  if (exitCode !== 0) throw new Error(`eni-agent ${args.join(' ')}: exit code ${exitCode}; ${stderr}`);
}

/** Milliseconds. Throws for an exit code: what was not reached is not measured. */
async function time(lab: Lab, args: readonly string[]): Promise<number> {
  const [file, ...rest] = inNamespace(lab.vm.namespace, [process.execPath, ...args]);
  const startedAt = performance.now();
  const child = spawn(file, rest, { stdio: 'ignore', env: { PATH: process.env['PATH'] } });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`timing node ${args.join(' ')}: exit code ${code}`);
  return performance.now() - startedAt;
}
