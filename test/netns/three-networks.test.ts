/** Internal, external and management: docs/three-networks.md, whose configuration is the one that runs here. */
import { expect, test } from 'vitest';
import { sentBy } from '../lab/cells.ts';
import type { Eni } from '../lab/cloud.ts';
import type { Daemon } from '../lab/daemon.ts';
import { filesOfDoc } from '../lab/doc-files.ts';
import type { Lab } from '../lab/lab.ts';
import { setUp } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { inSync } from '../lab/settled.ts';
import { VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const CONFIG = '/etc/eni-agent/config.yaml';
const OPERATOR = '203.0.113.250';

interface Service {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Who lives in its network. */
  readonly neighbour: string;
}

const INTERNAL: Service = { name: 'database', address: VM_ADDRESS, port: 5432, neighbour: 'client-10.0.0' };
const EXTERNAL: Service = { name: 'web', address: '10.0.1.4', port: 443, neighbour: 'client-10.0.1' };
const MANAGEMENT: Service = { name: 'sshd', address: '10.0.2.4', port: 22, neighbour: 'client-10.0.2' };
const SERVICES = [INTERNAL, EXTERNAL, MANAGEMENT];
const CLIENTS = ['outside', ...SERVICES.map(({ neighbour }) => neighbour)];

interface Networks {
  readonly lab: Lab;
  readonly daemon: Daemon;
  readonly config: string;
  /** By the address of the service. */
  readonly enis: Readonly<Record<string, Eni>>;
}

async function openNetworks(): Promise<Networks> {
  const lab = await openLab();
  const { [CONFIG]: config = '' } = filesOfDoc('three-networks.md', 'The configuration');
  const daemon = await lab.vm.startDaemon({ config });
  const external = await lab.attachEni({ addresses: [EXTERNAL.address] });
  const management = await lab.attachEni({ addresses: [MANAGEMENT.address] });
  await daemon.waitForStatus(inSync(external.mac, management.mac));
  for (const { name, address, port } of SERVICES) await lab.vm.serve({ host: name, address, port });
  const enis = {
    [INTERNAL.address]: lab.primary,
    [EXTERNAL.address]: external,
    [MANAGEMENT.address]: management,
  };
  return { lab, daemon, config, enis };
}

/** Who answers, else why nobody does. */
async function answerOf(lab: Lab, from: string, to: string, port: number): Promise<string> {
  const { outcome, answer } = await lab.connect({ from, to, port });
  return answer?.host ?? outcome;
}

async function allAnswers(lab: Lab, { address, port }: Service): Promise<readonly string[]> {
  return Promise.all(CLIENTS.map((from) => answerOf(lab, from, address, port)));
}

/** The kernel takes up to a second to tell of a carrier (linkwatch). */
async function waitForAnswers(lab: Lab, service: Service): Promise<void> {
  await until({
    what: `${service.name} answers everybody`,
    read: () => allAnswers(lab, service),
    holds: (answers) => answers.every((answer) => answer === service.name),
  });
}

/** Packets that the fabric took from the service's NIC in its name. */
async function sentFor({ lab, enis }: Networks, { address }: Service): Promise<number> {
  return (await lab.portCounters())[enis[address]?.mac ?? '']?.accepted[address] ?? 0;
}

async function assertEachInItsOwnName({ lab, enis }: Networks): Promise<void> {
  const counters = await lab.portCounters();
  for (const [address, { mac }] of Object.entries(enis))
    expect(sentBy(counters[mac])).toEqual({ own: [address], spoofed: [] });
}

test('each service answers by its own NIC, and at its own address alone', async () => {
  const networks = await openNetworks();
  const { lab, enis } = networks;
  for (const service of SERVICES) {
    for (const from of CLIENTS) {
      const before = await sentFor(networks, service);
      for (const address of Object.keys(enis)) {
        const expected = address === service.address ? service.name : 'refused';
        expect(await answerOf(lab, from, address, service.port), `${from} to ${address}`).toBe(expected);
      }
      expect(await sentFor(networks, service)).toBeGreaterThan(before);
    }
  }
  await assertEachInItsOwnName(networks);
});

test('what the VM begins itself goes to the operators by the management NIC, and so it is written', async () => {
  const networks = await openNetworks();
  const { lab } = networks;
  const { answer } = await lab.vm.connectFrom({ to: OPERATOR });
  expect(answer).toMatchObject({ host: 'outside', remote: MANAGEMENT.address });
  for (const { address } of SERVICES)
    expect(await lab.vm.connectFrom({ to: OPERATOR, source: address })).toMatchObject({ outcome: 'ok' });
  await assertEachInItsOwnName(networks);
  const file = await lab.vm.readFile('/etc/sysconfig/network-scripts/route-eth2');
  expect(file).toContain('\n203.0.113.0/24 via 10.0.2.1 dev eth2 table 254\n');
});

test('a NIC without a carrier takes its own service with it, and no other', async () => {
  const networks = await openNetworks();
  const { lab, enis } = networks;
  for (const [address, { mac }] of Object.entries(enis)) {
    await lab.setCarrier(mac, 'off');
    for (const service of SERVICES) {
      const answers = await allAnswers(lab, service);
      const isAnswered = answers.map((answer) => answer === service.name);
      expect(isAnswered, service.name).toEqual(CLIENTS.map(() => service.address !== address));
    }
    await lab.setCarrier(mac, 'on');
    for (const service of SERVICES) await waitForAnswers(lab, service);
  }
  await assertEachInItsOwnName(networks);
});

test('a service is not reached by the NIC of another network; with a loose rp_filter it is', async () => {
  const { lab, daemon, config } = await openNetworks();
  const { address, port, name } = MANAGEMENT;
  const intruder = 'intruder';
  const namespace = await lab.addMachine({ name: intruder, addresses: ['10.0.1.66'] });
  await setUp(namespace, { ip: [`route add ${address} via ${EXTERNAL.address}`] });
  expect(await answerOf(lab, intruder, address, port)).toBe('timeout');
  await lab.vm.writeConfig(config.replace('leave', 'loose'));
  daemon.reload();
  await until({
    what: 'rp_filter is loose',
    read: async () => (await lab.vm.run('cat', ['/proc/sys/net/ipv4/conf/eth1/rp_filter'])).stdout,
    holds: (value) => value === '2',
  });
  expect(await answerOf(lab, intruder, address, port)).toBe(name);
});
