/** What docs/systemd.md and docs/troubleshooting.md look for in the journal and ask systemctl, beside a real systemd. As root alone. */
import { expect, onTestFinished, test } from 'vitest';
import { commandsOf } from '../lab/doc-commands.ts';
import { readPage } from '../lab/markdown.ts';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd } from '../lab/service-manager.ts';
import { inSync } from '../lab/settled.ts';

function documented(page: string, section: string): readonly string[] {
  const commands = commandsOf(readPage(page)).filter(
    ({ anchor, language }) => anchor === section && language === 'sh',
  );
  return commands.map(({ command }) => command);
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
  const commands = documented('docs/systemd.md', 'the-journal');
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

  const lookups = documented('docs/troubleshooting.md', 'after-a-reboot-the-addresses-are-missing');
  const [enabled, states, log] = await Promise.all(lookups.map(ask));
  expect(enabled).toBe('enabled\nenabled');
  expect(states).toMatch(/eni-agent-boot\.service[^]+Active: active[^]+eni-agent\.service[^]+Active: active/);
  expect(log).toMatch(/"ready"/);
});
