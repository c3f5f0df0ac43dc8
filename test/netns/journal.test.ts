/** What docs/systemd.md says of the journal, in the journal of a real systemd. As root alone. */
import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd } from '../lab/service-manager.ts';
import { inSync } from '../lab/settled.ts';

const PAGE = new URL('../../docs/systemd.md', import.meta.url);

async function documented(): Promise<readonly string[]> {
  const [, block = ''] = /^```console\n(.*?)^```$/ms.exec(await readFile(PAGE, 'utf8')) ?? [];
  return block.split('\n').filter((line) => line !== '');
}

test('a line has its priority there, and jq finds the runs that changed a NIC', async () => {
  const lab = await openLab();
  await lab.vm.writeConfig('');
  const manager = await bootSystemd(lab.vm);
  onTestFinished(() => manager.end());
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await manager.waitForStatus(inSync(mac));
  await lab.vm.writeConfig('nothing: 1\n');
  await manager.run('sh', '-c', 'systemctl reload eni-agent || true');
  const commands = await documented();
  expect(commands).toHaveLength(4);
  const ask = async (command = ''): Promise<string> => (await manager.run('sh', '-c', command)).stdout;
  const [warnings, changed, ofNic, failed] = commands;
  expect(await ask(warnings)).toContain('configuration refused');
  expect(await ask(warnings)).not.toContain('"ready"');
  const [run = ''] = (await ask(`${changed} | jq -c .`)).split('\n');
  expect(JSON.parse(run)).toMatchObject({ outcome: 'applied', trigger: expect.any(String) });
  expect(JSON.parse(run)).toMatchObject({ interfaces: ['eth0', 'eth1'], macs: [lab.primary.mac, mac] });
  expect(await ask(ofNic)).toContain('network configuration changed');
  expect(await ask(failed)).toBe('');
});
