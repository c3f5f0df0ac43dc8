/** How a VM of the lab comes to what each section of docs/troubleshooting.md is about, and what has to be so when its commands were typed. */
import { writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { cloneDisk } from './clones.ts';
import type { Daemon } from './daemon.ts';
import type { Lab, LabOptions } from './lab.ts';
import { setUp } from './netns.ts';
import { EVERY_SECOND, inSync, waitForAddresses } from './settled.ts';
import { addContainer, byHand, PUBLISHED_PORT } from './surroundings.ts';
import { until } from './until.ts';
import { CONNECT_DEADLINE_MS, type Vm } from './vm.ts';

interface Symptom {
  readonly options?: Omit<LabOptions, 'actorBundle'>;
  /** Returns the VM in which the commands are typed. */
  readonly bring: (lab: Lab) => Promise<Vm>;
  readonly after?: (lab: Lab, vm: Vm) => Promise<unknown>;
}

const ADDRESSES = ['10.0.1.4', '10.0.1.5'];
const RP_FILTER = '/proc/sys/net/ipv4/conf/eth1/rp_filter';

/** A daemon and eth1, in sync. */
async function settle(lab: Lab): Promise<{ daemon: Daemon; mac: string }> {
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(mac));
  return { daemon, mac };
}

async function answers(lab: Lab, port?: number): Promise<boolean> {
  const to = { from: 'outside', to: '10.0.1.4', ...(port === undefined ? {} : { port }) };
  return (await lab.connect(to)).outcome === 'ok';
}

async function waitForAnswer(lab: Lab, port?: number): Promise<void> {
  await until({ what: 'it answers', read: () => answers(lab, port), holds: (yes) => yes });
}

const UDP_SERVER = `
const [, address, port] = process.argv;
const socket = require('node:dgram').createSocket('udp4').bind(Number(port), address, () => console.error('ready'));
socket.on('message', (text, remote) => socket.send('{}', remote.port, remote.address));
`;

/** Whether somebody outside who asks 10.0.1.4 is answered from there. */
async function answersUdp(lab: Lab, { bound, port }: { bound: string; port: number }): Promise<boolean> {
  const command = [process.execPath, '-e', UDP_SERVER, bound, String(port)];
  const server = lab.vm.start({ name: 'a UDP server', command });
  await until({ what: 'it listens', read: () => server.stderr, holds: (text) => text.includes('ready') });
  const probe = { from: 'outside', to: '10.0.1.4', protocol: 'udp', timeoutMs: CONNECT_DEADLINE_MS } as const;
  return (await lab.probe({ ...probe, port })).outcome === 'ok';
}

export const SYMPTOMS: Readonly<Record<string, Symptom>> = {
  'My EIP on eth1 does not answer': {
    bring: async (lab) => {
      const eni = await lab.attachEni({ addresses: ADDRESSES });
      await setUp(lab.vm.namespace, { ip: byHand(eni) });
      expect(await answers(lab)).toBe(false);
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'All is in sync, and an address does not answer': {
    bring: async (lab) => {
      await settle(lab);
      await lab.vm.run('ip', 'rule add from 10.0.1.4 lookup main priority 100'.split(' '));
      expect(await answers(lab)).toBe(false);
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'My UDP server answers from the wrong address': {
    bring: async (lab) => {
      await settle(lab);
      expect(await answersUdp(lab, { bound: '0.0.0.0', port: 7780 })).toBe(false);
      return lab.vm;
    },
    after: async (lab) => expect(await answersUdp(lab, { bound: '10.0.1.4', port: 7781 })).toBe(true),
  },
  'The NIC is attached and nothing happens': {
    bring: async (lab) => {
      const { mac } = await lab.attachEni({ addresses: ADDRESSES });
      const file = lab.vm.path('/etc/sysconfig/network-scripts/ifcfg-eth1');
      await writeFile(file, `DEVICE=eth1\nHWADDR=${mac}\nONBOOT=yes\n`);
      await lab.vm.startDaemon({ config: EVERY_SECOND });
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'An address that I added by hand is not removed': {
    bring: async (lab) => {
      await settle(lab);
      await lab.vm.run('ip', 'addr add 10.0.1.99/24 dev eth1'.split(' '));
      return lab.vm;
    },
    after: ({ vm }) => waitForAddresses(vm, 'eth1', ADDRESSES),
  },
  'An address is gone': {
    bring: async (lab) => {
      const { mac } = await settle(lab);
      await lab.unassignAddress(mac, '10.0.1.5');
      await waitForAddresses(lab.vm, 'eth1', ['10.0.1.4']);
      return lab.vm;
    },
  },
  'A published port of a container does not answer on eth1': {
    bring: async (lab) => {
      await settle(lab);
      await addContainer(lab);
      expect(await answers(lab, PUBLISHED_PORT)).toBe(false);
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab, PUBLISHED_PORT),
  },
  'The metadata service does not answer': {
    bring: async (lab) => {
      await settle(lab);
      await lab.metadata.down();
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'After a reboot the addresses are missing': {
    bring: async (lab) => {
      await lab.attachEni({ addresses: ADDRESSES });
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      // What a kernel has that was just started, and whose eth1 nobody brings up.
      const rules = ['21000', '21001', '21001', '21001'].map((priority) => `rule del priority ${priority}`);
      const routes = ['21000', '21001'].map((table) => `route flush table ${table}`);
      await setUp(lab.vm.namespace, {
        ip: ['addr flush dev eth1', 'link set eth1 down', ...rules, ...routes],
      });
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'NetworkManager and eni-agent fight': {
    bring: async (lab) => {
      const { daemon } = await settle(lab);
      const read = async (): Promise<string> => (await lab.vm.run('cat', [RP_FILTER])).stdout;
      for (let times = 0; times < 3; times += 1) {
        const runs = daemon.runs();
        await lab.vm.run('sh', ['-c', `echo 1 > ${RP_FILTER}`]);
        await until({ what: 'it is set back', read, holds: (value) => value === '2' });
        // Whose verification would miss it.
        await daemon.waitForLog(() => daemon.runs() > runs);
      }
      await lab.vm.run('sh', ['-c', `echo 1 > ${RP_FILTER}`]);
      return lab.vm;
    },
  },
  'A change was rolled back': {
    bring: async (lab) => {
      await settle(lab);
      return lab.vm;
    },
    after: (lab) => waitForAnswer(lab),
  },
  'Exit code 2': {
    bring: async (lab) => {
      await lab.attachEni({ addresses: ADDRESSES });
      expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
      return lab.vm;
    },
  },
  'Exit code 4': {
    bring: async (lab) => {
      await lab.attachEni({ addresses: ADDRESSES });
      const config = 'interfaces: [{ match: { name: eth1 }, mtu: 1400 }]\n';
      const tried = await lab.vm.agent(['reconfigure', '--confirm', '1h'], { config });
      expect(tried.exitCode).toBe(0);
      return lab.vm;
    },
  },
  'After cloning the VM': {
    options: { vms: 2 },
    bring: async (lab) => {
      const [golden = lab.vm, clone = lab.vm] = lab.vms;
      await lab.attachEni({ addresses: ADDRESSES });
      expect((await golden.agent(['reconfigure'])).exitCode).toBe(0);
      await cloneDisk(golden, clone);
      await lab.attachEni({ vm: 1, addresses: ['10.0.1.8'] });
      return clone;
    },
  },
};
