/** The units, checked by systemd itself on copies whose programs are there; nothing is started. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { addressRange } from '../lab/topology.ts';

const UNITS = path.join(import.meta.dirname, '../../systemd');
const CLI = path.join(import.meta.dirname, '../../dist/cli.js');
const DAEMON = 'eni-agent.service';
const BOOT = 'eni-agent-boot.service';

/** Of 10, by `systemd-analyze security` 252: the daemon has 2.0, the one shot 1.8. A process of root without a sandbox has 9.6. */
const MAX_EXPOSURE = 2;

/** A folder with both units, and the drop-ins of old systemd in place. */
async function copyUnits(dropIns: Readonly<Record<string, readonly string[]>> = {}): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-units-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const unit of [DAEMON, BOOT]) {
    const text = await readFile(path.join(UNITS, unit), 'utf8');
    await writeFile(
      path.join(folder, unit),
      text.replaceAll(/=\/(?:usr\/)?bin\/(?:eni-agent|kill)/g, '=/bin/true'),
    );
  }
  for (const [unit, names] of Object.entries(dropIns)) {
    await mkdir(path.join(folder, `${unit}.d`));
    for (const name of names) await copyFile(path.join(UNITS, name), path.join(folder, `${unit}.d`, name));
  }
  return folder;
}

function verify(folder: string): Promise<{ exitCode?: number | undefined; stderr: string }> {
  const files = [DAEMON, BOOT].map((unit) => path.join(folder, unit));
  return execa('systemd-analyze', ['verify', ...files], { reject: false });
}

describe('systemd-analyze', () => {
  test.each([
    ['the units', {}],
    ['the units of CentOS 8', { [DAEMON]: ['50-before-246.conf'] }],
    [
      'the units of CentOS 7',
      { [DAEMON]: ['50-before-235.conf', '50-before-246.conf'], [BOOT]: ['50-before-235.conf'] },
    ],
  ])('has nothing to say about %s', async (_, dropIns) => {
    expect(await verify(await copyUnits(dropIns))).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('would have', async () => {
    const folder = await copyUnits();
    await writeFile(path.join(folder, BOOT), '[Service]\nType=oneshot\nExecStrat=/bin/true\n');
    expect((await verify(folder)).stderr).toContain('ExecStrat');
  });

  test.each([DAEMON, BOOT])('finds little that %s is exposed to', async (unit) => {
    const folder = await copyUnits();
    const { stdout } = await execa('systemd-analyze', [
      'security',
      '--no-pager',
      '--offline=true',
      path.join(folder, unit),
    ]);
    const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    expect(Number(exposure)).toBeGreaterThan(0);
    expect(Number(exposure)).toBeLessThanOrEqual(MAX_EXPOSURE);
  });
});

test('the capability and the umask of the units are enough for all that a run does', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: addressRange('10.0.1.4', 3) });
  const dropping = ['--bounding-set=-all,+net_admin', '--no-new-privs', '--'];
  const agent = (args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> =>
    lab.vm.tryRun('sh', [
      '-c',
      'umask 077; exec "$@"',
      'sh',
      'setpriv',
      ...dropping,
      process.execPath,
      CLI,
      '--root',
      lab.vm.root,
      ...args,
    ]);
  expect(await agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await agent(['plan', '--check'])).toMatchObject({ exitCode: 0, stderr: '' });
});
