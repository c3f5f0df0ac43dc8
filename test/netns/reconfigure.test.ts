/** One run after the other: plan, apply, apply again; assigned and unassigned addresses; selected NICs. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { networkOf } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);
/** Every call that changes a file, sends to the kernel what may change it, or starts a process. */
const CHANGING_CALLS =
  'trace=execve,execveat,fork,vfork,clone,clone3,%file,sendmsg,sendto,write,pwrite64,ftruncate,fchmod,fchown';

describe('plan', () => {
  test('--check exits 5 and changes nothing before, 0 after', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    const before = await lab.vm.snapshot({ identity: true });
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(5);
    expect((await lab.vm.agent(['plan'])).exitCode).toBe(0);
    expect((await lab.vm.agent(['reconfigure', '--dry-run'])).exitCode).toBe(0);
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  });

  test('--json is one document in the form of the contract', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    const plan = JSON.parse((await lab.vm.agent(['plan', '--json'])).stdout);
    expect(Object.keys(plan)).toEqual(['inSync', 'steps', 'deferrals']);
    expect(plan.inSync).toBe(false);
    expect(plan.steps).toContainEqual({
      kind: 'add-address',
      interface: 'eth1',
      mac,
      target: '10.0.1.5/24',
      reason: 'assigned in metadata, missing on eth1',
    });
    await lab.vm.agent(['reconfigure']);
    expect(JSON.parse((await lab.vm.agent(['plan', '--json'])).stdout)).toEqual({
      inSync: true,
      steps: [],
      deferrals: [],
    });
  });
});

describe('a second reconfigure', () => {
  test('makes no call that changes anything, takes no lock and starts no process', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    const before = await lab.vm.snapshot({ identity: true });
    const { stdout, strace } = await lab.vm.agent(['reconfigure'], { strace: CHANGING_CALLS });
    expect(stdout).toBe('In sync: nothing to change.');
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    expect(changes(strace)).toEqual([]);
  });

  test('the same watch sees what the first one changes', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    const { strace } = await lab.vm.agent(['reconfigure'], { strace: CHANGING_CALLS });
    const seen = changes(strace).join('\n');
    expect(seen).toMatch(/RTM_NEWROUTE|RTM_NEWLINK|RTM_SETLINK/);
    expect(seen).toContain('rename');
    expect(seen).toContain('/run/eni-agent/lock');
  });
});

describe('a secondary address of the primary NIC', () => {
  test('is applied, answers, survives a second run and is gone when it is unassigned', async () => {
    const lab = await openLab();
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.0.5']))).toEqual([]);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
    await lab.unassignAddress(lab.primary.mac, '10.0.0.5');
    const plan = await lab.vm.agent(['plan']);
    expect(plan.stdout).toContain(
      '- address 10.0.0.5/24 on eth0 (not listed in the metadata any more; done when 2 equal answers',
    );
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(0);
    expect(result.durationMs).toBeGreaterThan(1_000);
    const { stdout } = await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth0']);
    expect(stdout).toContain(`${VM_ADDRESS}/24`);
    expect(stdout).not.toContain('10.0.0.5');
  });

  test('that somebody else had put there stays when it is unassigned', async () => {
    const lab = await openLab();
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    await lab.vm.run('ip', ['addr', 'add', '10.0.0.5/24', 'dev', 'eth0']);
    await lab.vm.agent(['reconfigure']);
    await lab.unassignAddress(lab.primary.mac, '10.0.0.5');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth0'])).stdout).toContain('10.0.0.5/24');
  });
});

describe('unassigning and detaching', () => {
  test('addresses that stay are not touched, and the first of the subnet takes nobody with it', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    await lab.unassignAddress(mac, '10.0.1.7');
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.stdout.split('\n').map((line) => line.split(' (')[0])).toEqual([
      '- address 10.0.1.7/24 on eth1',
      '- rule from 10.0.1.7 lookup 21001 priority 21001 on eth1',
      '+ file /etc/sysconfig/network-scripts/ifcfg-eth1 on eth1',
      '+ file /etc/sysconfig/network-scripts/rule-eth1 on eth1',
      expect.stringContaining('4 steps done'),
    ]);
    const rest = ENI_ADDRESSES.filter((address) => address !== '10.0.1.7');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...rest]))).toEqual([]);
  });

  test('the last address of a NIC does not take its table with it', async () => {
    const lab = await openLab();
    // The other address is left to somebody who has not set it.
    const config = `interfaces:
  - match: { role: secondary }
    excludeAddresses: [10.0.1.4]
    routes: [{ to: 172.28.0.0/16, via: 10.0.1.253 }]
`;
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    expect((await lab.vm.agent(['reconfigure'], { config })).exitCode).toBe(0);
    const table = async () => (await lab.vm.run('ip', ['route', 'show', 'table', '21001'])).stdout;
    const before = await table();
    expect(before).toContain('default via 10.0.1.1');
    await lab.unassignAddress(mac, '10.0.1.5');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect((await lab.vm.run('ip', ['addr', 'show', 'eth1'])).stdout).not.toContain('10.0.1.5');
    expect(await table()).toBe(before);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  });

  test('leaves nothing of an ENI that is gone, and the network as it was without the agent', async () => {
    const lab = await openLab();
    const before = await networkOf(lab.vm);
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    await lab.detachEni(mac);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(await networkOf(lab.vm)).toBe(before);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
    await lab.attachEni({ addresses: ENI_ADDRESSES, mac });
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('lookup 21001 priority 21001 on eth1');
  });

  test('an address that moves to another NIC takes its rule with it', async () => {
    const lab = await openLab();
    const one = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.50'] });
    const other = await lab.attachEni({ addresses: ['10.0.1.5'] });
    await lab.vm.agent(['reconfigure']);
    await lab.unassignAddress(one.mac, '10.0.1.50');
    await lab.assignAddress(other.mac, '10.0.1.50');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const { stdout } = await lab.vm.run('ip', ['rule', 'show', 'from', '10.0.1.50']);
    expect(stdout).toMatch(/^21002:.*lookup 21002/);
    expect(brokenCells(await lab.matrix(['10.0.1.4', '10.0.1.5', '10.0.1.50']))).toEqual([]);
  });
});

describe('names', () => {
  test('are labels: two NICs that swap them keep their tables, and each has its own files', async () => {
    const lab = await openLab();
    const one = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const other = await lab.attachEni({ addresses: ['10.0.2.4'] });
    await lab.vm.agent(['reconfigure']);
    await lab.vm.run('sh', [
      '-c',
      'for step in "eth1 down" "eth2 down" "eth1 name swap" "eth2 name eth1" "swap name eth2"; do ip link set $step; done',
    ]);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.1.4', '10.0.2.4']))).toEqual([]);
    const rules = (await lab.vm.run('ip', ['rule'])).stdout;
    expect(rules).toMatch(/from 10.0.1.4 lookup 21001[^]*oif eth2 lookup 21001[^]*oif eth1 lookup 21002/);
    expect(await lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth2')).toContain(`HWADDR=${one.mac}`);
    expect(await lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth1')).toContain(
      `HWADDR=${other.mac}`,
    );
    expect(await lab.vm.readFile('/etc/sysconfig/network-scripts/rule-eth1')).toContain(
      'from 10.0.2.4 table 21002',
    );
    expect((await lab.vm.agent(['reconfigure'])).stdout).toBe('In sync: nothing to change.');
  });

  test('a NIC that takes the name of one that is gone inherits nothing from it', async () => {
    const lab = await openLab();
    const gone = await lab.attachEni({ addresses: ['10.0.1.4'] });
    await lab.vm.agent(['reconfigure']);
    await lab.detachEni(gone.mac);
    const { linkName } = await lab.attachEni({ addresses: ['10.0.2.4'] });
    expect(linkName).toBe('eth1');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const rules = (await lab.vm.run('ip', ['rule'])).stdout;
    expect(rules).toContain('oif eth1 lookup 21002');
    expect(rules).not.toContain('21001');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.2.4']))).toEqual([]);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toBe('In sync: nothing to change.');
  });
});

describe('a VM whose container network takes the ENIs for its pods', () => {
  test.each([
    ['by its plugin', '/opt/cni/bin/tke-route-eni', ''],
    ['by its configuration', '/etc/cni/net.d/10-aws.conflist', '{ "plugins": [{ "type": "aws-cni" }] }'],
    [
      'Cilium in its ENI mode',
      '/etc/cni/net.d/05-cilium.conf',
      '{ "type": "cilium-cni", "eni": { "x": 1 } }',
    ],
  ])(
    'known %s: nothing is touched, the status names the file, and what is to be managed can be said',
    async (_, file, text) => {
      const lab = await openLab();
      const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
      const other = await lab.attachEni({ addresses: ['10.0.2.4'] });
      await mkdir(path.dirname(lab.vm.path(file)), { recursive: true });
      await writeFile(lab.vm.path(file), text);
      const before = await networkOf(lab.vm);
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      expect(await networkOf(lab.vm)).toBe(before);
      expect((await lab.vm.agent(['status'])).stdout).toContain(file);
      const config = `interfaces: [{ match: { mac: '${mac}' }, manage: true }]\n`;
      expect((await lab.vm.agent(['reconfigure'], { config })).exitCode).toBe(0);
      expect(brokenCells(await lab.matrix(['10.0.1.4']))).toEqual([]);
      expect((await lab.vm.run('ip', ['addr', 'show', other.linkName])).stdout).not.toContain('10.0.2.4');
    },
  );

  test('Cilium in another mode takes none', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    await mkdir(lab.vm.path('/etc/cni/net.d'), { recursive: true });
    await writeFile(
      lab.vm.path('/etc/cni/net.d/05-cilium.conflist'),
      '{ "plugins": [{ "type": "cilium-cni" }] }',
    );
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(5);
  });
});

describe('selecting NICs', () => {
  test('configures the one that was named, by name or MAC, and what it needs on the primary', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    const other = await lab.attachEni({ addresses: ['10.0.2.4'] });
    expect((await lab.vm.agent(['reconfigure', 'eth1'])).exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.1.4']))).toEqual([]);
    expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth2'])).stdout).toBe('');
    expect((await lab.vm.agent(['reconfigure', other.mac.toUpperCase()])).exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.1.4', '10.0.2.4']))).toEqual([]);
  });

  test('refuses a name that is no NIC of the cloud, and touches nothing', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    const before = await lab.vm.snapshot({ identity: true });
    for (const name of ['eth9', 'lo', '02:00:00:00:00:99']) {
      const result = await lab.vm.agent(['reconfigure', name]);
      expect(result.exitCode, name).toBe(2);
      expect(result.stderr).toContain(`selecting ${name}: `);
    }
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  });
});

/** The calls of a trace that change files, the kernel's network, or start something; node's own start and its threads are not ours. */
function changes(strace: string): readonly string[] {
  const [, ...calls] = strace.split('\n');
  return calls.filter(
    (line) =>
      /execve|fork\(|vfork\(|clone3?\((?!.*CLONE_THREAD)/.test(line) ||
      /(rename|unlink|mkdir|link|chmod|truncate|rmdir|symlink)(at)?(2)?\(/.test(
        line.replace(/readlink(at)?\(/, ''),
      ) ||
      (/open(at)?\(.*O_(WRONLY|RDWR|CREAT)/.test(line) && !line.includes('/dev/')) ||
      /RTM_(NEW|DEL|SET)[A-Z]+/.test(line),
  );
}
