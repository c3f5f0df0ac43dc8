/** Every command that README and docs show is run: here, or by CI (.ci/run) where it is the run that this test is part of. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';

const ROOT = path.join(import.meta.dirname, '../..');

/** What CI or `npm test` is made of, and where that is said. */
const RUN_ELSEWHERE: Readonly<Record<string, { readonly file: string; readonly line: RegExp }>> = {
  'npm ci && npm run demo': { file: '.ci/run', line: /^npm ci$[^]*^npm run demo/m },
  'npm ci && npm run build': { file: 'test/run.ts', line: /\['run', '--silent', 'build'\]/ },
  'npm ci && npm test': { file: '.ci/run', line: /^npm ci$[^]*^npm test/m },
  'npm ci': { file: '.ci/run', line: /^npm ci$/m },
  'npm run check': { file: '.ci/run', line: /^npm run check$/m },
  'npm test': { file: '.ci/run', line: /^npm test/m },
  'npm test -- test/netns/lab.test.ts': { file: 'test/run.ts', line: /process\.argv\.slice\(2\)/ },
  'npm test -- --project unit': { file: 'test/run.ts', line: /isBare \? \['unit'\]/ },
  'ENI_TEST_SIZE=full npm test': { file: 'test/lab/settled.ts', line: /env\['ENI_TEST_SIZE'\] === 'full'/ },
  'npm audit --omit=dev': { file: '.ci/run', line: /^npm audit --omit=dev/m },
  'npm run package': { file: '.ci/run', line: /^npm run package /m },
  'npm run test:package': { file: '.ci/run', line: /&& npm run test:package /m },
  'npm run package && npm run test:package': {
    file: '.ci/run',
    line: /^npm run package && npm run test:package /m,
  },
  'checkmodule -M -m -o eni_agent.mod /usr/share/eni-agent/selinux/eni_agent.te': {
    file: 'test/package/selinux.test.ts',
    line: /checkmodule/,
  },
  'semodule_package -o eni_agent.pp -m eni_agent.mod -f /usr/share/eni-agent/selinux/eni_agent.fc': {
    file: 'test/package/selinux.test.ts',
    line: /semodule_package/,
  },
  'npm pack': { file: 'test/unit/third-party.test.ts', line: /execa\('npm', \['pack'/ },
  'npm run bench': { file: '.ci/run', line: /^npm run bench/m },
  'bash .ci/run': { file: '.ci/run', line: /^# .*bash \.ci\/run$/m },
};

async function read(file: string): Promise<string> {
  return readFile(path.join(ROOT, file), 'utf8');
}

function commandsIn(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) => block);
  const lines = blocks.flatMap((block) => block.split('\n'));
  return lines.map((line) => line.replace(/\s+#.*$/, '').trim()).filter((line) => line !== '');
}

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...(await readdir(path.join(ROOT, 'docs'), { recursive: true }))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
/** The commands of one page change the machine: see below. */
const INSTALLATION = 'docs/systemd.md';

test('every command of README and docs runs and exits 0', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const file = lab.vm.path('/new.yaml');
  await writeFile(file, 'routing: { primary: always }\n');
  const pages = await Promise.all(PAGES.filter((page) => page !== INSTALLATION).map(read));
  const commands = [...new Set(pages.flatMap(commandsIn))];
  const ours = commands.filter((command) => !(command in RUN_ELSEWHERE));
  expect(ours.length).toBeGreaterThan(15);
  for (const command of ours) {
    const [, args] = /^(?:eni-agent|node dist\/cli\.js) (.+)$/.exec(command) ?? [];
    expect(args, `${command}: neither the program nor run elsewhere`).toBeDefined();
    const { exitCode, stderr } = await lab.vm.agent((args ?? '').replace('FILE', file).split(' '));
    expect({ exitCode, stderr }, command).toEqual({ exitCode: 0, stderr: '' });
  }
});

test.each(Object.entries(RUN_ELSEWHERE))(
  '%s is run by CI or by the tests themselves',
  async (command, where) => {
    const pages = await Promise.all(PAGES.map(read));
    expect(pages.flatMap(commandsIn)).toContain(command);
    expect(await read(where.file)).toMatch(where.line);
  },
);

test('the commands of docs/systemd.md install a program and units that are enabled', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-install-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const name of ['usr/bin', 'usr/lib/systemd/system', 'usr/lib/udev/rules.d'])
    await mkdir(path.join(folder, name), { recursive: true });
  const commands = commandsIn(await read(INSTALLATION)).map((command) =>
    command
      .replaceAll(/ (?=\/(?:opt|usr)\/)/g, ` ${folder}`)
      .replace(/^systemctl enable/, `systemctl --root=${folder} enable`),
  );
  expect(commands.length).toBeGreaterThan(7);
  const script = [
    'set -e',
    ...commands,
    'echo INSTALLED',
    `${folder}/usr/bin/eni-agent --version`,
    `systemctl --root=${folder} is-enabled eni-agent.service eni-agent-boot.service`,
  ];
  // systemctl writes what is on disk and asks nobody to start anything.
  const { exitCode, stdout, stderr } = await execa('sh', ['-s'], {
    cwd: ROOT,
    input: script.join('\n'),
    env: { SYSTEMD_OFFLINE: '1' },
    reject: false,
  });
  expect({
    exitCode,
    stderr: stderr.replaceAll(
      /^(Created symlink|Running in chroot|Unit \S+ is added as a dependency to a non-existent unit).*\n?/gm,
      '',
    ),
  }).toEqual({
    exitCode: 0,
    stderr: '',
  });
  expect(stdout.slice(stdout.indexOf('INSTALLED'))).toMatch(/^INSTALLED\n\d+\.\d+\.\d+\nenabled\nenabled$/);
});

test('the configuration of the README is valid', async () => {
  const lab = await openLab();
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(await read('README.md')) ?? [];
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  const result = await lab.vm.agent(['plan'], { config: yaml });
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
});

test('the template of docs/configuration.md makes a file with a zone', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const [, template = ''] = /^```eta\n(.*?)^```/ms.exec(await read('docs/configuration.md')) ?? [];
  await lab.vm.run('mkdir', ['-m', '755', lab.vm.path('/etc/eni-agent/templates')]);
  await writeFile(lab.vm.path('/etc/eni-agent/templates/ifcfg.eta'), template, { mode: 0o644 });
  expect(await lab.vm.agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  const file = await lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth1');
  expect(file).toContain('\nZONE=internal\n');
  expect(file).toContain('\nIPADDR1=10.0.1.5\n');
});
