/** The same packages again, in another folder, at another time: byte for byte. */
import { copyFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { OWN_ARCHITECTURE, packageFile, ROOT, VARIANTS } from './packages.ts';

/** Packing a Node takes a minute of a core. */
const DEADLINE_MS = 600_000;
/** Not copied: made anew, or large and not changed. */
const LEFT_OUT = ['.git', 'dist', 'node_modules', 'packages'];

test.each(VARIANTS)(
  '%s is built with the same bytes by whoever builds it',
  async (variant) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-again-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const checkout = path.join(folder, 'checkout');
    await cp(ROOT, checkout, {
      recursive: true,
      filter: (from) => !LEFT_OUT.includes(path.relative(ROOT, from)),
    });
    await mkdir(path.join(checkout, 'node_modules'));
    const first = packageFile(variant);
    const { stdout: epoch } = await execa('rpm', ['-qp', '--qf', '%{BUILDTIME}', first]);
    const node = variant === 'eni-agent-standalone' ? ['--node', await takeNode(first, folder)] : [];
    const options = ['--only', variant, '--arch', OWN_ARCHITECTURE, '--out', folder, ...node];
    // Not a link: the bundle would have other names of the modules in it.
    const mounted = 'mount --bind "$0" node_modules && exec "$@"';
    const command = [
      'sh',
      '-c',
      mounted,
      path.join(ROOT, 'node_modules'),
      'npm',
      'run',
      'package',
      '--',
      ...options,
    ];
    await execa('unshare', ['--mount', ...command], {
      cwd: checkout,
      env: { SOURCE_DATE_EPOCH: epoch, TMPDIR: folder, TZ: 'Asia/Shanghai' },
    });
    const again = await readFile(path.join(folder, path.basename(first)));
    expect(again.equals(await readFile(first))).toBe(true);
  },
  DEADLINE_MS,
);

/** Out of the package, laid out as Node's project does: there is no network here. */
async function takeNode(file: string, folder: string): Promise<string> {
  await execa('sh', ['-c', 'rpm2cpio "$0" | cpio --quiet -id', file], { cwd: folder });
  await mkdir(path.join(folder, 'node/bin'), { recursive: true });
  await copyFile(
    path.join(folder, 'usr/share/licenses/eni-agent/LICENSE.node'),
    path.join(folder, 'node/LICENSE'),
  );
  await copyFile(path.join(folder, 'usr/lib/eni-agent/bin/node'), path.join(folder, 'node/bin/node'));
  return path.join(folder, 'node/bin/node');
}
