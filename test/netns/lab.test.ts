/** The lab proves itself without the agent: what it is given by hand works or fails as in the real cloud. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { brokenCells, sources } from '../lab/cells.ts';
import { assertPrivateNamespace, readNamespaceIdentity } from '../lab/guard.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { addressRange, METADATA_ADDRESS, STATIC_HOST, STATIC_NETWORK, VM_ADDRESS } from '../lab/topology.ts';

const ENI_ADDRESSES = addressRange('10.0.1.4', 10);
const TABLE = '21001';
const REVERSE_PATH_FILTER_OFF = 'for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; done';

/** What an operator who knows no policy routing does. */
async function configureAddressesOnly(lab: Lab, link: string): Promise<void> {
  await batch(lab, [
    `link set ${link} up`,
    ...ENI_ADDRESSES.map((address) => `addr add ${address}/24 dev ${link}`),
  ]);
}

/** Table and rules for the ENI, and for the primary's address. */
async function configureRouting(lab: Lab, link: string): Promise<void> {
  await batch(lab, [
    'route add 10.0.0.0/24 dev eth0 table 21000',
    'route add default via 10.0.0.1 dev eth0 table 21000',
    `rule add from ${VM_ADDRESS} lookup 21000 priority 21000`,
    `route add 10.0.1.0/24 dev ${link} table ${TABLE}`,
    `route add default via 10.0.1.1 dev ${link} table ${TABLE}`,
    ...ENI_ADDRESSES.map((address) => `rule add from ${address} lookup ${TABLE} priority ${TABLE}`),
  ]);
}

async function batch(lab: Lab, lines: readonly string[]): Promise<void> {
  await lab.vm.run('sh', ['-c', `ip -batch - <<'END'\n${lines.join('\n')}\nEND`]);
}

describe('a new VM', () => {
  test('answers every client on its primary address, and only there', async () => {
    const lab = await openLab();
    expect(brokenCells(await lab.matrix([VM_ADDRESS]))).toEqual([]);
    const { outcome } = await lab.connect({ from: 'outside', to: '10.0.0.5' });
    expect(outcome).not.toBe('ok');
  });

  test("reaches the administrator's host by the static route, unbound and from its address", async () => {
    const lab = await openLab();
    const unbound = await lab.vm.connectFrom({ to: STATIC_HOST });
    expect(unbound.answer).toMatchObject({ host: 'router', remote: VM_ADDRESS });
    const bound = await lab.vm.connectFrom({ to: STATIC_HOST, source: VM_ADDRESS });
    expect(bound.answer).toMatchObject({ host: 'router', local: STATIC_HOST });
  });

  test('cannot reach that host by the gateway', async () => {
    const lab = await openLab();
    await lab.vm.run('ip', ['route', 'add', 'default', 'via', '10.0.0.1', 'table', '99']);
    await lab.vm.run('ip', ['rule', 'add', 'to', STATIC_NETWORK, 'lookup', '99', 'priority', '99']);
    expect((await lab.vm.connectFrom({ to: STATIC_HOST })).outcome).toBe('unreachable');
  });

  test('looks the same twice, and different after a change', async () => {
    const lab = await openLab();
    const before = await lab.vm.snapshot({ identity: true });
    expect(await lab.vm.snapshot({ identity: true })).toBe(before);
    await lab.vm.run('ip', ['rule', 'add', 'from', '10.9.9.9', 'lookup', '99']);
    expect(await lab.vm.snapshot({ identity: true })).not.toBe(before);
  });

  test('is seen to be touched when its default route changes', async () => {
    const lab = await openLab();
    await lab.vm.run('ip', ['route', 'add', 'default', 'via', '10.0.0.1', 'metric', '50']);
    await expect(lab.assertUntouched()).rejects.toThrow('default via 10.0.0.1 dev eth0 metric 50');
    await lab.vm.run('ip', ['route', 'del', 'default', 'via', '10.0.0.1', 'metric', '50']);
    await lab.assertUntouched();
  });
});

describe('an ENI with ten addresses', () => {
  test('appears down and without an address, and is listed by the metadata', async () => {
    const lab = await openLab();
    const { mac, linkName } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    const { stdout } = await lab.vm.run('ip', ['-o', 'link', 'show', linkName]);
    expect(linkName).toBe('eth1');
    expect(stdout).toContain(mac);
    expect(stdout).not.toMatch(/[<,]UP[,>]/);
    expect(await readMetadata(lab, 'network/interfaces/macs/')).toContain(mac.toUpperCase());
    await lab.detachEni(mac);
    expect(await readMetadata(lab, 'network/interfaces/macs/')).not.toContain(mac.toUpperCase());
    expect((await lab.vm.tryRun('ip', ['link', 'show', linkName])).exitCode).not.toBe(0);
  });

  test('with its addresses alone it answers its own subnet; the fabric drops the other replies as spoofed', async () => {
    const lab = await openLab();
    const { mac, linkName } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    // The default rp_filter of CentOS would drop the requests already.
    await lab.vm.run('sh', ['-c', REVERSE_PATH_FILTER_OFF]);
    await configureAddressesOnly(lab, linkName);
    // As ever, the VM has the gateway's MAC before: it could not ask for it in the name of an address that is not eth0's.
    await lab.connect({ from: 'outside', to: VM_ADDRESS });
    const matrix = await lab.matrix(ENI_ADDRESSES);
    const working = Object.entries(matrix).filter(([, row]) => Object.values(row).includes('ok'));
    expect(working.map(([client]) => client)).toEqual(['client-10.0.1']);
    expect(brokenCells(matrix)).toHaveLength(30);
    const counters = await lab.portCounters();
    expect(sources(counters[lab.primary.mac]?.spoofed)).toEqual(ENI_ADDRESSES.toSorted());
    expect(sources(counters[mac]?.accepted)).toEqual(ENI_ADDRESSES.toSorted());
  });

  test("without rules for the primary, replies to the ENI's subnet leave by the ENI and are dropped", async () => {
    const lab = await openLab();
    const { mac, linkName } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await lab.vm.run('sh', ['-c', REVERSE_PATH_FILTER_OFF]);
    await configureAddressesOnly(lab, linkName);
    expect(brokenCells(await lab.matrix([VM_ADDRESS]))).toEqual([`client-10.0.1 > ${VM_ADDRESS}`]);
    expect((await lab.portCounters())[mac]?.spoofed[VM_ADDRESS]).toBeGreaterThan(0);
  });

  test('with tables and rules every client reaches every address, each reply by the NIC that owns it', async () => {
    const lab = await openLab();
    const { mac, linkName } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await configureAddressesOnly(lab, linkName);
    await configureRouting(lab, linkName);
    expect(brokenCells(await lab.matrix([VM_ADDRESS, ...ENI_ADDRESSES]))).toEqual([]);
    const counters = await lab.portCounters();
    expect(sources(counters[mac]?.accepted)).toEqual(ENI_ADDRESSES.toSorted());
    expect(sources(counters[lab.primary.mac]?.accepted)).toEqual([VM_ADDRESS]);
    expect([...sources(counters[mac]?.spoofed), ...sources(counters[lab.primary.mac]?.spoofed)]).toEqual([]);
  });

  test('an address answers from when it is assigned until it is unassigned', async () => {
    const lab = await openLab();
    const { mac } = lab.primary;
    await lab.vm.run('ip', ['addr', 'add', '10.0.0.5/24', 'dev', 'eth0']);
    const outcome = async () => (await lab.connect({ from: 'outside', to: '10.0.0.5' })).outcome;
    expect(await outcome()).not.toBe('ok');
    await lab.assignAddress(mac, '10.0.0.5');
    expect(await outcome()).toBe('ok');
    await lab.unassignAddress(mac, '10.0.0.5');
    expect(await outcome()).not.toBe('ok');
  });

  test('IPv6 passes the same filter', async () => {
    const lab = await openLab();
    const { linkName } = await lab.attachEni({ addresses: ['10.0.1.4', '2001:db8:1::4'] });
    await batch(lab, [
      `link set ${linkName} up`,
      `addr add 2001:db8:1::4/64 dev ${linkName} nodad`,
      `addr add 2001:db8:1::5/64 dev ${linkName} nodad`,
      `route add 2000::/3 via fe80::feee:ffff:feff:ffff dev ${linkName}`,
    ]);
    expect(brokenCells(await lab.matrix(['2001:db8:1::4']))).toEqual([]);
    expect(brokenCells(await lab.matrix(['2001:db8:1::5']))).toHaveLength(4);
  });
});

describe('the metadata service', () => {
  test('answers the primary NIC and not a secondary one', async () => {
    const lab = await openLab();
    const { linkName } = await lab.attachEni({ addresses: ENI_ADDRESSES });
    await configureAddressesOnly(lab, linkName);
    await configureRouting(lab, linkName);
    expect(await readMetadata(lab, 'instance-id', VM_ADDRESS)).toBe('ins-3g445roi');
    expect(await readMetadata(lab, 'instance-id', '10.0.1.4')).toBe('no answer');
    await lab.vm.run('ip', ['route', 'add', `${METADATA_ADDRESS}/32`, 'dev', linkName, 'table', TABLE]);
    expect(await readMetadata(lab, 'instance-id', '10.0.1.4')).toBe('no answer');
  });

  test('goes down, comes back, and remembers what it was asked', async () => {
    const lab = await openLab();
    await readMetadata(lab, 'instance-id');
    await lab.metadata.down();
    expect((await lab.vm.connectFrom({ to: METADATA_ADDRESS, port: 80 })).outcome).toBe('refused');
    await lab.metadata.up();
    await readMetadata(lab, 'mac');
    const paths = (await lab.metadata.requests()).map(({ path }) => path);
    expect(paths).toEqual(['/latest/meta-data/instance-id', '/latest/meta-data/mac']);
  });
});

describe('the lab', () => {
  test('lives beside others: the same addresses, other machines', async () => {
    const [one, other] = await Promise.all([openLab(), openLab()]);
    await one.attachEni({ addresses: ENI_ADDRESSES });
    expect((await other.vm.tryRun('ip', ['link', 'show', 'eth1'])).exitCode).not.toBe(0);
    const matrices = await Promise.all([one.matrix([VM_ADDRESS]), other.matrix([VM_ADDRESS])]);
    expect(matrices.flatMap(brokenCells)).toEqual([]);
  });

  test('cannot change the machine it runs on', () => {
    const sysctl = '/proc/sys/vm/swappiness';
    expect(() => writeFileSync(sysctl, readFileSync(sysctl))).toThrow(/EROFS|EACCES|EPERM/);
  });

  test('refuses to run anywhere but in a private network namespace', () => {
    const here = readNamespaceIdentity();
    expect(() => assertPrivateNamespace(here)).not.toThrow();
    expect(() => assertPrivateNamespace({ ...here, outer: undefined })).toThrow('not a private one');
    expect(() => assertPrivateNamespace({ ...here, outer: here.own })).toThrow('not a private one');
    expect(() => assertPrivateNamespace({ ...here, init: here.own })).toThrow('not a private one');
  });
});

/** What the VM gets by its own routes, from a source of its choice or a given one. */
async function readMetadata(lab: Lab, key: string, source?: string): Promise<string> {
  const options = {
    host: METADATA_ADDRESS,
    path: `/latest/meta-data/${key}`,
    timeout: 500,
    ...(source === undefined ? {} : { localAddress: source }),
  };
  const script = `
    require('node:http').get(${JSON.stringify(options)}, (response) => response.pipe(process.stdout))
      .on('timeout', function () { this.destroy(); })
      .on('error', () => process.stdout.write('no answer'));`;
  return (await lab.vm.run(process.execPath, ['-e', script])).stdout;
}
