/** Debian's Keepalived in a VM of the lab, with the VM's own `/etc/keepalived`, `/run` and `/usr/local/bin`. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** Of its one instance. */
type State = 'MASTER' | 'BACKUP' | 'FAULT';

export interface Keepalived {
  waitFor(state: State): Promise<void>;
  /** How often it became master. */
  mastered(): number;
  /** So far. */
  log(): string;
  /** SIGTERM, and its end: a master gives its VIPs up. */
  stop(): Promise<void>;
}

const FOLDERS = ['/etc/keepalived', '/run', '/usr/local/bin'];
/**
 * A root of its own, so that the paths in its files are those of the VM. Keepalived runs no script below a folder that is not
 * root's, and without root none of the machine's is: / and /etc are new, the rest is the machine's.
 */
const ENTER = `
set -e
vm=$1
root=/mnt
shift
mount -t tmpfs -o mode=755 tmpfs $root
for name in bin sbin lib lib64 usr dev proc sys; do
  if [ -L /$name ]; then cp -P /$name $root/$name; continue; fi
  mkdir $root/$name
  mount --rbind /$name $root/$name
done
mkdir -p $root/etc/keepalived $root/run
cp /etc/passwd /etc/group /etc/ld.so.cache $root/etc
for folder in ${FOLDERS.join(' ')}; do mount --bind "$vm$folder" $root$folder; done
# Before a script it gives up its groups, which nobody without root may do: it is told that it has done so.
if grep -q deny /proc/self/setgroups; then
  set -- strace -D -f --seccomp-bpf -qq -o /dev/null -e trace=setgroups -e inject=setgroups:retval=0 "$@"
fi
exec chroot $root "$@"
`;
const KEEPALIVED = ['keepalived', '--vrrp', '--dont-fork', '--log-console', '--log-detail'];

/** `files` by their path in the VM, in one of those folders; what begins with #! is executable. */
export async function installKeepalived(vm: Vm, files: Readonly<Record<string, string>>): Promise<void> {
  for (const folder of FOLDERS) await mkdir(vm.path(folder), { recursive: true, mode: 0o755 });
  for (const [file, text] of Object.entries(files)) {
    await writeFile(vm.path(file), text);
    await chmod(vm.path(file), text.startsWith('#!') ? 0o755 : 0o644);
  }
}

/** Returns when it takes part. */
export async function startKeepalived(vm: Vm): Promise<Keepalived> {
  const child = vm.start({
    name: 'keepalived',
    command: ['unshare', '--mount', '--', 'sh', '-c', ENTER, 'enter', vm.root, ...KEEPALIVED],
  });
  const states = (): readonly string[] =>
    [...child.stderr.matchAll(/Entering (\w+) STATE/g)].map(([, state = '']) => state);
  const keepalived: Keepalived = {
    waitFor: async (state) => {
      await until({
        what: `Keepalived is ${state}`,
        read: () => ({ state: states().at(-1), log: child.stderr }),
        holds: (seen) => seen.state === state,
      });
    },
    mastered: () => states().filter((state) => state === 'MASTER').length,
    log: () => child.stderr,
    stop: async () => {
      await child.end('SIGTERM');
    },
  };
  await keepalived.waitFor('BACKUP');
  return keepalived;
}
