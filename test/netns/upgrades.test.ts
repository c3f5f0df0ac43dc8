/** What docs/upgrades.md says of a state that a newer version has left. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Status } from '../lab/daemon.ts';
import { parseStatus } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { waitForAddresses } from '../lab/settled.ts';

const STATE_FOLDER = '/var/lib/eni-agent';

/** eth1 is managed, eth2 released, eth0 has a secondary IP; these generations are of a version that is not there yet. */
async function downgraded(...generations: readonly string[]): Promise<Lab> {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await lab.attachEni({ addresses: ['10.0.2.4'] });
  await lab.assignAddress(lab.primary.mac, '10.0.0.9');
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  expect((await lab.vm.agent(['release', 'eth2'])).exitCode).toBe(0);
  for (const name of generations) {
    const file = lab.vm.path(`${STATE_FOLDER}/${name}`);
    const text = await readFile(file, 'utf8');
    expect(text).toContain('"version": 2');
    await writeFile(file, text.replace('"version": 2', '"version": 3'));
  }
  return lab;
}

async function statusOf({ vm }: Lab): Promise<Status> {
  return parseStatus(JSON.parse((await vm.agent(['status', '--json'])).stdout));
}

function stateOf({ interfaces }: Status, name: string, address?: string): string | undefined {
  const nic = interfaces.find((each) => each.name === name);
  return address === undefined
    ? nic?.state
    : nic?.addresses.find((entry) => entry.address === address)?.state;
}

describe('after a downgrade', () => {
  test('the generation before is gone by where this version can read it: nothing is forgotten', async () => {
    const lab = await downgraded('state.json');
    const before = (await lab.vm.snapshot()).split('## files')[0];
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain(
      'it is of version 3, and this agent knows version 2; the one before it is used',
    );
    expect((await lab.vm.snapshot()).split('## files')[0]).toBe(before);
    expect(await readdir(lab.vm.path(STATE_FOLDER))).toContain('state.json.version-3');
    expect(stateOf(await statusOf(lab), 'eth2')).toBe('released');
    await lab.unassignAddress(lab.primary.mac, '10.0.0.9');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    await waitForAddresses(lab.vm, 'eth0', ['10.0.0.4']);
  });

  test('without one no address is lost, but releases are forgotten, and what is the agent’s on the primary NIC', async () => {
    const lab = await downgraded('state.json', 'state.json.previous');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const status = await statusOf(lab);
    expect(stateOf(status, 'eth1')).toBe('in-sync');
    expect(stateOf(status, 'eth2')).toBe('in-sync');
    await lab.unassignAddress(lab.primary.mac, '10.0.0.9');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(stateOf(await statusOf(lab), 'eth0', '10.0.0.9')).toBe('foreign');
  });

  test('a key that this version does not know is an error, and nothing is touched', async () => {
    const lab = await openLab();
    const result = await lab.vm.agent(['reconfigure'], { config: 'daemon: { tomorrow: 1 }\n' });
    expect(result).toMatchObject({ exitCode: 2, stdout: '' });
    expect(result.stderr).toContain('unknown key');
  });
});
