/**
 * What else takes part in the boot of a VM: stand-ins with the names and the ordering of the real units, whose programs do to the
 * kernel what matters here. They are ordered as the distributions order them (cloud-init by its templates, NetworkManager and
 * networkd by their packages, network.service as systemd makes it of the init script and its LSB header).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Vm } from './vm.ts';

/** Text by name of the unit. */
export type Units = Readonly<Record<string, string>>;

const SYSTEM = '/etc/systemd/system';
const IFUP = '/opt/ifup';
const WAITER_SAW = '/var/waiter-saw';

function oneshot(unit: string, command: string, wantedBy = 'multi-user.target'): string {
  return `[Unit]
${unit}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${command}
[Install]
WantedBy=${wantedBy}
`;
}

/** An activation that is under way takes away what it does not know. */
const ACTIVATION = `/bin/sh -c 'sleep 0.5; ip address flush dev eth1; sh ${IFUP}'`;

export const NETWORK_SERVICE: Units = {
  'network.service': oneshot(
    'Before=network.target\nWants=network.target\nAfter=NetworkManager-wait-online.service NetworkManager.service',
    ACTIVATION,
  ),
};

export const NETWORK_MANAGER: Units = {
  'NetworkManager.service': oneshot(
    'Wants=network.target\nAfter=network-pre.target dbus.service\nBefore=network.target',
    '/bin/true',
  ),
  'NetworkManager-wait-online.service': oneshot(
    'Requires=NetworkManager.service\nAfter=NetworkManager.service\nBefore=network-online.target',
    ACTIVATION,
    'network-online.target',
  ),
};

export const NETWORKD: Units = {
  'systemd-networkd.service': oneshot(
    'DefaultDependencies=no\nAfter=network-pre.target\nBefore=network.target multi-user.target\nWants=network.target',
    '/bin/true',
  ),
  'systemd-networkd-wait-online.service': oneshot(
    'DefaultDependencies=no\nRequires=systemd-networkd.service\nAfter=systemd-networkd.service\nBefore=network-online.target',
    ACTIVATION,
    'network-online.target',
  ),
};

function cloudInit(networkStage: string): Units {
  return {
    'cloud-init-local.service': oneshot(
      'DefaultDependencies=no\nWants=network-pre.target\nBefore=NetworkManager.service network.service network-pre.target',
      '/bin/true',
    ),
    'cloud-init.service': oneshot(`Wants=cloud-init-local.service\n${networkStage}`, '/bin/true'),
    'cloud-config.service': oneshot(
      'After=network-online.target cloud-init.service\nWants=network-online.target',
      '/bin/true',
    ),
  };
}

/** Its network stage is itself one of those that wait. */
export const OLD_CLOUD_INIT = cloudInit(
  'After=cloud-init-local.service network-online.target\nWants=network-online.target',
);
/** Its network stage is one of those that are waited for. */
export const CLOUD_INIT = cloudInit(
  'After=cloud-init-local.service systemd-networkd-wait-online.service NetworkManager.service network.service\nBefore=network-online.target',
);
/** Debian's: even before sysinit.target. */
export const EARLY_CLOUD_INIT = cloudInit(
  'DefaultDependencies=no\nAfter=cloud-init-local.service systemd-networkd-wait-online.service\nBefore=network-online.target sysinit.target',
);

/** Some service that needs the network: it writes down what it finds. */
const WAITER: Units = {
  'waiter.service': `[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip -o -4 address; ip rule'
StandardOutput=file:${WAITER_SAW}
[Install]
WantedBy=multi-user.target
`,
};

/** What ifup does with the files that the agent writes (fixtures/network-scripts), without the rest. */
const IFUP_SCRIPT = `cd /etc/sysconfig/network-scripts
for file in ifcfg-*; do (
  . ./$file
  [ "$BOOTPROTO" = none ] || exit 0
  ip link set $DEVICE up
  n=0
  while eval "address=\\$IPADDR$n prefix=\\$PREFIX$n"; [ -n "$address" ]; do
    ip address add $address/$prefix dev $DEVICE
    n=$((n + 1))
  done
  for kind in route rule; do
    [ ! -e $kind-$DEVICE ] || grep -v '^#' $kind-$DEVICE | while read -r line; do ip $kind add $line; done
  done
); done
true
`;

/** Before systemd is booted. */
export async function addUnits(vm: Vm, units: Units): Promise<void> {
  await mkdir(vm.path(SYSTEM), { recursive: true });
  await mkdir(vm.path('/opt'), { recursive: true });
  await writeFile(vm.path(IFUP), IFUP_SCRIPT);
  for (const [name, text] of Object.entries({ ...units, ...WAITER })) {
    await writeFile(vm.path(path.join(SYSTEM, name)), text);
    const [, wantedBy = ''] = /^WantedBy=(.*)$/m.exec(text) ?? [];
    const wants = vm.path(path.join(SYSTEM, `${wantedBy}.wants`));
    await mkdir(wants, { recursive: true });
    await vm.run('ln', ['-s', `../${name}`, path.join(wants, name)]);
  }
}

/** What the service that waits for the network found at its start. */
export async function whatWaiterSaw(vm: Vm): Promise<string> {
  return vm.readFile(WAITER_SAW);
}

/** The kernel forgets all but what the boot loader's DHCP gave: the primary's address and its route. Files stay. */
export async function forgetNetwork(vm: Vm): Promise<void> {
  const script = `for priority in 21000 21001; do
  while ip rule del priority $priority; do :; done
  ip route flush table $priority
done
ip address flush dev eth1
ip link set eth1 down
for address in $(ip -o -4 address show dev eth0 secondary | awk '{ print $4 }'); do ip address del $address dev eth0; done
rm -rf ${vm.path('/run')}/*
true`;
  await vm.run('sh', ['-c', script]);
}
