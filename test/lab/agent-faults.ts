/** What can go wrong with an agent and its VM, the alerts that have to fire by it, and how it ends. */
import { mkdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Daemon } from './daemon.ts';
import type { Lab } from './lab.ts';
import { setUp } from './netns.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

export interface Agent {
  readonly lab: Lab;
  /** Which VM, counted from 0. */
  readonly index: number;
  readonly vm: Vm;
  /** Of the secondary ENI, eth1, and its addresses. */
  readonly addresses: readonly string[];
  /** Starts the daemon, whose configuration is there. */
  readonly start: () => Promise<Daemon>;
  readonly daemon: Daemon;
  /** Milliseconds for an hour of the alerts. */
  readonly hourMs: number;
  /** Until the alert fires for this VM. */
  readonly fires: (alert: string) => Promise<void>;
  readonly isFiring: (alert: string) => Promise<boolean>;
}

export interface AgentFault {
  readonly name: string;
  readonly fires: readonly string[];
  /** What else the same fault may look like. */
  readonly mayFire: readonly string[];
  /** Returns what ends it. */
  readonly begin: (agent: Agent) => Promise<() => Promise<unknown>>;
}

/** The VM whose agent is killed has one: the file stays when the agent goes. */
export const TEXTFILE_FOLDER = '/textfiles';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const LATECOMERS = '10.0.2.';

export const AGENT_FAULTS: readonly AgentFault[] = [
  {
    name: 'the daemon is killed every six minutes, and then it stays dead',
    fires: ['EniAgentRestarting', 'EniAgentDown', 'EniAgentTextfileStale'],
    // The last success stands in the file that is left.
    mayFire: ['EniAgentLastSuccessStale'],
    begin: async ({ daemon, start, hourMs, isFiring }) => {
      let running = daemon;
      await until({
        what: 'it was restarted too often',
        read: async () => {
          await running.kill();
          running = await start();
          await sleep(hourMs / 10);
          return isFiring('EniAgentRestarting');
        },
        holds: (isNoticed) => isNoticed,
        deadlineMs: 120_000,
      });
      await running.kill();
      return start;
    },
  },
  {
    name: 'a firewall of the VM refuses what goes to the metadata service',
    fires: ['EniAgentMetadataFailing', 'EniAgentLastSuccessStale'],
    mayFire: [],
    begin: async ({ vm: { namespace } }) => {
      const rules = `
        table inet cut {
          chain out {
            type filter hook output priority 0;
            ip daddr 169.254.0.23 meta l4proto tcp reject with tcp reset
          }
        }`;
      await setUp(namespace, { nft: rules });
      return () => setUp(namespace, { nft: 'delete table inet cut' });
    },
  },
  {
    name: 'a file of a NIC is gone, and the file system is read-only',
    fires: [
      'EniAgentStepsFailing',
      'EniAgentInterfaceDegraded',
      'EniAgentInterfaceNotInSync',
      'EniAgentLastSuccessStale',
    ],
    mayFire: [],
    begin: async ({ vm }) => {
      const folder = vm.path(SCRIPTS);
      const back = vm.path('/scripts');
      let mounts: readonly string[] = [];
      const end = async (): Promise<void> => {
        for (const mount of mounts) await vm.run('umount', [mount]);
        mounts = [];
      };
      onTestFinished(end);
      await mkdir(back);
      for (const mount of [back, folder]) {
        await vm.run('mount', ['--bind', folder, mount]);
        mounts = [mount, ...mounts];
      }
      await vm.run('mount', ['-o', 'remount,bind,ro', folder]);
      // By the way that can be written: the daemon, which hears of it, finds the other one read-only already.
      await rm(`${back}/ifcfg-eth1`);
      return end;
    },
  },
  {
    name: 'a program takes an address away whenever it sees it',
    fires: ['EniAgentDriftFight'],
    mayFire: [
      'EniAgentInterfaceDegraded',
      'EniAgentInterfaceNotInSync',
      'EniAgentStepsFailing',
      'EniAgentLastSuccessStale',
    ],
    begin: async ({ vm, addresses }) => {
      const removal = `ip address del ${addresses.at(-1)}/24 dev eth1 2>/dev/null`;
      const command = ['sh', '-c', `while :; do ${removal}; sleep 0.1; done`];
      const program = vm.start({ name: 'another program', command });
      return () => program.end('SIGKILL');
    },
  },
  {
    name: 'a job takes another rule away every twenty minutes',
    fires: ['EniAgentDriftRecurring'],
    mayFire: [],
    begin: async ({ vm, addresses, hourMs }) => {
      const removals = addresses.map((address) => `ip rule del from ${address}; sleep ${hourMs / 3_000}`);
      const command = ['sh', '-c', `while :; do ${removals.join('; ')}; done`];
      const job = vm.start({ name: 'a job', command });
      return () => job.end('SIGKILL');
    },
  },
  {
    name: 'a NIC that the cloud lists does not come',
    fires: ['EniAgentInterfaceNotInSync'],
    mayFire: [],
    begin: async ({ lab, index }) => {
      const { mac } = await lab.announceEni({ addresses: [`${LATECOMERS}${4 + index}`], vm: index });
      return () => lab.plugIn(mac);
    },
  },
];
