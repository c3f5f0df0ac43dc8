/** Bad input and bad days: a clear word, the right exit code, nothing lost and nothing half done. */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Status } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import type { Fault } from '../lab/metadata-server.ts';
import { openLab } from '../lab/open-lab.ts';
import { inSync } from '../lab/settled.ts';
import { addressRange, VM_ADDRESS } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);

type Mode = 'down' | Fault['mode'];

const IS_FULL = process.env['ENI_TEST_SIZE'] === 'full';

/** Every mode has its unit test; the small size runs some of them through the whole program. */
function sized(small: readonly Mode[], full: readonly Mode[]): readonly Mode[] {
  return IS_FULL ? full : small;
}

async function labWithEni(): Promise<{ lab: Lab; mac: string }> {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
  return { lab, mac };
}

const WRONG_USAGE: readonly (readonly [string, readonly string[], string])[] = [
  ['no command', [], 'Usage: eni-agent'],
  ['an unknown command', ['reconfigur'], "unknown command 'reconfigur'"],
  ['an unknown option', ['plan', '--chekc'], "unknown option '--chekc'"],
  ['--all and a NIC', ['reconfigure', '--all', 'eth1'], '--all and a NIC exclude each other'],
  ['too little time to confirm', ['reconfigure', '--confirm', '999ms'], 'a duration from 1s to 1h'],
  ['too much time to confirm', ['reconfigure', '--confirm', '2h'], 'a duration from 1s to 1h'],
  ['--confirm with --dry-run', ['reconfigure', '--confirm', '2s', '--dry-run'], 'cannot be used with option'],
  ['--confirm with --commit', ['reconfigure', '--confirm', '2s', '--commit'], 'cannot be used with option'],
  ['--commit with --all', ['reconfigure', '--commit', '--all'], 'cannot be used with option'],
  ['--commit and a NIC', ['reconfigure', '--commit', 'eth1'], '--commit and a NIC exclude each other'],
  ['an unknown log level', ['--log-level', 'loud', 'plan'], 'Allowed choices are'],
  ['a configuration file that is not there', ['--config', '/no/such.yaml', 'plan'], 'there is no such file'],
  ['a file to check that is not there', ['config', '--check', '/no/such.yaml'], 'there is no such file'],
];

const BAD_CONFIGURATIONS: readonly (readonly [string, string, string | RegExp])[] = [
  [
    'an unknown key',
    'routing:\n  primry: auto\n',
    'config.yaml:2:3: routing.primry: unknown key; did you mean primary?',
  ],
  ['broken YAML', 'routing: {primary: auto\nsysctl:\n', /config\.yaml:\d+:\d+: /],
  ['a bad value', 'routing:\n  tableBase: 254\n', /config\.yaml:2:14: routing\.tableBase: 254; allowed: /],
];

describe('exit 2, the reason, nothing touched:', () => {
  test('wrong usage', async () => {
    const { lab } = await labWithEni();
    const before = await lab.vm.snapshot({ identity: true });
    for (const [what, args, message] of WRONG_USAGE) {
      const result = await lab.vm.agent(args);
      expect(result.exitCode, what).toBe(2);
      expect(result.stderr, what).toContain(message);
    }
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  });

  test('bad configuration', async () => {
    const { lab } = await labWithEni();
    for (const [what, config, message] of BAD_CONFIGURATIONS) {
      await lab.vm.writeConfig(config);
      const before = await lab.vm.snapshot({ identity: true });
      for (const command of ['plan', 'reconfigure', 'status', 'config']) {
        const result = await lab.vm.agent([command]);
        expect(result, `${command}, ${what}`).toMatchObject({ exitCode: 2, stdout: '' });
        expect(result.stderr, what).toMatch(message);
      }
      const { stdout } = await lab.vm.agent(['plan', '--json']);
      expect(JSON.parse(stdout), what).toMatchObject({ error: { code: 'config-invalid' } });
      expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    }
  });

  test('configuration that others can write', async () => {
    const { lab } = await labWithEni();
    for (const [file, mode, right] of [
      ['/etc/eni-agent/config.yaml', 0o666, 0o644],
      ['/etc/eni-agent', 0o777, 0o755],
    ] as const) {
      await chmod(lab.vm.path(file), mode);
      const before = await lab.vm.snapshot({ identity: true });
      const result = await lab.vm.agent(['reconfigure']);
      expect(result.exitCode, file).toBe(2);
      expect(result.stderr, file).toContain('chmod go-w');
      expect(await lab.vm.snapshot({ identity: true })).toBe(before);
      await chmod(lab.vm.path(file), right);
    }
  });
});

describe('the metadata service', () => {
  const EVERY_MODE = [
    'hang',
    'status',
    'empty',
    'html',
    'garbage',
    'truncate',
    'redirect',
    'huge',
    'down',
  ] as const;

  test('fails, and no good answer yet: exit 1 in bounded time, nothing touched', {
    timeout: 120_000,
  }, async () => {
    const { lab } = await labWithEni();
    // The mode that is refused by the kernel is the last one: it ends the service.
    for (const mode of sized(['hang', 'html', 'truncate', 'down'], EVERY_MODE)) {
      if (mode === 'down') await lab.metadata.down();
      else await lab.metadata.fault({ mode, ...(mode === 'status' ? { status: 500 } : {}) });
      const before = await lab.vm.snapshot({ identity: true });
      const result = await lab.vm.agent(['reconfigure']);
      expect(result.exitCode, mode).toBe(1);
      expect(result.stderr, mode).toContain('there is no earlier answer to go by, so nothing was touched');
      expect(result.durationMs, mode).toBeLessThan(bound(10_000));
      expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    }
  });

  test('down, with a good answer: exit 3, nothing lost, and what is missing is repaired', async () => {
    const { lab } = await labWithEni();
    await lab.vm.agent(['reconfigure']);
    await lab.metadata.down();
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(3);
    expect(result.stdout).toContain('by the last good answer');
    await lab.vm.run('ip', ['addr', 'del', '10.0.1.7/24', 'dev', 'eth1']);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
    expect((await lab.vm.agent(['plan'])).exitCode).toBe(3);
    expect((await lab.vm.agent(['status'])).exitCode).toBe(0);
  });

  test('down after an address was unassigned: it stays until the metadata says so again', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.agent(['reconfigure']);
    await lab.unassignAddress(mac, '10.0.1.7');
    await lab.metadata.fault({ mode: 'empty', path: 'network/interfaces/macs/' });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).toContain('10.0.1.7/24');
    await lab.metadata.fault(null);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).not.toContain('10.0.1.7/24');
  });

  test('forgets an ENI in one answer: nothing of it is taken away', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.agent(['reconfigure'], { config: 'daemon: { removalConfirmations: 3 }\n' });
    const before = await lab.vm.snapshot();
    await lab.metadata.hide(mac);
    const asked = (await lab.metadata.requests()).length;
    const run = lab.vm.agent(['reconfigure']);
    const isListing = ({ path }: { path: string }) => path.endsWith('/network/interfaces/macs/');
    await until({
      what: 'the answer without it',
      read: async () => (await lab.metadata.requests()).slice(asked).some(isListing),
      holds: (isAsked) => isAsked,
    });
    await lab.metadata.show(mac);
    expect((await run).stdout).toContain('In sync');
    expect(await lab.vm.snapshot()).toBe(before);
  });

  test('fails before a second answer agrees: what was to go stays, exit 3', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.agent(['reconfigure']);
    await lab.unassignAddress(mac, '10.0.1.7');
    const asked = (await lab.metadata.requests()).length;
    const run = lab.vm.agent(['reconfigure']);
    await until({
      what: 'the answer without the address',
      read: async () =>
        (await lab.metadata.requests()).slice(asked).some(({ path }) => path.includes('10.0.1.4/')),
      holds: (isAsked) => isAsked,
    });
    await lab.metadata.fault({ mode: 'status', status: 500 });
    const { exitCode, stdout } = await run;
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 3 });
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).toContain('10.0.1.7/24');
  });

  test.each(sized(['status', 'truncate'], ['status', 'empty', 'html', 'garbage', 'hang', 'truncate']))(
    'half of it broken (%s): the other NIC is done, exit 3',
    async (mode) => {
      const { lab, mac } = await labWithEni();
      await lab.attachEni({ addresses: ['10.0.2.4'] });
      if (mode === 'down') throw new Error('a NIC cannot be down alone');
      await lab.metadata.fault({ mode, mac, ...(mode === 'status' ? { status: 404 } : {}) });
      const result = await lab.vm.agent(['reconfigure']);
      expect(result.exitCode).toBe(3);
      expect(result.stdout).toContain('eth1 is left as it is: invalid-metadata');
      expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.2.4']))).toEqual([]);
      expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout).toBe('');
      const plan = await lab.vm.agent(['plan', '--check']);
      expect(plan.exitCode).toBe(0);
      await lab.metadata.fault(null);
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES, '10.0.2.4']))).toEqual([]);
    },
  );

  test('broken for a NIC that is configured: everything of it stays, the primary routing too', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.agent(['reconfigure']);
    await lab.metadata.fault({ mode: 'empty', mac });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('lists a NIC that is not there yet: pending, exit 0', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.run('ip', ['link', 'set', 'eth1', 'address', '02:00:00:00:00:77']);
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toContain(`${mac} is left as it is: no-link`);
    expect(JSON.parse((await lab.vm.agent(['status', '--json'])).stdout).state).toBe('pending');
  });
});

describe('udev', () => {
  test('that is not done with a NIC is waited for, and the NIC is configured as soon as it is', async () => {
    const { lab } = await labWithEni();
    await lab.vm.run('mkdir', ['-p', lab.vm.path('/run/udev/data')]);
    await writeFile(lab.vm.path('/run/udev/control'), '');
    const plan = await lab.vm.agent(['plan', '--json']);
    expect(JSON.parse(plan.stdout).deferrals).toMatchObject([{ reason: 'not-ready' }]);
    const running = lab.vm.agent(['reconfigure']);
    const { stdout } = await lab.vm.run('ip', ['-o', 'link', 'show', 'eth1']);
    await writeFile(lab.vm.path(`/run/udev/data/n${stdout.split(':')[0]}`), '');
    const result = await running;
    expect(result.exitCode).toBe(0);
    expect(result.durationMs).toBeLessThan(bound(4_000));
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('that never is done is given 5 s, and then the NIC is configured all the same', async () => {
    const { lab } = await labWithEni();
    await lab.vm.run('mkdir', ['-p', lab.vm.path('/run/udev/data')]);
    await writeFile(lab.vm.path('/run/udev/control'), '');
    const result = await lab.vm.agent(['reconfigure']);
    expect(result.exitCode).toBe(0);
    expect(result.durationMs).toBeGreaterThan(5_000);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('that never is done is given 5 s for each NIC: one that came later is not taken with the one before it', async () => {
    const { lab, mac } = await labWithEni();
    await lab.vm.run('mkdir', ['-p', lab.vm.path('/run/udev/data')]);
    await writeFile(lab.vm.path('/run/udev/control'), '');
    const daemon = await lab.vm.startDaemon();
    await delay(2_500);
    const { mac: later } = await lab.attachEni({ addresses: ['10.0.2.4'] });
    const stateOf = ({ interfaces }: Status, which: string): string | undefined =>
      interfaces.find((nic) => nic.mac === which)?.state;
    const status = await daemon.waitForStatus((seen) => stateOf(seen, mac) === 'in-sync');
    expect(stateOf(status, later)).toBe('pending');
    expect((await lab.vm.run('ip', ['link', 'show', 'eth2'])).stdout).toContain('state DOWN');
    await daemon.waitForStatus(inSync(mac, later));
  });
});

describe('state and lock', () => {
  const BOTH = ['state.json', 'state.json.previous'];

  const DAMAGES: readonly (readonly [string, (text: string) => string, readonly string[]])[] = [
    ['truncated', (text) => text.slice(0, 100), ['state.json']],
    ['garbage, as is the one before it', () => '\u0000\u0001 not json', BOTH],
    ['of a newer version', (text) => text.replace('"version": 2', '"version": 99'), ['state.json']],
    ['empty, as is the one before it', () => '', BOTH],
  ];

  test.each(IS_FULL ? DAMAGES : DAMAGES.slice(0, 2))(
    'a state file that is %s is set aside, and nothing of the network is lost or changed',
    async (_, damage, names) => {
      const { lab, mac } = await labWithEni();
      await lab.vm.agent(['reconfigure']);
      const state = await lab.vm.readFile('/var/lib/eni-agent/state.json');
      const network = withoutState(await lab.vm.snapshot());
      for (const name of names) await writeFile(lab.vm.path(`/var/lib/eni-agent/${name}`), damage(state));
      const result = await lab.vm.agent(['reconfigure']);
      expect(result.exitCode).toBe(0);
      expect(result.stderr).toContain('set aside');
      expect(withoutState(await lab.vm.snapshot())).toBe(network);
      expect((await lab.vm.agent(['reconfigure'])).stdout).toBe('In sync: nothing to change.');
      await lab.unassignAddress(mac, '10.0.1.7');
      await lab.vm.agent(['reconfigure']);
      expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).not.toContain('10.0.1.7/24');
    },
  );

  test('without any state each NIC has its table again, and what is left of one that went meanwhile goes', async () => {
    const { lab, mac } = await labWithEni();
    const other = await lab.attachEni({ addresses: ['10.0.2.4'] });
    await lab.vm.agent(['reconfigure']);
    await lab.detachEni(mac);
    await lab.vm.run('ip', ['rule', 'del', 'oif', 'eth2', 'lookup', '21002']);
    await lab.vm.run('ip', ['route', 'flush', 'table', '21002']);
    for (const name of BOTH) await rm(lab.vm.path(`/var/lib/eni-agent/${name}`));
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const { stdout } = await lab.vm.run('ip', ['rule']);
    expect(stdout).toContain('from 10.0.2.4 lookup 21002');
    expect(stdout).not.toContain('21001');
    await expect(lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth1')).rejects.toThrow('ENOENT');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...other.addresses]))).toEqual([]);
  });

  test('two at once: one at a time, both right', async () => {
    const { lab } = await labWithEni();
    const results = await Promise.all([lab.vm.agent(['reconfigure']), lab.vm.agent(['reconfigure'])]);
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  });
});

describe('the kernel', () => {
  test('refuses a route of the configuration: that NIC is rolled back, the other is done, exit 3', async () => {
    const { lab } = await labWithEni();
    await lab.attachEni({ addresses: ['10.0.2.4'] });
    const config =
      'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.77.0.1 }] }]\n';
    const result = await lab.vm.agent(['reconfigure'], { config });
    expect(result.exitCode).toBe(3);
    expect(result.stdout).toContain('Network is unreachable; the gateway is in no subnet of eth1');
    expect((await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth1'])).stdout).toBe('');
    expect((await lab.vm.run('ip', ['rule'])).stdout).not.toContain('21001');
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.2.4']))).toEqual([]);
    const status = JSON.parse((await lab.vm.agent(['status', '--json'])).stdout);
    expect(status.interfaces.map(({ state }: { state: string }) => state)).toEqual([
      'in-sync',
      'failed',
      'in-sync',
    ]);
  });

  test('gives no permission: exit 1, and the word is root', async () => {
    const { lab } = await labWithEni();
    const result = await lab.vm.run('sh', [
      '-c',
      `setpriv --bounding-set=-net_admin --inh-caps=-net_admin ${process.execPath} dist/cli.js --root ${lab.vm.root} reconfigure; echo "exit $?"`,
    ]);
    expect(result.stdout).toContain('exit 1');
    expect(result.stdout).toContain('this needs root (CAP_NET_ADMIN)');
  });
});

/** The state itself and what was set aside apart. */
function withoutState(snapshot: string): string {
  return snapshot
    .split('\n')
    .filter((line) => !line.includes('/var/lib/eni-agent'))
    .join('\n');
}
