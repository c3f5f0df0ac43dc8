/** The main job: every address answers everybody, and each reply leaves by the NIC that owns the address. */
import { describe, expect, test } from 'vitest';
import { brokenCells, sentBy } from '../lab/cells.ts';
import { openLab } from '../lab/open-lab.ts';
import { addressRange, STATIC_HOST, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);

describe('an ENI with ten addresses in another subnet', () => {
  test('answers on each of them, and so does the primary NIC, each reply by the NIC that owns the address', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const result = await lab.vm.agent(['reconfigure']);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toContain('+ address 10.0.1.5/24 on eth1 (assigned in metadata)\n');
    expect(result.stdout).toMatch(/steps done and verified in [\d.]+ ms\.$/);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
    const counters = await lab.portCounters();
    expect(sentBy(counters[mac])).toEqual({ own: [...ENI_ADDRESSES].toSorted(), spoofed: [] });
    expect(sentBy(counters[lab.primary.mac])).toEqual({ own: [VM_ADDRESS], spoofed: [] });
  });

  test('answers nobody without the agent', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    expect(brokenCells(await lab.matrix(ENI_ADDRESSES))).toHaveLength(4 * ENI_ADDRESSES.length);
  });

  test('with primary: never, the primary NIC does not answer the subnet of the ENI: its replies leave by the ENI', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const result = await lab.vm.agent(['reconfigure'], { config: 'routing: { primary: never }\n' });
    expect(result.exitCode).toBe(0);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([
      `client-10.0.1 > ${VM_ADDRESS}`,
    ]);
    expect((await lab.portCounters())[mac]?.spoofed[VM_ADDRESS]).toBeGreaterThan(0);
  });

  test('bound to the NIC, a socket uses its table', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    const { stdout } = await lab.vm.run('ip', ['route', 'get', '203.0.113.250', 'oif', 'eth1']);
    expect(stdout).toContain('via 10.0.1.1 dev eth1 table 21001');
  });
});

describe('two NICs in one subnet', () => {
  test('keep their ARP answers and their replies apart', async () => {
    const lab = await openLab();
    const { mac } = await lab.attachEni({ addresses: ['10.0.0.20', '10.0.0.21'] });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const addresses = [VM_ADDRESS, '10.0.0.20', '10.0.0.21'];
    expect(brokenCells(await lab.matrix(addresses))).toEqual([]);
    const counters = await lab.portCounters();
    expect(sentBy(counters[mac])).toEqual({ own: ['10.0.0.20', '10.0.0.21'], spoofed: [] });
    expect(sentBy(counters[lab.primary.mac])).toEqual({ own: [VM_ADDRESS], spoofed: [] });
    const sysctls = await lab.vm.run('sh', [
      '-c',
      'cd /proc/sys/net/ipv4/conf; cat eth[01]/arp_ignore eth[01]/arp_announce',
    ]);
    expect(sysctls.stdout).toBe('1\n1\n2\n2');
  });
});

describe('three separate networks', () => {
  test('each NIC answers everybody, and a NIC that is set down takes its traffic with it', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    await lab.attachEni({ addresses: ['10.0.2.4'] });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const addresses = [VM_ADDRESS, '10.0.1.4', '10.0.1.5', '10.0.2.4'];
    expect(brokenCells(await lab.matrix(addresses))).toEqual([]);
    await lab.vm.run('ip', ['link', 'set', 'eth2', 'down']);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, '10.0.1.4']))).toEqual([]);
    expect((await lab.vm.connectFrom({ to: '203.0.113.250', source: '10.0.2.4' })).outcome).toBe(
      'unreachable',
    );
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('~ link up on eth2 (eth2 is down)');
    // The kernel looks at carriers once per second.
    await until({
      what: 'every address answers again',
      read: async () => brokenCells(await lab.matrix(addresses)),
      holds: (broken) => broken.length === 0,
    });
  });
});

describe("the administrator's static route on the primary NIC", () => {
  test('works from every address of it and unbound, before and after', async () => {
    const lab = await openLab();
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    expect((await lab.vm.connectFrom({ to: STATIC_HOST })).outcome).toBe('ok');
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    for (const source of [undefined, VM_ADDRESS, '10.0.0.5']) {
      const { outcome } = await lab.vm.connectFrom({
        to: STATIC_HOST,
        ...(source === undefined ? {} : { source }),
      });
      expect(outcome, `from ${source ?? 'an unbound socket'}`).toBe('ok');
    }
  });

  test('fails from the addresses of the primary with localRoutes: off, so the throw routes are what makes it work', async () => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure'], { config: 'routing: { localRoutes: off }\n' });
    expect((await lab.vm.connectFrom({ to: STATIC_HOST, source: VM_ADDRESS })).outcome).not.toBe('ok');
  });
});

describe('what others have set up', () => {
  test("a static route that covers another NIC's subnet does not send its replies out by that NIC", async () => {
    const lab = await openLab();
    await lab.vm.run('ip', ['route', 'add', '10.0.0.0/23', 'via', '10.0.0.253', 'dev', 'eth0']);
    const { mac } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    expect((await lab.vm.run('ip', ['route', 'show', 'table', '21000'])).stdout).toContain(
      'throw 10.0.0.0/23',
    );
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
    expect(sentBy((await lab.portCounters())[mac]).spoofed).toEqual([]);
  });

  test("a container bridge stays reachable from every NIC's addresses, and a VPN's default in halves is not thrown to", async () => {
    const lab = await openLab();
    await lab.vm.run('sh', [
      '-c',
      'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up' +
        ' && ip link add tun0 type veth peer name tun1 && ip link set tun0 up && ip link set tun1 up' +
        ' && ip addr add 10.8.0.2/24 dev tun0 && ip route add 0.0.0.0/1 via 10.8.0.1 dev tun0',
    ]);
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    for (const table of ['21000', '21001']) {
      const { stdout } = await lab.vm.run('ip', ['route', 'show', 'table', table, 'type', 'throw']);
      const destinations = stdout.split('\n').map((line) => line.split(' ')[1]);
      expect(destinations).toEqual(expect.arrayContaining(['172.17.0.0/16', '10.8.0.0/24']));
      expect(destinations).not.toContain('0.0.0.0/1');
    }
    const { stdout } = await lab.vm.run('ip', ['route', 'get', '172.17.0.9', 'from', '10.0.1.5']);
    expect(stdout).toContain('dev docker0');
  });

  test("a subnet of the administrator's own on the primary NIC stays reachable from its address", async () => {
    const lab = await openLab();
    await lab.vm.run('ip', ['addr', 'add', '192.168.7.7/24', 'dev', 'eth0']);
    await lab.vm.run('ip', ['route', 'add', '169.254.0.0/16', 'dev', 'eth0', 'metric', '1002']);
    const way = async () =>
      (await lab.vm.run('ip', ['route', 'get', '192.168.7.1', 'from', '192.168.7.7'])).stdout;
    const before = await way();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    expect((await lab.vm.run('ip', ['rule'])).stdout).toContain('from 192.168.7.7 lookup 21000');
    expect(await way()).toBe(before);
    const { stdout } = await lab.vm.run('ip', ['route', 'get', '169.254.0.23', 'from', VM_ADDRESS]);
    expect(stdout).toContain('via 10.0.0.1 dev eth0 table 21000');
  });

  test('a VIP on the ENI gets its rule, and is never removed', async () => {
    const lab = await openLab();
    const config = "interfaces: [{ match: { role: secondary }, excludeAddresses: ['10.0.1.100'] }]\n";
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.100'] });
    await lab.vm.agent(['reconfigure'], { config });
    expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).not.toContain('10.0.1.100');
    await lab.vm.run('ip', ['addr', 'add', '10.0.1.100/32', 'dev', 'eth1']);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('+ rule from 10.0.1.100 lookup 21001');
    expect(brokenCells(await lab.matrix(['10.0.1.100']))).toEqual([]);
    await lab.unassignAddress(mac, '10.0.1.100');
    expect((await lab.vm.agent(['reconfigure'])).stdout).toContain('In sync');
  });

  test('nothing but ours differs afterwards: foreign rules, routes, addresses and sysctls are byte for byte the same', async () => {
    const lab = await openLab();
    await lab.vm.run('sh', [
      '-c',
      'ip rule add from 10.9.9.9 lookup 99 priority 500 && ip route add blackhole 10.66.0.0/16 table 99' +
        ' && ip addr add 192.168.7.7/24 dev eth0 && ip route add 192.168.9.0/24 via 192.168.7.1 dev eth0',
    ]);
    const before = await lab.vm.snapshot();
    await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.agent(['reconfigure']);
    const after = new Set((await lab.vm.snapshot()).split('\n'));
    const lost = before.split('\n').filter((line) => !after.has(line));
    expect(lost).toEqual(
      [
        expect.stringContaining('conf/eth0/promote_secondaries:0'),
        expect.stringContaining('conf/eth0/rp_filter:1'),
        expect.stringContaining('/etc/eni-agent/config.yaml'),
      ].slice(0, lost.length),
    );
  });
});

describe('IPv6 beyond the metadata', () => {
  test('addresses and gateway of the configuration answer everybody', async () => {
    const lab = await openLab();
    const config = `interfaces:
  - match: { role: secondary }
    addresses: ['2001:db8:1::4/64', '2001:db8:1::5/64']
    gateway6: fe80::feee:ffff:feff:ffff
`;
    await lab.attachEni({ addresses: ['10.0.1.4', '2001:db8:1::4', '2001:db8:1::5'] });
    const result = await lab.vm.agent(['reconfigure'], { config });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(brokenCells(await lab.matrix(['10.0.1.4', '2001:db8:1::4', '2001:db8:1::5']))).toEqual([]);
    expect((await lab.vm.agent(['reconfigure'])).stdout).toBe('In sync: nothing to change.');
  });
});
