/** VMs that somebody broke: `doctor` names the cause and nothing else, and its fix, typed as it is printed, mends it. */
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { CheckId, Diagnosis } from '../../src/doctor/judge.ts';
import type { Daemon } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { typeIn } from '../lab/operator.ts';
import { inSync } from '../lab/settled.ts';
import { addContainer, PUBLISHED_PORT } from '../lab/surroundings.ts';
import { METADATA_ADDRESS, METADATA_PORT } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { CONNECT_DEADLINE_MS, type Vm } from '../lab/vm.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';

interface Examined {
  readonly exitCode: number | null;
  readonly diagnosis: Diagnosis;
}

async function examine(vm: Vm): Promise<Examined> {
  const { exitCode, stdout, stderr } = await vm.agent(['doctor', '--json']);
  expect(stderr).toBe('');
  return { exitCode, diagnosis: JSON.parse(stdout) as Diagnosis };
}

/** Hints are about the machine that runs the tests: the age of its Node, its size. */
function idsOf({ findings }: Diagnosis): readonly string[] {
  return findings.filter(({ severity }) => severity !== 'hint').map(({ id }) => id);
}

/** Two NICs, a daemon, all in sync. */
async function openHealthyLab({ config, ipv6 = false }: Pick<Fault, 'config' | 'ipv6'>): Promise<{
  lab: Lab;
  daemon: Daemon;
}> {
  const lab = await openLab({ ipv6 });
  const eni = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const daemon = await lab.vm.startDaemon(config === undefined ? {} : { config });
  await daemon.waitForStatus(inSync(lab.primary.mac, eni.mac));
  return { lab, daemon };
}

async function type(vm: Vm, command: string): Promise<void> {
  const { exitCode, output } = await typeIn(vm, command);
  expect({ exitCode, output }, command).toMatchObject({ exitCode: 0 });
}

interface Fault {
  readonly id: CheckId;
  readonly what: string;
  readonly config?: string;
  readonly ipv6?: boolean;
  readonly break: (lab: Lab) => Promise<unknown>;
  /** How many findings of this id; default 1. */
  readonly count?: number;
  /** What the evidence has to have in it. */
  readonly evidence: RegExp;
  /** Whether what it breaks works. */
  readonly works?: (lab: Lab) => Promise<boolean>;
}

const ip =
  (...lines: readonly string[]) =>
  async ({ vm }: Lab): Promise<void> => {
    for (const line of lines) await vm.run('ip', line.split(' '));
  };

const write =
  (path: string, content: string, mode = 0o644) =>
  async ({ vm }: Lab): Promise<void> => {
    const file = vm.path(path);
    await mkdir(file.slice(0, file.lastIndexOf('/')), { recursive: true, mode: 0o755 });
    await writeFile(file, content);
    await chmod(file, mode);
  };

/** As any program asks, from no address of its own choice. */
async function reachesMetadata(lab: Lab): Promise<boolean> {
  const probe = { from: 'vm', to: METADATA_ADDRESS, port: METADATA_PORT } as const;
  return (await lab.probe({ ...probe, protocol: 'http', timeoutMs: CONNECT_DEADLINE_MS })).outcome === 'ok';
}

const FAULTS: readonly Fault[] = [
  {
    id: 'second-default',
    what: 'a second default route that wins',
    break: ip('route add default via 10.0.1.1 dev eth1 metric 50'),
    evidence: /default via 10\.0\.1\.1 dev eth1 metric 50/,
    works: reachesMetadata,
  },
  {
    id: 'second-default',
    what: 'a second default route that loses, of IPv6 as well',
    ipv6: true,
    break: ip(
      'route add default via 10.0.1.1 dev eth1 metric 500',
      'addr add 2001:db8:1::9/64 dev eth1 nodad',
      'route add default via fe80::feee:ffff:feff:ffff dev eth1 metric 200',
    ),
    count: 2,
    evidence: /default via fe80::feee:ffff:feff:ffff dev eth1 metric 200/,
  },
  {
    id: 'link-local',
    what: 'a zeroconf route, as ifup adds it',
    break: async (lab) => {
      await write(`${SCRIPTS}/ifup-eth`, '')(lab);
      await ip('route add 169.254.0.0/16 dev eth1 metric 1003')(lab);
    },
    evidence: /169\.254\.0\.0\/16 dev eth1 metric 1003/,
    works: reachesMetadata,
  },
  {
    id: 'metadata',
    what: 'a rule that leads to the metadata service by another NIC',
    break: ip(
      'route add default via 10.0.1.1 dev eth1 table 99',
      `rule add to ${METADATA_ADDRESS} lookup 99 priority 500`,
    ),
    evidence: /169\.254\.0\.23 leaves by eth1, and the primary NIC is eth0/,
  },
  {
    id: 'rp-filter',
    what: 'a strict filter on a VM that forwards',
    config: 'sysctl: { rpFilter: leave }\n',
    break: async ({ vm }) => {
      await mkdir(vm.path('/etc/sysctl.d'), { recursive: true });
      await vm.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
    },
    evidence: /eth1: all 1, own 1; it forwards/,
  },
  {
    id: 'published-ports',
    what: 'a published port',
    break: async (lab) => {
      await addContainer(lab);
      await until({
        what: 'the daemon has heard of the bridge',
        read: async () => (await lab.vm.run('ip', ['route', 'show', 'table', '21001'])).stdout,
        holds: (text) => text.includes('throw 172.17.0.0/16'),
      });
    },
    evidence: /dnat to 172\.17\.0\.2/,
    works: async (lab) =>
      (await lab.connect({ from: 'outside', to: '10.0.1.4', port: PUBLISHED_PORT })).outcome === 'ok',
  },
  {
    id: 'duplicate-address',
    what: 'an address that a neighbour has',
    break: async ({ vm }) => {
      await vm.run('sysctl', ['-q', '-w', 'net.ipv6.conf.eth1.accept_dad=1']);
      await ip('addr add 2001:db8:1::250/64 dev eth1')({ vm } as Lab);
      await until({
        what: 'the kernel knows that it is a duplicate',
        read: async () => (await vm.run('ip', ['-6', 'addr', 'show', 'dev', 'eth1'])).stdout,
        holds: (text) => text.includes('dadfailed'),
      });
    },
    evidence: /2001:db8:1::250\/64 dev eth1 dadfailed/,
  },
  {
    id: 'gateway',
    what: 'a gateway outside of the subnet, in a file of the primary',
    break: async ({ vm, primary }) => {
      const content = `DEVICE=eth0\nHWADDR=${primary.mac}\nONBOOT=yes\nIPADDR=10.0.0.4\nPREFIX=24\nGATEWAY=10.0.9.1\n`;
      await write(`${SCRIPTS}/ifcfg-em1`, content.replace('DEVICE=eth0\n', ''))({ vm } as Lab);
    },
    evidence: /GATEWAY=10\.0\.9\.1/,
  },
  {
    id: 'stale-file',
    what: 'the files of a NIC that is gone',
    break: async (lab) => {
      await write(`${SCRIPTS}/ifcfg-eth7`, 'DEVICE=eth7\nHWADDR=52:54:00:00:00:07\nONBOOT=yes\n')(lab);
      await write(`${SCRIPTS}/route-eth7`, 'default via 10.0.7.1 dev eth7 table 7\n')(lab);
    },
    evidence: /it is about eth7, 52:54:00:00:00:07/,
  },
  {
    id: 'table-names',
    what: 'two names for a table, two tables for a name, and a name for one of ours',
    break: write(
      '/etc/iproute2/rt_tables',
      '255\tlocal\n254\tmain\n10 t1\n10\tt2\n20 t3\n30 t3 # second\n21001 web\n',
    ),
    count: 3,
    evidence: /10\tt2/,
  },
  {
    id: 'other-agent',
    what: 'a rule of nic-hotplug, one of a package, and a timer',
    break: async (lab) => {
      const rule = 'SUBSYSTEM=="net", ACTION=="add", RUN+="/usr/local/nic-hotplug/hotplug.sh"\n';
      await write('/etc/udev/rules.d/80-nic.rules', rule)(lab);
      await write('/usr/lib/udev/rules.d/53-ec2-network-interfaces.rules', rule)(lab);
      const timer = '[Timer]\nOnBootSec=5min\n[Install]\nWantedBy=timers.target\n';
      await write('/usr/lib/systemd/system/nm-cloud-setup.timer', timer)(lab);
      await write('/usr/lib/systemd/system/nm-cloud-setup.service', '[Service]\nExecStart=/bin/true\n')(lab);
      await lab.vm.run('systemctl', [`--root=${lab.vm.root}`, 'enable', 'nm-cloud-setup.timer']);
    },
    count: 3,
    evidence: /timers\.target\.wants\/nm-cloud-setup\.timer/,
  },
  {
    id: 'cloud-init',
    what: 'a cloud-init that may write the network',
    break: async (lab) => {
      await write('/etc/cloud/cloud.cfg', 'users: [default]\n')(lab);
      await mkdir(lab.vm.path('/etc/cloud/cloud.cfg.d'));
    },
    evidence: /cloud\.cfg is there/,
  },
  {
    id: 'configuration',
    what: 'a configuration that others can write',
    break: ({ vm }) => chmod(vm.path('/etc/eni-agent/config.yaml'), 0o666),
    evidence: /mode 0666/,
  },
];

describe('a VM with', () => {
  test.each(FAULTS)('$what: $id', async ({ id, break: damage, count = 1, evidence, works, ...options }) => {
    const { lab } = await openHealthyLab(options);
    const { vm } = lab;
    const before = await examine(vm);
    expect(idsOf(before.diagnosis)).toEqual([]);
    expect(before.exitCode).toBe(0);

    await damage(lab);
    expect(await works?.(lab)).not.toBe(true);
    const snapshot = await vm.snapshot();
    const broken = await examine(vm);
    expect(idsOf(broken.diagnosis)).toEqual(Array.from({ length: count }, () => id));
    expect(broken.exitCode).toBe(3);
    const own = broken.diagnosis.findings.filter((finding) => finding.id === id);
    expect(own.flatMap((finding) => finding.evidence).join('\n')).toMatch(evidence);
    expect(await vm.snapshot()).toBe(snapshot);

    for (const command of own.flatMap(({ fix }) => fix)) await type(vm, command);
    const mended = await examine(vm);
    expect(mended.diagnosis).toEqual(before.diagnosis);
    expect(mended.exitCode).toBe(0);
    expect(await works?.(lab)).not.toBe(false);
  });

  test('a metadata service that does not answer: metadata', async () => {
    const { lab } = await openHealthyLab({});
    await lab.metadata.down();
    const { exitCode, diagnosis } = await examine(lab.vm);
    expect(exitCode).toBe(3);
    expect(idsOf(diagnosis)).toEqual(['metadata']);
    expect(diagnosis.findings[0]?.evidence.join()).toMatch(/ECONNREFUSED/);
  });

  test('a daemon that does not run, which is a hint where no unit says that it should', async () => {
    const { lab, daemon } = await openHealthyLab({});
    await daemon.stop();
    const { exitCode, diagnosis } = await examine(lab.vm);
    expect(exitCode).toBe(0);
    expect(diagnosis.findings.find(({ id }) => id === 'daemon')?.fix).toEqual([
      'systemctl enable --now eni-agent.service',
    ]);
  });
});

test('what cannot be looked at is unknown, and not among the checks that were made', async () => {
  const { lab } = await openHealthyLab({});
  const { diagnosis } = await examine(lab.vm);
  expect(diagnosis.unknown.map(({ id }) => id)).toEqual(['selinux']);
  expect(diagnosis.checked).not.toContain('selinux');
});

describe('a bundle', () => {
  const SECRET = 'hunter2';
  const KEYFILE = '/etc/NetworkManager/system-connections/eni-agent-eth9.nmconnection';

  /** In files that are the agent's by their first line; without a daemon, which would write them anew. */
  async function openWithSecrets(): Promise<Lab> {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4'] });
    expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(0);
    const ifcfg = `${SCRIPTS}/ifcfg-eth1`;
    const secrets = `PASSWORD=${SECRET}1\nWPA_PSK='${SECRET}2 ${SECRET}3'\nKEY_MGMT="x" ${SECRET}4\n`;
    await write(ifcfg, `${await lab.vm.readFile(ifcfg)}${secrets}`)(lab);
    const marker = '# Managed by eni-agent.\n[connection]\nid=eni-agent-eth9\n';
    await write(
      KEYFILE,
      `${marker}[802-1x]\nidentity=${SECRET}5\n[wifi-security]\npsk=${SECRET}6\n`,
      0o600,
    )(lab);
    await write('/etc/sysconfig/network-scripts/keys-eth1', `KEY=${SECRET}7\n`)(lab);
    return lab;
  }

  async function unpack(vm: Vm, file: string): Promise<{ names: readonly string[]; text: string }> {
    const folder = vm.path('/unpacked');
    await mkdir(folder);
    await vm.run('tar', ['-xzf', file, '-C', folder]);
    const { stdout } = await vm.run('find', [folder, '-type', 'f', '-printf', '%P\n']);
    const names = stdout.split('\n').toSorted();
    const texts = await Promise.all(names.map((name) => vm.readFile(`/unpacked/${name}`)));
    return { names, text: texts.join('\n') };
  }

  test('has what support needs, for root alone, and no secret', async () => {
    const lab = await openWithSecrets();
    const { vm } = lab;
    const file = vm.path('/support.tar.gz');
    const { exitCode, stderr, stdout } = await vm.agent(['doctor', '--bundle', file]);
    // As the lab wants them when it is closed.
    await rm(vm.path(KEYFILE));
    await vm.agent(['reconfigure']);
    // The files are not as the agent would write them.
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: '' });
    expect(stdout).toContain(`${file} is written`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { names, text } = await unpack(vm, file);
    const files = ['ifcfg-eth1', 'route-eth1', 'rule-eth1'].map((name) => `files${SCRIPTS}/${name}`);
    const kernel = ['addresses', 'links', 'routes', 'routes6', 'rules', 'rules6'].map(
      (name) => `kernel/${name}.txt`,
    );
    const documents = ['config', 'findings', 'state', 'status'].map((name) => `${name}.json`);
    const expected = [...documents, ...kernel, ...files, `files${KEYFILE}`, 'journal.txt', 'versions.txt'];
    expect(names).toEqual(expected.map((name) => `eni-agent-doctor/${name}`).toSorted());
    expect(text).not.toContain(SECRET);
    expect(text).toContain('PASSWORD=<removed>');
    expect(text).toContain('from 10.0.1.4 lookup 21001');
    expect(text).toMatch(/^IPADDR0?=10\.0\.1\.4$/m);
    for (const name of documents) JSON.parse(await vm.readFile(`/unpacked/eni-agent-doctor/${name}`));
  });

  test('replaces no file, and leaves nothing beside it', async () => {
    const lab = await openLab();
    const file = lab.vm.path('/support/file.tar.gz');
    await write('/support/file.tar.gz', 'mine')(lab);
    const { exitCode, stdout, stderr } = await lab.vm.agent(['doctor', '--bundle', file]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(`writing ${file}: it is there already, and is not replaced; name another file`);
    expect(await readdir(lab.vm.path('/support'))).toEqual(['file.tar.gz']);
    expect(await lab.vm.readFile('/support/file.tar.gz')).toBe('mine');
  });
});
