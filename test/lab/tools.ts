/** The programs that the tests on a real kernel call, and the Debian packages they come in. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const PACKAGES = {
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  'iptables-nft': 'iptables',
  'iptables-legacy': 'iptables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  strace: 'strace',
  ping: 'iputils-ping',
  'systemd-analyze': 'systemd',
  keepalived: 'keepalived',
  udevadm: 'udev',
  NetworkManager: 'network-manager',
  nmcli: 'network-manager',
  'dbus-daemon': 'dbus-daemon',
  dnsmasq: 'dnsmasq-base',
  jq: 'jq',
  prometheus: 'prometheus',
  'prometheus-node-exporter': 'prometheus-node-exporter',
  promtool: 'prometheus',
  tmux: 'tmux',
  dot: 'graphviz',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  'ansible-playbook': 'ansible-core',
  dnf: 'dnf',
  createrepo_c: 'createrepo-c',
  'cloud-init': 'cloud-init',
} as const;

/** Left out where there are no namespaces to run them in. */
export const KERNEL_TESTS = 'test/netns/**';

export type Tool = keyof typeof PACKAGES;

const NETWORK_MANAGER_TEST = 'test/netns/network-manager.test.ts';
const JOURNAL_TEST = 'test/netns/journal.test.ts';
const MONITORING_TEST = 'test/netns/monitoring.test.ts';
const PACKAGE_LIFE = 'test/package/life.test.ts';
const ANSIBLE_TEST = 'test/package/ansible.test.ts';
const CLOUD_INIT_TEST = 'test/package/cloud-init.test.ts';

/** Without these, all tests but those of these files run. */
const NEEDED_BY: Partial<Record<Tool, readonly string[]>> = {
  'iptables-nft': ['test/netns/forwarded-iptables.test.ts'],
  'iptables-legacy': ['test/netns/forwarded-iptables.test.ts'],
  keepalived: ['test/netns/keepalived.test.ts'],
  udevadm: ['test/netns/systemd-udev.test.ts', PACKAGE_LIFE],
  NetworkManager: [NETWORK_MANAGER_TEST],
  nmcli: [NETWORK_MANAGER_TEST, 'test/netns/network-manager-keyfiles.test.ts'],
  'dbus-daemon': [NETWORK_MANAGER_TEST],
  dnsmasq: [NETWORK_MANAGER_TEST],
  jq: [JOURNAL_TEST],
  prometheus: [MONITORING_TEST],
  'prometheus-node-exporter': [MONITORING_TEST],
  promtool: ['test/unit/metrics/promtool.test.ts', MONITORING_TEST],
  tmux: ['test/netns/watch.test.ts'],
  dot: ['test/netns/graph.test.ts', 'test/netns/docs.test.ts'],
  sshd: [ANSIBLE_TEST],
  'ssh-keygen': [ANSIBLE_TEST],
  'ansible-playbook': [ANSIBLE_TEST],
  dnf: [ANSIBLE_TEST, CLOUD_INIT_TEST],
  createrepo_c: [CLOUD_INIT_TEST],
  'cloud-init': [CLOUD_INIT_TEST],
};

/** Those that boot systemd (systemd-as-init.sh). */
export const SYSTEMD_TESTS: readonly string[] = [
  'test/netns/hooks.test.ts',
  JOURNAL_TEST,
  'test/netns/metrics-sandbox.test.ts',
  'test/netns/systemd-as-init.test.ts',
  'test/netns/systemd-boot.test.ts',
  'test/netns/systemd-udev.test.ts',
  PACKAGE_LIFE,
  ANSIBLE_TEST,
  CLOUD_INIT_TEST,
];

export interface MissingTool {
  readonly tool: Tool;
  readonly package: string;
  /** A file of tests that needs it; undefined when all do. */
  readonly testFile: string | undefined;
}

/** Its file, undefined when it is not there. */
export function findTool(tool: string): string | undefined {
  const files = (process.env['PATH'] ?? '').split(':').map((folder) => path.join(folder, tool));
  return files.find((file) => isExecutable(file));
}

export function missingTools(): readonly MissingTool[] {
  return (Object.keys(PACKAGES) as Tool[])
    .filter((tool) => findTool(tool) === undefined)
    .flatMap((tool) =>
      (NEEDED_BY[tool] ?? [undefined]).map((testFile) => ({ tool, package: PACKAGES[tool], testFile })),
    );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
