/** packaging/cloud-init by the real cloud-init and dnf, on a VM with a real systemd, with the RPM. As root alone. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { bootSystemd } from '../lab/service-manager.ts';
import { inSync, waitForAddresses } from '../lab/settled.ts';
import { findTool } from '../lab/tools.ts';
import { METADATA_ADDRESS } from '../lab/topology.ts';
import type { Vm } from '../lab/vm.ts';
import { bootImage, buildImagePackage } from './image.ts';
import { packageFile, ROOT } from './packages.ts';

const USER_DATA = path.join(ROOT, 'packaging/cloud-init/user-data.yaml');
const PACKAGE = 'eni-agent-standalone';
/** Below which Debian's package is unpacked; it is installed nowhere. */
const PROGRAM = path.resolve(findTool('cloud-init') ?? '', '../..');
const LIBRARIES = 'lib/python3/dist-packages';
const CONFIG = '/etc/eni-agent/config.yaml';
const ADDRESSES = ['10.0.1.4', '10.0.1.5'];
const REPOSITORY = '/var/repository';
/** As CentOS has it, as far as the modules go that read our user data; the order is that of its cloud.cfg. */
const CLOUD_CONFIG = `datasource_list: [NoCloud]
network: { config: disabled }
cloud_init_modules: [write-files]
cloud_config_modules: [yum-add-repo, runcmd]
cloud_final_modules: [package-update-upgrade-install, scripts-user]
system_info: { distro: centos }
`;
const STAGES = [['init', '--local'], ['init'], ['modules', '--mode=config'], ['modules', '--mode=final']];

async function checkSchema(file: string): Promise<{ readonly exitCode: number; readonly text: string }> {
  const env = { PYTHONPATH: path.join(PROGRAM, LIBRARIES) };
  const args = ['schema', '--config-file', file];
  const { exitCode = -1, all } = await execa('cloud-init', args, { env, reject: false, all: true });
  return { exitCode, text: all };
}

test('cloud-init finds nothing wrong with the user data, and would', async () => {
  const lab = await openLab();
  expect(await checkSchema(USER_DATA)).toEqual({ exitCode: 0, text: `Valid cloud-config: ${USER_DATA}` });
  const broken = lab.vm.path('/broken.yaml');
  await writeFile(
    broken,
    (await readFile(USER_DATA, 'utf8')).replace('permissions: "0644"', 'permissions: 0644'),
  );
  const { exitCode, text } = await checkSchema(broken);
  expect(exitCode).toBe(1);
  expect(text).toContain('write_files.0.permissions');
});

/** Where the package comes from and who signs it is the operator's. */
async function seed(vm: Vm): Promise<void> {
  const folder = vm.path('/var/lib/cloud/seed/nocloud');
  for (const each of [folder, vm.path('/etc/cloud'), vm.path('/opt'), vm.path(REPOSITORY)])
    await mkdir(each, { recursive: true });
  await vm.run('cp', ['-R', PROGRAM, vm.path('/opt/cloud-init')]);
  await writeFile(vm.path('/etc/cloud/cloud.cfg'), CLOUD_CONFIG);
  await copyFile(packageFile(PACKAGE), vm.path(`${REPOSITORY}/package.rpm`));
  await execa('createrepo_c', ['--quiet', vm.path(REPOSITORY)]);
  const shipped = await readFile(USER_DATA, 'utf8');
  const text = shipped
    .replace(/baseurl: .*/, `baseurl: file://${REPOSITORY}`)
    .replace('gpgcheck: true', 'gpgcheck: false')
    .replace(
      '      interfaces:',
      `      metadata: { endpoint: http://${METADATA_ADDRESS}, fallbackEndpoints: [] }\n      interfaces:`,
    );
  await writeFile(path.join(folder, 'user-data'), text);
  await writeFile(path.join(folder, 'meta-data'), `instance-id: ${vm.instanceId}\n`);
}

test('a first boot with the user data: the agent is installed, goes by that configuration, and comes back at the next boot', async () => {
  const lab = await openLab();
  const { vm } = lab;
  const eni = await lab.attachEni({ addresses: ADDRESSES });
  await seed(vm);
  const manager = await bootImage(vm, await buildImagePackage(PACKAGE));
  for (const stage of STAGES) {
    const environment = [`PYTHONPATH=/opt/cloud-init/${LIBRARIES}`, 'LC_ALL=C.UTF-8'];
    await manager.run('env', ...environment, '/opt/cloud-init/bin/cloud-init', ...stage);
  }
  await manager.waitForStatus(inSync(lab.primary.mac, eni.mac));
  expect((await manager.run('rpm', '-q', PACKAGE)).stdout).toMatch(new RegExp(`^${PACKAGE}-`));
  expect(await vm.readFile(CONFIG)).toContain(`endpoint: http://${METADATA_ADDRESS}`);
  expect(existsSync(vm.path(`${CONFIG}.rpmnew`))).toBe(true);
  expect((await vm.run('ip', ['link', 'show', 'eth1'])).stdout).toContain('mtu 8500');
  await manager.end();
  await vm.run('ip', ['address', 'flush', 'dev', 'eth1']);

  const next = await bootSystemd(vm, { packaged: true });
  onTestFinished(() => next.end());
  await next.waitForStatus(inSync(lab.primary.mac, eni.mac));
  await waitForAddresses(vm, 'eth1', ADDRESSES);
});
