/** An image of this VM's disk starts as another VM: sealed, it is right at once; not sealed, as soon as two answers say so. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { CONNECTIONS } from '../../src/model/files.ts';
import { brokenCells } from '../lab/cells.ts';
import { cloneDisk } from '../lab/clones.ts';
import { openLab } from '../lab/open-lab.ts';
import { inSync, sized } from '../lab/settled.ts';
import { until } from '../lab/until.ts';
import { cloudInitFile } from '../lab/vm-root.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const STATE_FOLDER = '/var/lib/eni-agent';

test('sealed: the network of the VM stays as it is, and its clone is right at once', async () => {
  const lab = await openLab({ vms: 2 });
  const [, clone = lab.vm] = lab.vms;
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const original = cloudInitFile('eth1', mac);
  await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-eth1`), original);
  const daemon = await lab.vm.startDaemon();
  await daemon.waitForStatus(({ state }) => state === 'in-sync');
  const refused = await lab.vm.agent(['seal']);
  expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('systemctl stop eni-agent') });
  await daemon.stop();
  const [kernel] = (await lab.vm.snapshot()).split('## files');

  const sealed = await lab.vm.agent(['seal']);
  expect(sealed).toMatchObject({ exitCode: 0, stderr: '' });
  expect(sealed.stdout).toContain(
    ['history.jsonl', 'state.json', 'state.json.previous']
      .map((name) => `- ${STATE_FOLDER}/${name}\n`)
      .join(''),
  );
  expect(sealed.stdout).toContain(`- ${SCRIPTS}/rule-eth1\n`);
  expect(sealed.stdout).toContain(`~ ${SCRIPTS}/ifcfg-eth1 (what was there before is back)\n`);
  expect((await lab.vm.snapshot()).split('## files')[0]).toBe(kernel);
  expect(await readdir(lab.vm.path(STATE_FOLDER))).toEqual([]);
  expect(await readdir(lab.vm.path(SCRIPTS))).toEqual(['ifcfg-eth0', 'ifcfg-eth1']);
  expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toBe(original);
  expect((await lab.vm.agent(['seal'])).stdout).toBe('Sealed: there was nothing of this VM on the disk.');

  await cloneDisk(lab.vm, clone);
  const eni = await lab.attachEni({ vm: 1, addresses: ['10.0.2.4'] });
  const booted = await clone.agent(['boot']);
  expect(booted).toMatchObject({ exitCode: 0, stderr: '' });
  expect(brokenCells(await lab.matrix([clone.address, ...eni.addresses]))).toEqual([]);
  expect(await clone.readFile(`${STATE_FOLDER}/state.json`)).not.toContain(mac);
  expect(await clone.readFile(`${SCRIPTS}/ifcfg-eth1`)).toContain('10.0.2.4');
  expect((await clone.agent(['plan', '--check'])).exitCode).toBe(0);
  expect(await clone.readFile(`${SCRIPTS}/ifcfg-eth1.orig`)).toBe(original);
});

test('sealed on a host with keyfiles: nothing of the VM is in its clone, which has keyfiles of its own', async () => {
  const lab = await openLab({ vms: 2 });
  const [, clone = lab.vm] = lab.vms;
  await mkdir(lab.vm.path(CONNECTIONS), { recursive: true });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const config = 'persistence: { backend: networkmanager-keyfile }\n';
  expect((await lab.vm.agent(['reconfigure'], { config })).exitCode).toBe(0);
  const sealed = await lab.vm.agent(['seal']);
  expect(sealed.stdout).toContain(`- ${CONNECTIONS}/eni-agent-eth1.nmconnection\n`);
  expect(await readdir(lab.vm.path(CONNECTIONS))).toEqual([]);

  await cloneDisk(lab.vm, clone);
  const eni = await lab.attachEni({ vm: 1, addresses: ['10.0.2.4'] });
  expect(await clone.agent(['boot'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(brokenCells(await lab.matrix([clone.address, ...eni.addresses]))).toEqual([]);
  expect(await readdir(clone.path(CONNECTIONS))).toEqual(['eni-agent-eth1.nmconnection']);
  const profile = await clone.readFile(`${CONNECTIONS}/eni-agent-eth1.nmconnection`);
  expect(profile).toContain('address1=10.0.2.4/24\n');
  const old = await clone.tryRun('grep', [
    '-rE',
    `${mac}|10\\.0\\.1\\.[45]`,
    clone.path('/etc'),
    clone.path('/var'),
  ]);
  expect(old).toMatchObject({ stdout: '', exitCode: 1 });
});

test.each(sized(['boot'], ['boot', 'daemon']))(
  'not sealed: nothing is used or wiped on the word of one answer, and with the second the %s puts it right',
  async (command) => {
    const lab = await openLab({ vms: 2 });
    const [, clone = lab.vm] = lab.vms;
    const golden = [
      await lab.attachEni({ addresses: ['10.0.1.4'] }),
      await lab.attachEni({ addresses: ['10.0.2.4', '10.0.2.5'] }),
    ];
    await lab.assignAddress(lab.primary.mac, '10.0.0.9');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    await cloneDisk(lab.vm, clone);
    const eni = await lab.attachEni({ vm: 1, addresses: ['10.0.1.8'] });
    expect(await clone.readFile(`${SCRIPTS}/rule-eth2`)).toContain('10.0.2.4');
    const before = await clone.snapshot({ identity: true });

    const plan = await clone.agent(['plan']);
    expect(plan.stdout).toContain(
      `ifcfg-eth2 on eth2 (of another machine (${lab.vm.instanceId}); done when 2`,
    );
    await lab.metadata.down();
    expect(await clone.agent(['reconfigure'])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('of another machine'),
    });
    await lab.metadata.up();
    const asked = (await lab.metadata.requests()).length;
    const run = clone.agent(['reconfigure']);
    await until({
      what: 'the first answer',
      read: async () =>
        (await lab.metadata.requests()).slice(asked).some(({ path }) => path.includes('10.0.1.8')),
      holds: (isAsked) => isAsked,
    });
    await lab.metadata.fault({ mode: 'status', status: 500 });
    expect((await run).exitCode).toBe(3);
    const withoutRun = (text: string) => text.split('\n').filter((line) => !line.includes(' /run'));
    expect(withoutRun(await clone.snapshot({ identity: true }))).toEqual(withoutRun(before));
    await lab.metadata.fault(null);

    if (command === 'daemon') await (await clone.startDaemon()).waitForStatus(inSync(eni.mac));
    else expect((await clone.agent(['boot'])).exitCode).toBe(0);
    expect(await readdir(clone.path(SCRIPTS))).toEqual([
      'ifcfg-eth0',
      'ifcfg-eth1',
      'route-eth1',
      'rule-eth1',
    ]);
    expect(brokenCells(await lab.matrix([clone.address, '10.0.1.8']))).toEqual([]);
    expect((await clone.run('ip', ['rule'])).stdout).toContain('from 10.0.1.8 lookup 21001');
    for (const name of ['state.json', 'state.json.previous']) {
      const state = await clone.readFile(`${STATE_FOLDER}/${name}`);
      for (const { mac } of [...golden, lab.primary]) expect(state, name).not.toContain(mac);
    }
    expect(await clone.readFile(`${STATE_FOLDER}/state.json.other-machine`)).toContain(lab.primary.mac);
  },
);
