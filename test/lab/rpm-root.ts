/** A root file system with an rpm database, a shell and the C library, in which packages are installed with their scriptlets. */
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';

/** What the scriptlets and the program's own script call, and two programs whose libraries are those of a Node. */
const PROGRAMS = ['cp', 'rm', 'sh', 'touch'];
const LIBRARIES_OF = ['/usr/bin/rpm', process.execPath];
/** Says which version it is, and writes down what it is asked for. */
const SYSTEMCTL =
  '#!/bin/sh\ncase $1 in --version) read -r version < /version; echo "$version" ;; *) echo "$*" >> /calls ;; esac\n';
/** In one transaction, as `dnf swap` does it: rpm has no command for that. */
const SWAP = `
import os, rpm, sys
root, new, old = sys.argv[1:]
transaction = rpm.TransactionSet(root)
opened = {}
def answer(what, amount, total, key, data):
    if what == rpm.RPMCALLBACK_INST_OPEN_FILE:
        opened[key] = os.open(key, os.O_RDONLY)
        return opened[key]
    if what == rpm.RPMCALLBACK_INST_CLOSE_FILE:
        os.close(opened.pop(key))
with open(new) as package:
    transaction.addInstall(transaction.hdrFromFdno(package.fileno()), new, 'i')
transaction.addErase(old)
transaction.order()
problems = transaction.run(answer, '')
sys.exit(str(problems) if problems else 0)
`;

export interface RpmRoot {
  path(file: string): string;
  /** What systemctl has been asked for since the last time. */
  calls(): Promise<readonly string[]>;
  /** Another version from now on. */
  becomeSystemd(version: number): Promise<void>;
  /** Throws with what rpm says. */
  rpm(...args: readonly string[]): Promise<string>;
  swap(options: { install: string; erase: string }): Promise<void>;
  /** A program of this root, with /proc and /sys; in the network of `namespace` where one is named. */
  run(
    command: readonly string[],
    namespace?: string,
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

export async function openRpmRoot({ systemd }: { systemd: number }): Promise<RpmRoot> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'eni-rpm-root-'));
  onTestFinished(() => rm(root, { recursive: true }));
  await chmod(root, 0o755);
  const inRoot = (file: string): string => path.join(root, file);
  await furnish(root);
  const becomeSystemd = async (version: number): Promise<void> => {
    await writeFile(inRoot('version'), `systemd ${version} (${version}-1.el8)\n`);
    await rpm('-U', await buildStandIn(version, root));
  };
  const rpm = async (...args: readonly string[]): Promise<string> =>
    (await execa('rpm', ['--root', root, ...args])).stdout;
  await becomeSystemd(systemd);
  return {
    path: inRoot,
    becomeSystemd,
    rpm,
    calls: async () => {
      const text = await readFile(inRoot('calls'), 'utf8');
      await writeFile(inRoot('calls'), '');
      return text.split('\n').filter((line) => line !== '');
    },
    swap: async ({ install, erase }) => {
      await execa('/usr/bin/python3', ['-c', SWAP, root, install, erase]);
    },
    run: async (command, namespace) => {
      const enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`];
      const mounts = 'mount --rbind /proc "$0/proc" && mount --rbind /sys "$0/sys" && exec chroot "$0" "$@"';
      const [file = '', ...args] = [...enter, 'unshare', '--mount', 'sh', '-c', mounts, root, ...command];
      const env = { PATH: process.env['PATH'] ?? '' };
      const { exitCode, stdout, stderr } = await execa(file, args, { reject: false, extendEnv: false, env });
      return { exitCode: exitCode ?? -1, stdout, stderr };
    },
  };
}

async function furnish(root: string): Promise<void> {
  for (const folder of [
    'bin',
    'dev',
    'etc',
    'proc',
    'run/systemd/system',
    'sys',
    'tmp',
    'usr/bin',
    'var/lib/rpm',
  ])
    await mkdir(path.join(root, folder), { recursive: true, mode: 0o755 });
  const { stdout } = await execa('sh', ['-c', PROGRAMS.map((name) => `command -v ${name}`).join('\n')]);
  const programs = stdout.split('\n');
  for (const program of programs) await copyFile(program, path.join(root, 'bin', path.basename(program)));
  const { stdout: linked } = await execa('ldd', [...programs, ...LIBRARIES_OF]);
  for (const library of new Set(linked.match(/(?<=\s)\/\S+(?= \(0x)/g))) {
    await mkdir(path.join(root, path.dirname(library)), { recursive: true, mode: 0o755 });
    await copyFile(library, path.join(root, library));
  }
  await writeFile(path.join(root, 'bin/systemctl'), SYSTEMCTL, { mode: 0o755 });
  await writeFile(path.join(root, 'calls'), '');
}

/** A package of that name and version with nothing in it. */
async function buildStandIn(version: number, root: string): Promise<string> {
  const spec = path.join(root, 'tmp/systemd.spec');
  const head = `Name: systemd\nVersion: ${version}\nRelease: 1\nSummary: none\nLicense: none\nBuildArch: noarch\n`;
  await writeFile(spec, `${head}%description\n%files\n`);
  const macros = { _topdir: `${root}/tmp`, _rpmdir: `${root}/tmp`, _rpmfilename: `systemd-${version}.rpm` };
  const definitions = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  await execa('rpmbuild', ['-bb', '--quiet', ...definitions, spec]);
  return `${root}/tmp/systemd-${version}.rpm`;
}
