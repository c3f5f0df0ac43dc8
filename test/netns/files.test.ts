/** The distribution's files: in the form that the distribution was seen to take, and nobody else's touched. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { addressRange } from '../lab/topology.ts';
import { cloudInitFile } from '../lab/vm-root.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const FIXTURE = new URL('../golden/fixtures/network-scripts/policy/', import.meta.url);
const HAND_WRITTEN = '# by hand\nDEVICE=eth1\nONBOOT=no\n';

describe('the files of an ENI with ten addresses', () => {
  test('are those of the fixture, with its addresses', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: addressRange('10.0.1.4', 10), mac: '02:00:00:00:00:02' });
    await lab.vm.agent(['reconfigure']);
    for (const name of ['ifcfg-eth1', 'route-eth1', 'rule-eth1']) {
      const fixture = await readFile(new URL(name, FIXTURE), 'utf8');
      expect(await lab.vm.readFile(`${SCRIPTS}/${name}`), name).toBe(extended(fixture));
      expect((await stat(lab.vm.path(`${SCRIPTS}/${name}`))).mode & 0o777).toBe(0o644);
    }
    expect((await lab.vm.run('ls', [lab.vm.path(SCRIPTS)])).stdout.split('\n')).toEqual([
      'ifcfg-eth0',
      'ifcfg-eth1',
      'route-eth1',
      'rule-eth1',
    ]);
  });

  test('are written again when somebody changes or removes them', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.agent(['reconfigure']);
    const rule = await lab.vm.readFile(`${SCRIPTS}/rule-eth1`);
    await writeFile(lab.vm.path(`${SCRIPTS}/rule-eth1`), `${rule}from 10.9.9.9 table 7\n`);
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.stdout).toContain('rule-eth1 on eth1 (differs from what should be)');
    expect(await lab.vm.readFile(`${SCRIPTS}/rule-eth1`)).toBe(rule);
  });

  test('are not written with backend: none, and the kernel is right all the same', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.agent(['reconfigure'], { config: 'persistence: { backend: none }\n' });
    await expect(lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).rejects.toThrow('ENOENT');
    expect(brokenCells(await lab.matrix(['10.0.1.4']))).toEqual([]);
  });
});

describe('an ifcfg-eth1 that was there before', () => {
  test('written by hand is respected: nothing is touched, and the way out is printed', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-eth1`), HAND_WRITTEN);
    const before = await lab.vm.snapshot({ identity: true });
    const plan = await lab.vm.agent(['plan']);
    expect(plan.exitCode).toBe(0);
    expect(plan.stdout).toContain('foreign-config');
    expect(plan.stdout).toContain('persistence: { existingFiles: replace }');
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(0);
    const after = (await lab.vm.snapshot({ identity: true }))
      .split('\n')
      .filter((line) => !/var\/lib|\/run/.test(line));
    expect(after).toEqual(before.split('\n').filter((line) => !/var\/lib|\/run/.test(line)));
    const status = JSON.parse((await lab.vm.agent(['status', '--json'])).stdout);
    expect(status.state).toBe('in-sync');
    expect(status.interfaces[1]).toMatchObject({ name: 'eth1', state: 'foreign-config' });
    expect(status.interfaces[1].reason).toContain('persistence: { existingFiles: replace }');
  });

  test('under another name, but for this NIC, is respected as well', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-office`), `HWADDR="${mac.toUpperCase()}"\nONBOOT=yes\n`);
    expect((await lab.vm.agent(['plan'])).stdout).toContain(
      `${SCRIPTS}/ifcfg-office was not written by eni-agent`,
    );
  });

  test('written by hand is replaced when the printed line is followed, kept as .orig, and put back after detach', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-eth1`), HAND_WRITTEN);
    await writeFile(lab.vm.path(`${SCRIPTS}/route6-eth1`), 'default via fe80::1 dev eth1\n');
    await lab.vm.agent(['reconfigure'], { config: 'persistence: { existingFiles: replace }\n' });
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1.orig`)).toBe(HAND_WRITTEN);
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toContain('# Managed by eni-agent.');
    await expect(lab.vm.readFile(`${SCRIPTS}/route6-eth1`)).rejects.toThrow('ENOENT');
    expect(brokenCells(await lab.matrix(['10.0.1.4']))).toEqual([]);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
    await lab.detachEni(mac);
    await lab.vm.agent(['reconfigure']);
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toBe(HAND_WRITTEN);
    expect(await lab.vm.readFile(`${SCRIPTS}/route6-eth1`)).toContain('fe80::1');
    await expect(lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1.orig`)).rejects.toThrow('ENOENT');
  });

  test('written by cloud-init is taken over, kept as .orig, and reported', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const original = cloudInitFile('eth1', mac);
    await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-eth1`), original);
    const result = await lab.vm.agent(['reconfigure']);
    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.stdout).toContain('ifcfg-eth1 on eth1 (taken over; what was there is kept as *.orig)');
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1.orig`)).toBe(original);
    expect(brokenCells(await lab.matrix(['10.0.1.4']))).toEqual([]);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
  });
});

describe('a template that renders nonsense', () => {
  test('leaves the old file, says so, and the NIC is configured all the same', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.agent(['reconfigure']);
    const before = await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`);
    await lab.vm.run('mkdir', ['-m', '755', lab.vm.path('/etc/eni-agent/templates')]);
    await writeFile(lab.vm.path('/etc/eni-agent/templates/ifcfg.eta'), 'DEVICE=<%= it.nothing %>\n', {
      mode: 0o644,
    });
    await lab.assignAddress(mac, '10.0.1.5');
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(3);
    expect(result.stdout).toMatch(/ifcfg.*eth1.*stay as they are/);
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toBe(before);
    expect(brokenCells(await lab.matrix(['10.0.1.4', '10.0.1.5']))).toEqual([]);
  });
});

/** The fixture has 10.0.1.4 to .6: the same form for ten addresses. */
function extended(fixture: string): string {
  const addresses = addressRange('10.0.1.7', 7);
  const ifcfg = addresses.map((address, offset) => {
    const index = offset + 3;
    return `IPADDR${index}=${address}\nPREFIX${index}=24\nARPCHECK${index}=no\nARPUPDATE${index}=no\n`;
  });
  if (fixture.includes('IPADDR2=')) return fixture + ifcfg.join('');
  const rules = addresses.map((address) => `from ${address} table 21001 priority 21001\n`);
  return fixture.replace('oif eth1', `${rules.join('')}oif eth1`);
}
