/** What is in the packages that `npm run package` has built, as rpm itself says. */
import { stat } from 'node:fs/promises';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { ARCHITECTURES, packageFile, ROOT, VARIANTS } from './packages.ts';

/** It unpacks two Nodes. */
const RPMLINT_DEADLINE_MS = 180_000;
const MEGABYTE = 1_000_000;
const GOALS = { 'eni-agent': 1.5 * MEGABYTE, 'eni-agent-standalone': 33 * MEGABYTE };
/** What rpm 4.11 of CentOS 7 can read. */
const READABLE = ['CompressedFileNames', 'FileDigests', 'PayloadFilesHavePrefix', 'PayloadIsXz'];
const ADDONS = { x86_64: 'linux-x64', aarch64: 'linux-arm64' };

async function query(file: string, ...options: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execa('rpm', ['-qp', ...options, file]);
  return stdout.split('\n').filter((line) => line !== '');
}

const ALL = VARIANTS.flatMap((variant) =>
  ARCHITECTURES.map((architecture) => ({ variant, architecture, file: packageFile(variant, architecture) })),
);

describe.each(ALL)('$variant for $architecture', ({ variant, architecture, file }) => {
  test('is as small as it should be, and CentOS 7 can read it', async () => {
    expect((await stat(file)).size).toBeLessThan(GOALS[variant]);
    const requires = await query(file, '--requires');
    const features = requires.flatMap((line) => /^rpmlib\((\w+)\)/.exec(line)?.[1] ?? []);
    expect(features.toSorted()).toEqual(READABLE);
    expect(await query(file, '--qf', '%{ARCH} %{PAYLOADCOMPRESSOR} %{BUILDHOST}\n')).toEqual([
      `${architecture} xz reproducible`,
    ]);
  });

  test('says what it needs, and that it is one of two', async () => {
    const requires = await query(file, '--requires');
    const provides = await query(file, '--provides');
    const isStandalone = variant === 'eni-agent-standalone';
    expect(requires.filter((line) => /node/.test(line))).toEqual(
      isStandalone ? [] : ['/usr/bin/node', 'nodejs(engine) >= 20.19'],
    );
    // The newest symbols decide on which release it can be installed: CentOS 8 has these.
    expect(requires.includes('libc.so.6(GLIBC_2.28)(64bit)')).toBe(isStandalone);
    expect(requires).toContain('libstdc++.so.6(GLIBCXX_3.4.21)(64bit)');
    expect(provides.some((line) => line.startsWith('bundled(nodejs) = 2'))).toBe(isStandalone);
    expect(provides.filter((line) => /\.so|\.node/.test(line))).toEqual([]);
    const other = VARIANTS.filter((name) => name !== variant);
    expect(await query(file, '--conflicts')).toEqual(other);
    expect(await query(file, '--obsoletes')).toEqual([]);
  });

  test('has one configuration file, which an upgrade leaves alone, and the addon of its architecture alone', async () => {
    expect(await query(file, '--configfiles')).toEqual(['/etc/eni-agent/config.yaml']);
    const flags = await query(file, '--qf', '[%{FILENAMES} %{FILEFLAGS:fflags}\n]');
    expect(flags).toContain('/etc/eni-agent/config.yaml cn');
    const files = await query(file, '--list');
    const addons = files.filter((name) => name.endsWith('.napi.node'));
    expect(addons).toEqual([
      `/usr/lib/eni-agent/node_modules/netlink/prebuilds/${ADDONS[architecture]}/node.napi.node`,
    ]);
    for (const name of [
      'sbom.cdx.json',
      'systemd.md',
      'README.md',
      'README.zh-CN.md',
      'CHANGELOG.md',
      'config.schema.json',
    ])
      expect(files).toContain(`/usr/share/doc/eni-agent/${name}`);
    expect(files).toContain('/usr/share/licenses/eni-agent/third-party-licenses.txt');
    for (const name of ['eni-agent.yml', 'roles/eni_agent/files/config.schema.json'])
      expect(files).toContain(`/usr/share/eni-agent/ansible/${name}`);
    expect(files).toContain('/usr/share/eni-agent/cloud-init/user-data.yaml');
  });

  test('has a folder for each event of hooks, empty', async () => {
    const files = await query(file, '--qf', '[%{FILEMODES:perms} %{FILENAMES}\n]');
    const events = ['address-added', 'address-removed', 'interface-attached', 'interface-detached'];
    expect(files.filter((line) => line.includes('/hooks.d'))).toEqual(
      ['', ...events.map((event) => `/${event}`)].map((rest) => `drwxr-xr-x /etc/eni-agent/hooks.d${rest}`),
    );
  });

  test('all belongs to root, and nobody else may write it', async () => {
    const modes = await query(
      file,
      '--qf',
      '[%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:perms} %{FILENAMES}\n]',
    );
    expect(modes.filter((line) => !/^root:root [-d]rw[-x]r-[-x]r-[-x] /.test(line))).toEqual([
      ...(variant === 'eni-agent' ? ['root:root lrwxrwxrwx /usr/lib/eni-agent/bin/node'] : []),
      'root:root drwx------ /var/lib/eni-agent',
    ]);
  });
});

test('no scriptlet touches the network, and what fails in one does not fail the transaction', async () => {
  for (const { file } of ALL) {
    const lines = await query(file, '--scripts', '--triggers');
    const scripts = lines.filter((line) => !line.startsWith('#'));
    expect(scripts.join('\n')).not.toMatch(
      /\b(ip|ifup|ifdown|nmcli|sysctl|udevadm|network|NetworkManager)\b/,
    );
    const calls = scripts.filter((line) => /\b(systemctl|cp|rm|touch) /.test(line));
    expect(calls.length).toBeGreaterThan(8);
    for (const call of calls) expect(call).toMatch(/\|\| :(; fi)?$/);
  }
});

test(
  'rpmlint has nothing to say but what packaging/rpmlint.toml explains',
  async () => {
    const files = ALL.map(({ file }) => file);
    const args = ['--config', 'packaging/rpmlint.toml', ...files, 'packaging/eni-agent.spec'];
    const { stdout } = await execa('rpmlint', args, { cwd: ROOT, reject: false });
    expect(stdout).toMatch(/ 0 errors, 0 warnings/);
  },
  RPMLINT_DEADLINE_MS,
);
