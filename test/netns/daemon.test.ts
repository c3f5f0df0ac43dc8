/** The daemon as a process: quick without help of others, quiet, repairing, and gone when it is told to. */
import { appendFile, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import {
  alarms,
  EVERY_SECOND,
  inSync,
  networkOf,
  sized,
  waitForAddresses,
  waitForNetwork,
} from '../lab/settled.ts';
import { getFromSocket } from '../lab/socket-http.ts';
import { addressRange, GATEWAY6, VM_ADDRESS } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);
/** Long enough for what an own change might ring, short against the interval of 10 s. */
const QUIET_MS = 1_000;
const REPAIR_DEADLINE_MS = 1_000;
const RP_FILTER = '/proc/sys/net/ipv4/conf/eth0/rp_filter';

async function tableOf(vm: Vm, table: number): Promise<string> {
  return (await vm.tryRun('ip', ['route', 'show', 'table', String(table)])).stdout;
}

describe('a hot-plugged ENI', () => {
  test('is complete, answers everybody, and not one process was started for it', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ strace: 'trace=execve,execveat' });
    const starts = async () => (await daemon.strace()).match(/execve(at)?\(.*/g) ?? [];
    await daemon.waitForStatus(inSync(lab.primary.mac));
    // Its own start, and that of its ear (src/kernel/listener.ts), which the trace may show a little later.
    const holds = (seen: readonly string[]) => seen.length === 2;
    const atFirst = await until({ what: 'two starts', read: starts, holds, deadlineMs: REPAIR_DEADLINE_MS });
    expect(atFirst[0]).toContain('"daemon"');
    for (let attach = 0; attach < sized(2, 20); attach += 1) {
      const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
      await waitForAddresses(lab.vm, 'eth1', ENI_ADDRESSES);
      await daemon.waitForStatus(inSync(mac));
      expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
      await lab.detachEni(mac);
    }
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(await starts()).toEqual(atFirst);
    expect(alarms(daemon.log())).toEqual([]);
  });
});

describe('drift', () => {
  test('a link that is set down and up by hand is right within a second', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const before = await tableOf(lab.vm, 21001);
    expect(before).toContain('default via 10.0.1.1');
    await lab.vm.run('sh', ['-c', 'ip link set eth1 down; ip link set eth1 up']);
    const read = () => tableOf(lab.vm, 21001);
    const deadlineMs = REPAIR_DEADLINE_MS;
    await until({ what: 'table 21001 is back', read, holds: (table) => table === before, deadlineMs });
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('a file of ours that somebody edits or removes is right within a second', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const [ifcfg, rule] = ['ifcfg-eth1', 'rule-eth1'].map((name) =>
      lab.vm.path(`/etc/sysconfig/network-scripts/${name}`),
    ) as [string, string];
    const before = await networkOf(lab.vm);
    await appendFile(ifcfg, 'GATEWAY=10.0.1.1\n');
    await rm(rule);
    await waitForNetwork(lab.vm, before, REPAIR_DEADLINE_MS);
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('IPv6 addresses, which vanish with the link, are back within a second', async () => {
    const lab = await openLab();
    const addresses = ['2001:db8:1::4', '2001:db8:1::5'];
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', ...addresses] });
    const listed = addresses.map((address) => `${address}/64`).join(', ');
    const daemon = await lab.vm.startDaemon({
      config: `interfaces: [{ match: { mac: '${mac}' }, addresses: [${listed}], gateway6: ${GATEWAY6} }]\n`,
    });
    await daemon.waitForStatus(inSync(mac));
    const before = await networkOf(lab.vm);
    expect(before).toContain('2001:db8:1::5/64');
    await lab.vm.run('sh', ['-c', 'ip link set eth1 down; ip link set eth1 up']);
    const read = () => lab.vm.run('ip', ['-6', 'addr', 'show', 'eth1']);
    const holds = ({ stdout }: { stdout: string }) => addresses.every((address) => stdout.includes(address));
    await until({ what: 'the addresses are back', read, holds, deadlineMs: REPAIR_DEADLINE_MS });
    // Its link-local address takes the kernel two seconds.
    await waitForNetwork(lab.vm, before);
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('a link that is set down by hand is set up again', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const network = await networkOf(lab.vm);
    await lab.vm.run('ip', ['link', 'set', 'eth1', 'down']);
    await waitForNetwork(lab.vm, network);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('what somebody deletes again and again comes back less and less often, and the status says what', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const rule = ['from', '10.0.1.7', 'lookup', '21001', 'priority', '21001'];
    const read = async () => (await lab.vm.run('ip', ['rule'])).stdout.includes('from 10.0.1.7 ');
    const comesBack = () =>
      until({
        what: 'the rule is back',
        read,
        holds: (isThere) => isThere,
      });
    for (let times = 0; times < 5; times += 1) {
      const runs = daemon.runs();
      await lab.vm.run('ip', ['rule', 'del', ...rule]);
      await comesBack();
      // Whose verification would miss it.
      await daemon.waitForLog(() => daemon.runs() > runs);
    }
    await daemon.waitForLog((log) => alarms(log).length > 0);
    // On a machine that is busy a pause may be over before the rule is deleted again; the next is twice as long.
    let runs = 0;
    const status = await until({
      what: 'the rule is left alone',
      read: async () => {
        if (daemon.runs() > runs) await lab.vm.tryRun('ip', ['rule', 'del', ...rule]);
        runs = daemon.runs();
        return daemon.status();
      },
      holds: ({ state }) => state === 'degraded',
    });
    expect(status.interfaces.find((nic) => nic.mac === mac)?.reason).toMatch(
      /^somebody else keeps undoing it: adding rule from 10\.0\.1\.7 .* on eth1, \d+ times; again in \d+ s$/,
    );
    await comesBack();
    await daemon.waitForStatus(inSync(mac));
    // The pause that follows is over at once when the operator asks.
    await lab.vm.run('ip', ['rule', 'del', ...rule]);
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(await read()).toBe(true);
    expect(alarms(daemon.log()).map(({ msg }) => msg)).toEqual(['somebody else keeps undoing it']);
  });

  async function fights(vm: Vm): Promise<string | undefined> {
    const { body } = await getFromSocket(vm.path('/run/eni-agent/control.sock'), '/metrics');
    return /^eni_agent_fights (\d+)$/m.exec(body)?.[1];
  }

  test('a sysctl that somebody sets again and again is set back within a second three times, and then left to them', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const read = async () => (await lab.vm.run('cat', [RP_FILTER])).stdout;
    const deadlineMs = REPAIR_DEADLINE_MS;
    for (let times = 0; times < 3; times += 1) {
      const runs = daemon.runs();
      await lab.vm.run('sh', ['-c', `echo 1 > ${RP_FILTER}`]);
      await until({ what: 'loose again', read, holds: (value) => value === '2', deadlineMs });
      // Whose verification would miss it.
      await daemon.waitForLog(() => daemon.runs() > runs);
    }
    await lab.vm.run('sh', ['-c', `echo 1 > ${RP_FILTER}`]);
    const status = await daemon.waitForStatus(({ state }) => state === 'degraded');
    expect(status.interfaces[0]?.reason).toMatch(
      /rp_filter=2 on eth0, 4 times; left to them until `eni-agent reconfigure`$/,
    );
    expect(await read()).toBe('1');
    const tells = (count: string) =>
      until({ what: `fights: ${count}`, read: () => fights(lab.vm), holds: (now) => now === count });
    await tells('1');
    await lab.vm.run('sh', ['-c', `echo 2 > ${RP_FILTER}`]);
    await tells('0');
    await lab.vm.run('sh', ['-c', `echo 1 > ${RP_FILTER}`]);
    await tells('1');
    expect(await read()).toBe('1');
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    expect(await read()).toBe('2');
  });

  test('what the daemon changes itself rings no second run', async () => {
    const lab = await openLab();
    const eni = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(eni.mac));
    // What the new link itself rang is over when nothing has run for a while.
    await until({
      what: 'no run for a while',
      read: async () => {
        const runs = daemon.runs();
        await sleep(QUIET_MS);
        return daemon.runs() - runs;
      },
      holds: (runs) => runs === 0,
    });
    for (const address of ENI_ADDRESSES.slice(1)) await lab.assignAddress(eni.mac, address);
    const before = daemon.runs();
    daemon.reload();
    await waitForAddresses(lab.vm, 'eth1', ENI_ADDRESSES);
    await sleep(QUIET_MS);
    const added = daemon
      .log()
      .filter(({ msg }) => msg === 'run')
      .slice(before);
    expect(added.map(({ outcome }) => outcome)).toEqual(['applied']);

    await lab.vm.run('ip', ['rule', 'del', 'from', '10.0.1.7', 'lookup', '21001']);
    await daemon.waitForLog(() => daemon.runs() > before + 1);
    await sleep(QUIET_MS);
    expect(daemon.runs()).toBe(before + 2);
    expect((await daemon.status()).state).toBe('in-sync');
  });
});

describe('the configuration', () => {
  test('that the kernel refuses for a NIC: the status says so as long as it is so, and the daemon tries again', async () => {
    const lab = await openLab();
    const routes = '[{ to: 172.28.0.0/16, via: 10.9.9.9 }]';
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const daemon = await lab.vm.startDaemon({
      config: `interfaces: [{ match: { mac: '${mac}' }, routes: ${routes} }]\n`,
    });
    const failures = () => alarms(daemon.log()).length;
    for (const times of [1, 2]) {
      await daemon.waitForLog(() => failures() >= times);
      const { state, interfaces } = await daemon.status();
      expect(state).toBe('degraded');
      expect(interfaces.find((nic) => nic.mac === mac)).toMatchObject({
        state: 'failed',
        reason: expect.stringContaining('172.28.0.0/16 via 10.9.9.9'),
      });
    }
    await lab.vm.writeConfig('');
    await daemon.waitForStatus(inSync(mac));
  });

  test('that changes while the daemon starts is taken, by a file and by SIGHUP', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
    const pidFile = lab.vm.path('/run/daemon.pid');
    const starting = lab.vm.startDaemon({
      config: '',
      through: ['sh', '-c', `echo $$ >${pidFile}; exec "$@"`, 'sh'],
    });
    // It listens to nobody before its own listener listens to the kernel.
    const { pid, listener } = await until({
      what: 'the daemon has started its listener',
      read: async () => {
        const found = (await lab.vm.tryRun('cat', [pidFile])).stdout;
        return { pid: Number(found), listener: Number(await childrenOf(found)) };
      },
      holds: (seen) => seen.listener > 0,
    });
    process.kill(listener, 'SIGSTOP');
    await until({
      what: 'the daemon answers',
      read: () => lab.vm.tryRun('test', ['-S', lab.vm.path('/run/eni-agent/control.sock')]),
      holds: ({ exitCode }) => exitCode === 0,
    });
    await lab.vm.writeConfig('interfaces:\n  - match: { name: eth1 }\n    manage: false\n');
    process.kill(pid, 'SIGHUP');
    // An editor is given 60 ms.
    await sleep(QUIET_MS);
    process.kill(listener, 'SIGCONT');
    const daemon = await starting;
    await daemon.waitForStatus(({ interfaces }) =>
      interfaces.some((nic) => nic.mac === mac && nic.state === 'unmanaged'),
    );
  });

  test('that is invalid at a reload leaves the last valid one in force, and the log says so', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(lab.primary.mac));
    await lab.vm.writeConfig('daemon: { resyncInterval: soon }\n');
    daemon.reload();
    await daemon.waitForLog((log) =>
      alarms(log).some((line) => JSON.stringify(line).includes('resyncInterval')),
    );
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await waitForAddresses(lab.vm, 'eth1', ENI_ADDRESSES);
    await lab.vm.writeConfig('');
    daemon.reload();
    await daemon.waitForStatus(inSync(mac));
  });
});

describe('the end', () => {
  test('comes within a second of SIGTERM, and the network stays as it is', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync(mac));
    const network = await networkOf(lab.vm);
    const { exitCode, durationMs } = await daemon.stop();
    expect(exitCode).toBe(0);
    expect(durationMs).toBeLessThan(bound(1_000));
    expect(await networkOf(lab.vm)).toBe(network);
    expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  });

  test('in the middle of a reading is no failure of the metadata', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
    await daemon.waitForStatus(inSync(lab.primary.mac));
    await lab.metadata.fault({ mode: 'hang' });
    const before = (await lab.metadata.requests()).length;
    const read = async () => (await lab.metadata.requests()).length;
    await until({ what: 'a request that hangs', read, holds: (count) => count > before });
    const { exitCode, durationMs } = await daemon.stop();
    expect(exitCode).toBe(0);
    expect(durationMs).toBeLessThan(bound(1_000));
    expect(alarms(daemon.log())).toEqual([]);
  });

  test('by SIGKILL in the middle is forgotten by the next daemon', async () => {
    const lab = await openLab();
    const first = await lab.vm.startDaemon();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await first.kill();
    const second = await lab.vm.startDaemon();
    await second.waitForStatus(inSync(mac));
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
  });

  test('is for a second daemon at once: exit code 4, and the first goes on', async () => {
    const lab = await openLab();
    const daemon = await lab.vm.startDaemon();
    expect((await lab.vm.agent(['daemon'])).exitCode).toBe(4);
    expect(await daemon.status()).toMatchObject({ daemon: true });
  });
});

async function childrenOf(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
}
