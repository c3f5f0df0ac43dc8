/** Two VMs that stand in for each other: an ENI each in one subnet, the agent and Keepalived on both. */
import type { Eni } from './cloud.ts';
import type { MigratePrivateIpAddressRequest } from './control-plane/api.ts';
import type { Daemon } from './daemon.ts';
import { installKeepalived, type Keepalived, startKeepalived } from './keepalived.ts';
import type { Lab } from './lab.ts';
import type { Monitor } from './monitor.ts';
import { inSync } from './settled.ts';
import { until } from './until.ts';

/** By path in the VM. */
type Files = Readonly<Record<string, string>>;

/** The first VM becomes master first. */
export interface Pair {
  readonly lab: Lab;
  readonly vms: readonly HaVm[];
}

export interface HaVm {
  readonly index: number;
  readonly eni: Eni;
  readonly primary: Eni;
  readonly vm: Lab['vm'];
  readonly monitor: Monitor;
  readonly daemon: Daemon;
  /** All that ran here, the one that runs last. */
  readonly keepalived: Keepalived[];
}

const CONFIG = '/etc/eni-agent/config.yaml';
/** The cloud's command line client: what it is told is written down, and the test does it. */
const CALLS = '/run/tccli';
const TCCLI = { '/usr/local/bin/tccli': `#!/bin/sh\necho "$*" >> ${CALLS}\n`, [CALLS]: '' };
const MIGRATE =
  /^vpc MigratePrivateIpAddress --SourceNetworkInterfaceId (\S+) --DestinationNetworkInterfaceId (\S+) --PrivateIpAddress (\S+)$/;
const OWN_ADDRESSES = ['10.0.1.4', '10.0.1.5'] as const;

/** In a lab with two VMs; `files` are those of the first, `addresses` its ENI has as well. Keepalived does not run yet. */
export async function createPair(lab: Lab, files: Files, addresses: readonly string[] = []): Promise<Pair> {
  const monitors = await Promise.all(lab.vms.map((vm) => vm.monitor()));
  const config = files[CONFIG] ?? '';
  const daemons = await Promise.all(lab.vms.map((vm) => vm.startDaemon({ config })));
  const enis = [
    await lab.attachEni({ addresses: [OWN_ADDRESSES[0], ...addresses] }),
    await lab.attachEni({ addresses: [OWN_ADDRESSES[1]], vm: 1 }),
  ];
  const vms = lab.vms.map(
    (vm, index): HaVm => ({
      index,
      vm,
      eni: at(enis, index),
      primary: at(lab.primaries, index),
      monitor: at(monitors, index),
      daemon: at(daemons, index),
      keepalived: [],
    }),
  );
  for (const { vm, daemon, eni, index } of vms) {
    await daemon.waitForStatus(inSync(eni.mac));
    await installKeepalived(vm, { ...keepalivedFiles(files, eni, at(enis, 1 - index)), ...TCCLI });
  }
  return { lab, vms };
}

/** As docs/keepalived.md says: on the second VM the two addresses change places, and so do the ENIs' ids. */
function keepalivedFiles({ [CONFIG]: _, ...files }: Files, own: Eni, other: Eni): Files {
  const swap =
    own.vm === 0 ? {} : { [OWN_ADDRESSES[0]]: OWN_ADDRESSES[1], [OWN_ADDRESSES[1]]: OWN_ADDRESSES[0] };
  const words: Readonly<Record<string, string>> = {
    'eni-thisone1': own.id,
    'eni-otherone': other.id,
    ...swap,
  };
  return Object.fromEntries(
    Object.entries(files).map(([file, text]) => [
      file,
      text.replaceAll(/\beni-\w+|\b\d+\.\d+\.\d+\.\d+\b/g, (word) => words[word] ?? word),
    ]),
  );
}

/** The first VM is alone for as long as it takes to become master. */
export async function startBoth({ vms }: Pair): Promise<void> {
  await (await startOn(at(vms, 0))).waitFor('MASTER');
  await startOn(at(vms, 1));
}

/** The master's Keepalived ends, and starts again when the other one has taken over. */
export async function stopMaster({ vms }: Pair, from: number): Promise<void> {
  await running(at(vms, from)).stop();
  await running(at(vms, 1 - from)).waitFor('MASTER');
  await startOn(at(vms, from));
}

export async function stopBoth({ vms }: Pair): Promise<void> {
  await Promise.all(vms.map((each) => running(each).stop()));
}

export function running({ keepalived }: HaVm): Keepalived {
  return at(keepalived, -1);
}

async function startOn({ vm, keepalived }: HaVm): Promise<Keepalived> {
  const started = await startKeepalived(vm);
  keepalived.push(started);
  return started;
}

/** The master's Keepalived ends; as soon as the other one's asks the cloud for the address, the cloud moves it. */
export async function moveByStopping(pair: Pair, from: number): Promise<void> {
  const target = at(pair.vms, 1 - from);
  const before = (await callsOf(target)).length;
  await Promise.all([stopMaster(pair, from), moveAsAsked(pair.lab, target, before)]);
}

async function moveAsAsked({ controlPlane }: Lab, target: HaVm, before: number): Promise<void> {
  const { calls } = await until({
    what: `VM ${target.index} has asked the cloud`,
    read: async () => ({ calls: await callsOf(target), log: running(target).log() }),
    holds: (seen) => seen.calls.length > before,
  });
  await controlPlane.settled(await controlPlane.migratePrivateIpAddress(at(calls, -1)));
}

async function callsOf({ vm }: HaVm): Promise<readonly MigratePrivateIpAddressRequest[]> {
  const lines = (await vm.readFile(CALLS)).split('\n').slice(0, -1);
  return lines.map((line) => {
    const [, SourceNetworkInterfaceId = '', DestinationNetworkInterfaceId = '', PrivateIpAddress = ''] =
      MIGRATE.exec(line) ?? [];
    return { SourceNetworkInterfaceId, DestinationNetworkInterfaceId, PrivateIpAddress };
  });
}

export function at<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  if (found === undefined) throw new Error(`looking up entry ${index} of ${list.length}`);
  return found;
}
