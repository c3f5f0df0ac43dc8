/** Metadata comes over the primary NIC, or it is not believed: whoever answers elsewhere could give the VM any address. */
import { expect, test } from 'vitest';
import type { LogLine } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { setUp } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, networkOf, waitForAddresses } from '../lab/settled.ts';
import { METADATA_ADDRESS, NETMASK, VM_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const LINK_LOCAL = '169.254.0.0/16';
const INJECTED = '10.0.0.66';

/** At the other end of `tun0`, with the metadata service's address, and an answer of its own. */
async function addImpostor(lab: Lab): Promise<void> {
  const namespace = await lab.addMachine({ name: 'impostor' });
  await setUp(lab.vm.namespace, {
    ip: [
      `link add tun0 type veth peer name tun0 netns ${namespace}`,
      'link set tun0 up',
      'address add 10.8.0.2/24 dev tun0',
    ],
  });
  await setUp(namespace, {
    ip: [
      'link set tun0 up',
      'address add 10.8.0.1/24 dev tun0',
      `address add ${METADATA_ADDRESS}/32 dev lo`,
      'route add default via 10.8.0.2 dev tun0',
    ],
  });
  const { mac } = lab.primary;
  await lab.impersonateMetadata('impostor', {
    instanceId: lab.vm.instanceId,
    primaryMac: mac,
    nics: [
      { mac, primary: VM_ADDRESS, addresses: [VM_ADDRESS, INJECTED], mask: NETMASK, gateway: '10.0.0.1' },
    ],
  });
}

async function addressesOf({ vm }: Lab): Promise<string> {
  return (await vm.run('ip', ['-o', '-4', 'address', 'show', 'dev', 'eth0'])).stdout;
}

test('an answer that came by another way is not believed, and the message names the way', async () => {
  const lab = await openLab();
  await addImpostor(lab);
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  await lab.vm.run('ip', ['route', 'add', LINK_LOCAL, 'via', '10.8.0.1', 'dev', 'tun0']);
  const { exitCode, stdout } = await lab.vm.agent(['reconfigure']);
  expect(stdout).toContain(
    `an answer that came by tun0, and metadata is believed only over the primary NIC (eth0); look at the route to ${METADATA_ADDRESS}`,
  );
  expect(exitCode).toBe(3);
  expect(await addressesOf(lab)).not.toContain(INJECTED);
  await lab.vm.run('ip', ['route', 'del', LINK_LOCAL]);
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
});

test('a daemon goes by the last good answer while its questions go astray', async () => {
  const lab = await openLab();
  await addImpostor(lab);
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  await lab.vm.run('ip', ['route', 'add', LINK_LOCAL, 'via', '10.8.0.1', 'dev', 'tun0']);
  await daemon.waitForStatus(({ state }) => state === 'degraded');
  expect(await addressesOf(lab)).not.toContain(INJECTED);
  await lab.vm.run('ip', ['route', 'del', LINK_LOCAL]);
  await lab.assignAddress(lab.primary.mac, '10.0.0.5');
  await waitForAddresses(lab.vm, 'eth0', [VM_ADDRESS, '10.0.0.5']);
});

test("with a secondary NIC neither its zeroconf route nor a VPN's default in halves leads the questions astray", async () => {
  const lab = await openLab();
  await addImpostor(lab);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  const halves = ['0.0.0.0/1', '128.0.0.0/1'].map((half) => `route add ${half} via 10.8.0.1 dev tun0`);
  for (const ip of [[`route add ${LINK_LOCAL} dev eth1`], [`route del ${LINK_LOCAL}`, ...halves]]) {
    await setUp(lab.vm.namespace, { ip });
    expect(await lab.vm.agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  }
  await lab.assignAddress(mac, '10.0.1.5');
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
  await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4', '10.0.1.5']);
  expect(await addressesOf(lab)).not.toContain(INJECTED);
});

function isAboutPrimary(line: LogLine): boolean {
  return String(line['problem']).includes('is named as the primary NIC');
}

// What an ENI keeps for life is asked for in one of thirty readings, and each reload is one.

test('a wrong word about which NIC is the primary, said once or for long, changes nothing and is over when it is over', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await daemon.waitForStatus(inSync(mac));
  const before = await networkOf(lab.vm);
  const monitor = await lab.vm.monitor();
  const lie = { mode: 'garbage', path: 'mac', exact: true, body: mac.toUpperCase() } as const;
  for (const fault of [{ ...lie, times: 1 }, lie]) {
    const heard = daemon.log().filter(isAboutPrimary).length;
    await lab.metadata.fault(fault);
    await until({
      what: 'the lie is heard',
      read: () => {
        daemon.reload();
        return daemon.log();
      },
      holds: (log) => log.filter(isAboutPrimary).length > heard,
    });
    if (fault === lie) await daemon.waitForStatus(({ state }) => state === 'degraded');
    await lab.metadata.fault(null);
    await daemon.waitForStatus(inSync(lab.primary.mac, mac), { deadlineMs: 3_000 });
  }
  expect(monitor.lines()).toEqual([]);
  expect(await networkOf(lab.vm)).toBe(before);
});

test('the very first answer must name the NIC that it came by as the primary', async () => {
  const lab = await openLab();
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  const before = await lab.vm.snapshot({ identity: true });
  await lab.metadata.fault({ mode: 'garbage', path: 'mac', exact: true, body: mac.toUpperCase() });
  const { exitCode, stderr } = await lab.vm.agent(['reconfigure']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    `mac: ${mac} is named as the primary NIC, in an answer that came by another one (eth0)`,
  );
  expect(await lab.vm.snapshot({ identity: true })).toBe(before);
  await lab.metadata.fault(null);
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
});

/** Whole, without a contradiction, and wrong: by path below the ENI's directory. */
const LIES: Readonly<
  Record<string, readonly (readonly [nic: 'eth0' | 'eth1', key: string, body: string])[]>
> = {
  "the primary's gateway": [['eth0', 'local-ipv4s/10.0.0.4/gateway', '10.0.0.77']],
  "a secondary's subnet": [['eth1', 'local-ipv4s/10.0.1.4/subnet-mask', '255.255.0.0']],
  "the primary's address": [
    ['eth0', 'primary-local-ipv4', '10.0.0.99'],
    ['eth0', 'local-ipv4s/', '10.0.0.99/'],
    ['eth0', 'local-ipv4s/10.0.0.99/subnet-mask', '255.255.255.0'],
    ['eth0', 'local-ipv4s/10.0.0.99/gateway', '10.0.0.1'],
  ],
};

test('what an ENI keeps for life is not changed by one answer: a wrong gateway of the primary would cut off the agent itself', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await daemon.waitForStatus(inSync(mac));
  const macs = { eth0: lab.primary.mac, eth1: mac };
  const monitor = await lab.vm.monitor();
  for (const [name, lie] of Object.entries(LIES)) {
    const entries = lie.map(([nic, key, body]) => [
      `network/interfaces/macs/${macs[nic].toUpperCase()}/${key}`,
      body,
    ]);
    const answers: Readonly<Record<string, string>> = Object.fromEntries(entries);
    const asked = (await lab.metadata.requests()).length;
    await lab.metadata.fault({ mode: 'answers', answers, times: lie.length });
    const [first = ''] = Object.keys(answers);
    // Once with the lie, and after a second once without.
    await until({
      what: `${name} is asked for twice`,
      read: async () => {
        daemon.reload();
        return (await lab.metadata.requests()).slice(asked).filter(({ path }) => path.endsWith(first)).length;
      },
      holds: (count) => count >= 2,
    });
    const runs = daemon.runs();
    await daemon.waitForLog(() => daemon.runs() > runs);
    expect(monitor.lines(), name).toEqual([]);
  }
  await daemon.waitForStatus(inSync(lab.primary.mac, mac));
});
