/**
 * What others need for the same NIC, as far as Debian has them; the rows of one that is not installed are left out.
 *
 * - NetworkManager with the profile that the agent has written for the NIC: it reads no metadata, so it is a floor for who goes by it.
 * - amazon-ec2-net-utils 2.x: its script alone, from its start to its end, with its metadata service beside it. What it writes then goes to
 *   systemd-networkd, whose time is not in it, and neither is that of udev, which starts it.
 */
import path from 'node:path';
import type { Lab } from '../test/lab/lab.ts';
import type { MonitorLine } from '../test/lab/monitor.ts';
import { installNetworkManager, startNetworkManager } from '../test/lab/network-manager.ts';
import { findTool } from '../test/lab/tools.ts';
import { addressRange } from '../test/lab/topology.ts';
import { until } from '../test/lab/until.ts';
import { REPEATS, type Row, row } from './sample.ts';

const ADDRESSES = addressRange('10.0.1.4', 10);
const CONFIG = 'persistence:\n  backend: networkmanager-keyfile\n';
const SCRIPT = 'setup-policy-routes';
const IMDS = new URL('./imds.ts', import.meta.url).pathname;
const IMDS_ADDRESS = '169.254.169.254';
/** Without networkd: it is said to be online, and to have been told. */
const RUN_SCRIPT = `
set -e
mount -t sysfs -o ro sysfs /sys
mount --bind /bin/true /lib/systemd/systemd-networkd-wait-online
mkdir -p /run/bench
ln -sf /bin/true /run/bench/networkctl
export PATH=/run/bench:$PATH LIBDIR_OVERRIDE="$2"
rm -rf /run/systemd/network /run/amazon-ec2-net-utils
from=$(date +%s%N)
bash "$1" eth1 start
to=$(date +%s%N)
grep -c From= /run/systemd/network/70-eth1.network.d/ec2net_policy_4.conf
echo $((to - from))
`;
const NS_PER_MS = 1e6;

/** `attach`: what the agent takes. */
export async function measurePeers(lab: Lab, attach: Row): Promise<readonly Row[]> {
  const script = findTool(SCRIPT);
  const rows: Row[] = [];
  if (script !== undefined)
    rows.push(
      row("amazon-ec2-net-utils, its script's part alone", 'ms', await measureScript(lab, script), attach),
    );
  if (findTool('NetworkManager') !== undefined)
    rows.push(
      row(
        'NetworkManager by a ready profile, link event to last address',
        'ms',
        await measureProfile(lab),
        attach,
      ),
    );
  return rows;
}

async function measureProfile(lab: Lab): Promise<readonly number[]> {
  await installNetworkManager(lab.vm);
  const manager = await startNetworkManager(lab.vm);
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  const { exitCode, stderr } = await lab.vm.agent(['reconfigure'], { config: CONFIG });
  if (exitCode !== 0) throw new Error(`writing the profile: ${stderr}`);
  const durations: number[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    await lab.detachEni(mac);
    const monitor = await lab.vm.monitor();
    await lab.attachEni({ addresses: ADDRESSES, mac });
    const lines = await until({
      what: 'NetworkManager has set every address',
      read: () => monitor.lines(),
      holds: (seen) => ADDRESSES.every((address) => isSet(seen, address)),
    });
    durations.push(durationOf(lines));
    await monitor.stop();
  }
  await manager.stop();
  await lab.detachEni(mac);
  return durations;
}

function isSet(lines: readonly MonitorLine[], address: string): boolean {
  return lines.some(({ text }) => text.startsWith('[ADDR]') && text.includes(` ${address}/`));
}

function durationOf(lines: readonly MonitorLine[]): number {
  const link = lines.find(({ text }) => text.startsWith('[LINK]') && text.includes(' eth1'));
  const last = lines.findLast(({ text }) => text.startsWith('[ADDR]') && text.includes(' inet '));
  return (last?.at ?? Number.NaN) - (link?.at ?? Number.NaN);
}

async function measureScript(lab: Lab, script: string): Promise<readonly number[]> {
  const { mac } = await lab.attachEni({ addresses: ADDRESSES });
  await lab.vm.run('ip', ['address', 'add', `${IMDS_ADDRESS}/32`, 'dev', 'lo']);
  const service = lab.vm.start({
    name: 'the metadata service of EC2',
    command: [process.execPath, '--import', 'tsx', IMDS, IMDS_ADDRESS, mac, ...ADDRESSES],
  });
  await until({
    what: 'it listens',
    read: () => service.stdout,
    holds: (text) => text.includes('listening'),
  });
  const library = path.join(path.dirname(script), '../share/amazon-ec2-net-utils');
  const durations: number[] = [];
  for (let count = 0; count < REPEATS; count += 1) {
    // It waits without an end for a link that it does not see.
    const args = ['60', 'unshare', '--mount', 'sh', '-c', RUN_SCRIPT, 'script', script, library];
    const { stdout } = await lab.vm.run('timeout', args);
    const [rules, ns] = stdout.trim().split('\n').slice(-2);
    if (Number(rules) !== ADDRESSES.length) throw new Error(`running ${script}: it wrote ${rules} rules`);
    durations.push(Number(ns) / NS_PER_MS);
  }
  await service.end('SIGTERM');
  await lab.vm.run('ip', ['address', 'del', `${IMDS_ADDRESS}/32`, 'dev', 'lo']);
  await lab.detachEni(mac);
  return durations;
}
