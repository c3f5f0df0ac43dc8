/** What files tell of the distribution. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Distribution } from '../../../src/model/host.ts';
import { observeDistribution } from '../../../src/observe/distribution.ts';
import { createPaths } from '../../../src/system/paths.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

let root: string;
beforeEach(async () => {
  root = await makeFolder();
});
afterEach(() => removeFolder(root));

const NOTHING: Distribution = {
  hasScriptsFolder: false,
  hasNetworkScripts: false,
  isNetworkServiceEnabled: false,
  networkManager: null,
  release: null,
};
const IFUP = '/etc/sysconfig/network-scripts/ifup-eth';
const NM = '/usr/sbin/NetworkManager';
const PLUGIN = 'libnm-settings-plugin-ifcfg-rh.so';
const ENABLED = '/etc/systemd/system/multi-user.target.wants/NetworkManager.service';

/** A text makes a file, `→ target` a symbolic link. */
type Tree = Readonly<Record<string, string>>;

async function make(tree: Tree): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    if (content.startsWith('→ ')) await symlink(content.slice(2), file);
    else await writeFile(file, content);
  }
}

test.each<readonly [string, Tree, Partial<Distribution>]>([
  ['an empty root', {}, {}],
  [
    'CentOS 7',
    {
      [IFUP]: '',
      '/etc/rc.d/rc3.d/S10network': '→ ../init.d/network',
      '/etc/os-release': 'NAME="CentOS Linux"\nID="centos"\nVERSION_ID="7"\n',
    },
    { hasScriptsFolder: true, hasNetworkScripts: true, isNetworkServiceEnabled: true, release: 7 },
  ],
  [
    'CentOS 8',
    {
      [NM]: '',
      [`/usr/lib64/NetworkManager/1.40.16-1.el8/${PLUGIN}`]: '',
      [ENABLED]: '→ /usr/lib/systemd/system/NetworkManager.service',
      '/etc/os-release': 'ID="rocky"\nVERSION_ID="8.10"\nPLATFORM_ID="platform:el8"\n',
    },
    { networkManager: { version: '1.40.16', readsIfcfg: true, isInUse: true }, release: 8 },
  ],
  [
    'Debian, whose NetworkManager runs',
    {
      [NM]: '',
      '/usr/lib/x86_64-linux-gnu/NetworkManager/1.42.4/libnm.so': '',
      '/run/NetworkManager/x': '',
      '/etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
    },
    { networkManager: { version: '1.42.4', readsIfcfg: false, isInUse: true } },
  ],
  [
    'NetworkManager that is masked',
    { [NM]: '', [ENABLED]: '→ x', '/etc/systemd/system/NetworkManager.service': '→ /dev/null' },
    { networkManager: { version: null, readsIfcfg: false, isInUse: false } },
  ],
  [
    'network.service that is off',
    { [IFUP]: '', '/etc/rc.d/rc3.d/K90network': '' },
    { hasScriptsFolder: true, hasNetworkScripts: true },
  ],
  ['files where folders should be', { '/etc/rc.d': '', '/usr/sbin': '', '/etc/sysconfig': '' }, {}],
])('of %s', async (_, tree, expected) => {
  await make(tree);
  expect(observeDistribution(createPaths(root))).toEqual({ ...NOTHING, ...expected });
});
