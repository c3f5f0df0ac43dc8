/** The commands that README and docs show, typed into a VM: all but those of test/lab/elsewhere.ts. */
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Daemon } from '../lab/daemon.ts';
import { commandsOf } from '../lab/doc-commands.ts';
import { isTypedInTheLab } from '../lab/elsewhere.ts';
import type { Lab } from '../lab/lab.ts';
import { ROOT, readPage, readPages } from '../lab/markdown.ts';
import { openLab } from '../lab/open-lab.ts';
import { typeIn } from '../lab/operator.ts';
import { inSync } from '../lab/settled.ts';

const TRANSLATION = 'README.zh-CN.md';
const PAGES = (await readPages()).filter(({ file }) => file !== TRANSLATION);

/** What does here what a command does there that is run elsewhere, so that the next ones find what they should. */
function standIns(lab: Lab): Readonly<Record<string, () => Promise<unknown>>> {
  let daemon: Daemon | undefined;
  const start = async (): Promise<void> => {
    daemon = await lab.vm.startDaemon();
    await daemon.waitForStatus(inSync());
  };
  const stop = async (): Promise<unknown> => daemon?.stop();
  return {
    'systemctl start eni-agent': start,
    'systemctl start eni-agent.service': start,
    'systemctl stop eni-agent': stop,
    'systemctl stop eni-agent.service': stop,
    'vi /root/new.yaml': () =>
      appendFile(lab.vm.path('/root/new.yaml'), 'interfaces: [{ match: { name: eth1 }, mtu: 1400 }]\n'),
  };
}

describe('the commands work and say nothing on stderr: those of', () => {
  test.each(PAGES.filter((page) => commandsOf(page).some(isTypedInTheLab)))('$file', async (page) => {
    const lab = await openLab();
    await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    const file = lab.vm.path('/root/config.yaml');
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, 'routing: { primary: always }\n');
    const instead = standIns(lab);
    for (const documented of commandsOf(page)) {
      const { command } = documented;
      await instead[command]?.();
      if (!isTypedInTheLab(documented)) continue;
      const typed = command.replace('node dist/cli.js', 'eni-agent').replace('FILE', file);
      const { exitCode, stderr } = await typeIn(lab.vm, typed);
      expect({ exitCode, stderr }, command).toEqual({ exitCode: 0, stderr: '' });
    }
  });
});

test('the commands of docs/systemd.md install a program and units that are enabled', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-install-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const name of ['usr/bin', 'usr/lib/systemd/system', 'usr/lib/udev/rules.d'])
    await mkdir(path.join(folder, name), { recursive: true });
  const documented = commandsOf(readPage('docs/systemd.md')).filter(
    ({ anchor }) => anchor === 'install-by-hand',
  );
  const commands = documented.map(({ command }) =>
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
  const yaml = readPage('README.md').blocks.find(({ language }) => language === 'yaml')?.text ?? '';
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  const result = await lab.vm.agent(['plan'], { config: yaml });
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
});

test('the template of docs/configuration.md makes a file with a zone', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const { blocks } = readPage('docs/configuration.md');
  const template = blocks.find(({ language }) => language === 'eta')?.text ?? '';
  await lab.vm.run('mkdir', ['-m', '755', lab.vm.path('/etc/eni-agent/templates')]);
  await writeFile(lab.vm.path('/etc/eni-agent/templates/ifcfg.eta'), template, { mode: 0o644 });
  expect(await lab.vm.agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  const file = await lab.vm.readFile('/etc/sysconfig/network-scripts/ifcfg-eth1');
  expect(file).toContain('\nZONE=internal\n');
  expect(file).toContain('\nIPADDR1=10.0.1.5\n');
});
