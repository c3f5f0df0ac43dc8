/** `release`: all that is ours is given back, at once and whatever happens on the way; and it is remembered. */
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { cloudInitFile } from '../lab/vm-root.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const ETH1 = ['10.0.1.4', '10.0.1.5'];
const ETH2 = ['10.0.2.4'];
/** strace counts the calls of each thread for itself: all files are handled by one. */
const ONE_WORKER = { UV_THREADPOOL_SIZE: '1' };

/** Two ENIs, up as the distribution brings them up: the one thing that is not given back is that a link is up. */
async function labWithEnis(): Promise<{ lab: Lab; mac: string }> {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ETH1 });
  await lab.attachEni({ addresses: ETH2 });
  await lab.vm.run('ip', ['link', 'set', 'eth1', 'up']);
  await lab.vm.run('ip', ['link', 'set', 'eth2', 'up']);
  // The kernel's own addresses follow the carrier.
  await until({
    what: 'both links answer at their link-local address',
    read: async () => (await lab.vm.run('ip', ['-6', 'route', 'show', 'table', 'local'])).stdout.split('\n'),
    holds: (routes) =>
      ['eth1', 'eth2'].every((name) =>
        routes.some((route) => route.startsWith('local fe80:') && route.includes(` dev ${name} `)),
      ),
  });
  await writeFile(lab.vm.path(`${SCRIPTS}/ifcfg-eth1`), cloudInitFile('eth1', mac), { mode: 0o644 });
  return { lab, mac };
}

/** Kernel and files, without the agent's own. */
async function network({ vm }: Lab): Promise<readonly string[]> {
  return (await vm.snapshot()).split('\n').filter((line) => !/ \/(var\/lib|run)\/eni-agent/.test(line));
}

describe('release --all', () => {
  test('leaves the network as it was without the agent, and so it stays until --all takes it back', async () => {
    const { lab } = await labWithEnis();
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    const before = await network(lab);
    await lab.vm.agent(['reconfigure'], {
      config:
        'interfaces: [{ match: { name: eth1 }, mtu: 1400, routes: [{ to: 172.20.0.0/16, via: 10.0.1.1 }] }]\n',
    });
    const configured = await network(lab);
    const release = await lab.vm.agent(['release', '--all'], { config: '' });
    expect(release).toMatchObject({ exitCode: 0, stderr: '' });
    expect(release.stdout).toMatch(/^- address 10\.0\.1\.5\/24 on eth1 \(released\)$/m);
    expect(release.stdout).toMatch(/Released .*eth1.*`eni-agent reconfigure --all` takes them back\.$/);
    expect(await network(lab)).toEqual(before);

    await lab.assignAddress(lab.primary.mac, '10.0.0.6');
    for (const command of ['reconfigure', 'boot']) {
      const again = await lab.vm.agent([command]);
      expect(again.exitCode, command).toBe(0);
      expect(await network(lab), command).toEqual(before);
    }
    const { state, interfaces } = JSON.parse((await lab.vm.agent(['status', '--json'])).stdout);
    expect(state).toBe('in-sync');
    expect(interfaces.map((nic: { state: string }) => nic.state)).toEqual([
      'released',
      'released',
      'released',
    ]);
    await lab.unassignAddress(lab.primary.mac, '10.0.0.6');

    const back = await lab.vm.agent(['reconfigure', '--all'], {
      config:
        'interfaces: [{ match: { name: eth1 }, mtu: 1400, routes: [{ to: 172.20.0.0/16, via: 10.0.1.1 }] }]\n',
    });
    expect(back.exitCode).toBe(0);
    expect(await network(lab)).toEqual(configured);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.0.5', ...ETH1, ...ETH2]))).toEqual([]);
  });
});

describe('release eth1', () => {
  test('gives back eth1 alone; an address of others and the other NIC keep working; `reconfigure eth1` takes it back', async () => {
    const { lab, mac } = await labWithEnis();
    await lab.vm.agent(['reconfigure']);
    const configured = await network(lab);
    await lab.vm.run('ip', ['address', 'add', '10.0.1.99/32', 'dev', 'eth1']);
    const dry = await lab.vm.agent(['release', 'eth1', '--dry-run']);
    expect(dry.stdout).toContain('- file /etc/sysconfig/network-scripts/rule-eth1 on eth1 (released)');
    const { exitCode, stdout } = await lab.vm.agent(['release', mac.toUpperCase()]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/Released eth1: \d+ steps done .*`eni-agent reconfigure eth1` takes it back\.$/);
    const eth1 = (await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout;
    expect(eth1).toContain('10.0.1.99/32');
    expect(eth1).not.toContain('10.0.1.4');
    expect((await lab.vm.run('ip', ['rule'])).stdout).not.toContain('21001');
    expect(await lab.vm.readFile(`${SCRIPTS}/ifcfg-eth1`)).toBe(cloudInitFile('eth1', mac));
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ETH2]))).toEqual([]);
    expect((await lab.vm.run('ip', ['route', 'show', 'table', '21002'])).stdout).toContain(
      '10.0.1.0/24 via 10.0.2.1 dev eth2',
    );

    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
    expect((await lab.vm.agent(['plan', 'eth1', '--check'])).exitCode).toBe(5);
    expect((await lab.vm.agent(['reconfigure', '--all', '--dry-run'])).stdout).toContain(
      'address 10.0.1.4/24',
    );
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('eth1 is left as it is: released');
    await lab.vm.run('ip', ['address', 'del', '10.0.1.99/32', 'dev', 'eth1']);
    expect((await lab.vm.agent(['reconfigure', 'eth1'])).exitCode).toBe(0);
    expect(await network(lab)).toEqual(configured);
  });

  test('a dry run changes nothing and remembers nothing', async () => {
    const { lab } = await labWithEnis();
    await lab.vm.agent(['reconfigure']);
    const before = await lab.vm.snapshot({ identity: true });
    expect((await lab.vm.agent(['release', '--all', '--dry-run'])).exitCode).toBe(0);
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  });

  test('that was killed before it cleared anything is completed by a bare reconfigure', async () => {
    const { lab } = await labWithEnis();
    const before = await network(lab);
    await lab.vm.agent(['reconfigure']);
    // The first link is the lock for the state, two keep the state before it, the fourth is the lock of the run that clears.
    const killed = await lab.vm.agent(['release', '--all'], {
      env: ONE_WORKER,
      strace: 'inject=link:signal=SIGKILL:when=4',
    });
    expect(killed.exitCode).not.toBe(0);
    expect((await lab.vm.run('ip', ['rule'])).stdout).toContain('from 10.0.1.4 lookup 21001');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(await network(lab)).toEqual(before);
  });

  test('works without the metadata, from the last good answer', async () => {
    const { lab } = await labWithEnis();
    const before = await network(lab);
    await lab.vm.agent(['reconfigure']);
    await lab.metadata.down();
    const { exitCode } = await lab.vm.agent(['release', '--all']);
    expect(exitCode).toBe(0);
    expect(await network(lab)).toEqual(before);
  });

  test('is remembered for a NIC that was never configured', async () => {
    const { lab } = await labWithEnis();
    const { exitCode, stdout } = await lab.vm.agent(['release', 'eth1']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/Released eth1: .* takes it back\.$/);
    await lab.vm.agent(['reconfigure']);
    expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout).toBe('');
  });
});

test('wrong usage: exit 2, nothing touched', async () => {
  const { lab } = await labWithEnis();
  await lab.vm.agent(['release', 'eth1']);
  const before = await lab.vm.snapshot({ identity: true });
  const wrong: readonly (readonly [readonly string[], string])[] = [
    [['release'], 'name a NIC, or say --all'],
    [['release', '--all', 'eth1'], '--all and a NIC exclude each other'],
    [['release', 'eth7'], 'there is no such interface'],
    [['release', 'lo'], 'so it is no ENI'],
    [['reconfigure', 'eth1', 'eth7'], 'there is no such interface'],
  ];
  for (const [args, message] of wrong) {
    const result = await lab.vm.agent(args);
    expect(result.exitCode, args.join(' ')).toBe(2);
    expect(result.stderr).toContain(message);
  }
  expect(await lab.vm.snapshot({ identity: true })).toBe(before);
});
