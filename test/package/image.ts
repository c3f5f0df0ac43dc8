/** What a CentOS image has that the VMs of the lab have not, so that a real dnf installs our package: a database that provides what it requires. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { bootSystemd, type ServiceManager } from '../lab/service-manager.ts';
import type { Vm } from '../lab/vm.ts';
import { packageFile, type VARIANTS } from './packages.ts';

/** Debian's own is in the home folder. */
const MACROS = '%_dbpath /var/lib/rpm\n';

/** An empty package in the place of the distribution's: glibc, libstdc++, nodejs, systemd. Returns its file; until the test ends. */
export async function buildImagePackage(variant: (typeof VARIANTS)[number]): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-image-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { stdout } = await execa('rpm', ['-qp', '--requires', packageFile(variant)]);
  const required = stdout.split('\n').filter((line) => !/^(rpmlib|config)\(/.test(line));
  const spec = `Name: image
Version: 1
Release: 1
Summary: What the packages of a distribution provide
License: MIT
BuildArch: noarch
${required.map((line) => `Provides: ${line.replace('>=', '=')}`).join('\n')}
%description
Nothing else.
%files
`;
  await writeFile(path.join(folder, 'image.spec'), spec);
  const defines = [`_topdir ${folder}`, `_rpmdir ${folder}`].flatMap((each) => ['--define', each]);
  await execa('rpmbuild', ['-bb', '--quiet', ...defines, path.join(folder, 'image.spec')]);
  return path.join(folder, 'noarch/image-1-1.noarch.rpm');
}

/** A VM with rpm, dnf and systemd, on which nothing of ours is. */
export async function bootImage(vm: Vm, imagePackage: string): Promise<ServiceManager> {
  for (const folder of ['/etc/rpm', '/etc/dnf']) await mkdir(vm.path(folder), { recursive: true });
  await writeFile(vm.path('/etc/rpm/macros'), MACROS);
  await vm.run('cp', [imagePackage, vm.path('/var/image.rpm')]);
  const manager = await bootSystemd(vm, { packaged: true });
  onTestFinished(() => manager.end());
  await manager.run('rpm', '-i', '/var/image.rpm');
  return manager;
}
