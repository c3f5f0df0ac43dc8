/** The disk of one VM of the lab as that of another one. */
import type { Vm } from './vm.ts';

/** Everything but ifcfg-eth0, which cloud-init writes anew in every VM. */
export async function cloneDisk(golden: Vm, clone: Vm): Promise<void> {
  await golden.run('sh', [
    '-c',
    `set -e
    cd "$1"; mkdir -p var/lib etc/eni-agent
    tar -cf - --exclude=ifcfg-eth0 etc var | tar -xf - -C "$2"`,
    'clone',
    golden.root,
    clone.root,
  ]);
}
