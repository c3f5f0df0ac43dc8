/** Metrics below a real systemd, in the unit's sandbox and with the drop-in of docs/monitoring.md. As root alone. */
import { mkdir, readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { addDropIns, bootSystemd } from '../lab/service-manager.ts';
import { EVERY_SECOND, inSync } from '../lab/settled.ts';
import { until } from '../lab/until.ts';

const FOLDER = '/var/lib/node_exporter/textfile_collector';
const FILE = `${FOLDER}/eni-agent.prom`;

test('the daemon listens and writes its file there', async () => {
  const lab = await openLab();
  const { vm } = lab;
  const page = await readFile(new URL('../../docs/monitoring.md', import.meta.url), 'utf8');
  const [, dropIn = ''] = /^```ini\n# \S+\n(.*?)^```$/ms.exec(page) ?? [];
  expect(dropIn).toContain(`-${FOLDER}\n`);
  await mkdir(vm.path(FOLDER), { recursive: true });
  await vm.writeConfig(`${EVERY_SECOND}metrics: { listen: '127.0.0.1:9101', textfile: ${FILE} }\n`);
  await addDropIns(vm, { 'eni-agent.service': dropIn });
  const manager = await bootSystemd(vm);
  onTestFinished(() => manager.end());
  await manager.waitForStatus(inSync());
  await until({
    what: 'the file is there',
    read: () => vm.readFile(FILE).catch(() => ''),
    holds: (text) => text.includes('eni_agent_metadata_up 1\n'),
  });
  expect((await vm.run('ss', ['-Hltn'])).stdout).toContain('127.0.0.1:9101');
  expect(await manager.journal('eni-agent.service')).not.toMatch(/"level":"(?:warn|error|fatal)"/);
});
