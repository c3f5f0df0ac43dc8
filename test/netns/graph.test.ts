/** `graph` of a VM with three networks, and of one that is broken; docs/graph.md shows them. */
import { readFile, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync } from '../lab/settled.ts';
import { addressRange } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

/** Set: the pictures are written instead of compared with. */
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';
const PUBLIC = '203.0.113.9';
const EXTERNAL_MAC = '02:e0:0a:00:01:04';

async function draw(lab: Lab, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await lab.vm.agent(['graph', ...args]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

async function expectPicture(name: string, svg: string): Promise<void> {
  const file = new URL(`../../docs/${name}`, import.meta.url);
  if (IS_WRITTEN) await writeFile(file, `${svg}\n`);
  expect(`${svg}\n`).toBe(await readFile(file, 'utf8'));
}

test('three networks, a public address, one address of somebody else and many of one NIC', async () => {
  const lab = await openLab();
  // The daemon asks once in ten minutes.
  const keys = `network/interfaces/macs/${EXTERNAL_MAC.toUpperCase()}`;
  const answers = { [`${keys}/public-ipv4s`]: PUBLIC, [`${keys}/local-ipv4s/10.0.1.4/public-ipv4`]: PUBLIC };
  await lab.metadata.fault({ mode: 'answers', answers });
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const external = await lab.attachEni({ addresses: addressRange('10.0.1.4', 3), mac: EXTERNAL_MAC });
  const management = await lab.attachEni({ addresses: addressRange('10.0.2.4', 30) });
  await daemon.waitForStatus(inSync(external.mac, management.mac));
  await lab.vm.run('ip', ['address', 'add', '10.0.1.77/24', 'dev', 'eth1']);
  await until({
    what: 'the daemon knows the public address',
    read: async () => (await lab.vm.agent(['status', '--json'])).stdout,
    holds: (status) => status.includes(PUBLIC),
  });
  await expectPicture('graph.svg', await draw(lab));
  expect(await draw(lab, '--all')).toContain('10.0.2.33/24');
  const { stdout } = await execa('dot', ['-Tplain'], { input: await draw(lab, '--format', 'dot') });
  expect(stdout).toMatch(/^edge t1 g1 /m);
});

test('a VM that is broken is drawn without the daemon, and what is broken stands out', async () => {
  const lab = await openLab();
  const kept = await lab.attachEni({ addresses: addressRange('10.0.1.4', 3) });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  await lab.announceEni({ addresses: addressRange('10.0.2.4', 12) });
  await lab.vm.agent(['reconfigure']);
  await lab.vm.run('ip', ['address', 'delete', '10.0.1.5/24', 'dev', 'eth1']);
  await lab.vm.run('ip', ['rule', 'delete', 'from', '10.0.1.6']);
  const svg = await draw(lab);
  await expectPicture('graph-broken.svg', svg);
  expect(svg).toContain(kept.mac);
  // The lab asks for a VM that is whole.
  await lab.vm.agent(['reconfigure']);
});
