/** Which runs ring for the operator's hooks: where there is no systemd to run them, that is said instead. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, waitForAddresses } from '../lab/settled.ts';
import { until } from '../lab/until.ts';

const FOLDERS = ['address-added', 'address-removed', 'interface-attached', 'interface-detached'];
const RUNG = 'hooks are not run: they are units of systemd, which is not here';

async function labWithHooks(): Promise<Lab> {
  const lab = await openLab();
  for (const name of FOLDERS) {
    const folder = lab.vm.path(`/etc/eni-agent/hooks.d/${name}`);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeFile(`${folder}/10-any`, '#!/bin/sh\n');
    await chmod(`${folder}/10-any`, 0o755);
  }
  return lab;
}

test('a run that changed something does, once verified; a dry run, one that is in sync and a repair do not', async () => {
  const lab = await labWithHooks();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const says = async (...args: readonly string[]): Promise<string> => {
    const { exitCode, stderr } = await lab.vm.agent(args);
    expect(exitCode).toBe(0);
    return stderr;
  };
  expect(await says('reconfigure', '--dry-run')).toBe('');
  expect(await says('plan')).toBe('');
  expect(await says('boot', '--timeout', '20s')).toContain(RUNG);
  expect(await says('reconfigure')).toBe('');
  await lab.vm.run('ip', ['address', 'del', '10.0.1.5/24', 'dev', 'eth1']);
  expect(await says('reconfigure')).toBe('');
  await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5']);
  expect(await says('release', 'eth1')).toContain(RUNG);
  expect(await says('reconfigure', 'eth1')).toContain(RUNG);
});

test('what is rolled back does not, neither at once nor for want of a confirmation; what is confirmed does', async () => {
  const lab = await labWithHooks();
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  const route = 'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.77.0.1 }] }]\n';
  const refused = await lab.vm.agent(['reconfigure'], { config: route });
  expect(refused.exitCode).toBe(3);
  expect(refused.stderr).not.toContain(RUNG);
  expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout).toBe('');
  await lab.vm.writeConfig('');
  const tried = await lab.vm.agent(['reconfigure', '--confirm', '1h']);
  expect(tried.exitCode).toBe(0);
  expect(tried.stderr).not.toContain(RUNG);
  expect((await lab.vm.agent(['reconfigure', '--commit'])).stderr).toContain(RUNG);
});

test('the daemon says it once, and that a file is refused once for as long as it is', async () => {
  const lab = await labWithHooks();
  await chmod(lab.vm.path('/etc/eni-agent/hooks.d/address-added/10-any'), 0o777);
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await lab.assignAddress(mac, '10.0.1.5');
  await daemon.waitForStatus(inSync(mac));
  await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5']);
  await lab.detachEni(mac);
  await until({
    what: 'what was of the NIC is gone',
    read: async () => (await lab.vm.run('ip', ['rule'])).stdout,
    holds: (rules) => !rules.includes('10.0.1.'),
  });
  await daemon.stop();
  const lines = (message: string): number => daemon.log().filter(({ msg }) => msg === message).length;
  expect(lines(RUNG)).toBe(1);
  expect(lines('hook refused')).toBe(1);
});
