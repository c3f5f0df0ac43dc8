/** The way into a private user, network and mount namespace, as root and without root. */
import { spawnSync } from 'node:child_process';
import { OUTER_NETNS, ownNamespace } from './guard.ts';

/**
 * Runs inside the new namespaces before the command.
 * Real root stays uid 0 outside as well, so the file modes of /proc/sys and /sys would let it write: they become
 * read-only, but for the part that belongs to the network namespace. `ip netns` keeps its names in /run.
 */
const PREPARE = `
set -e
mount --rbind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
mount -t tmpfs tmpfs /run
ip link set lo up
exec "$@"
`;

/** An unprivileged user can map itself alone, to root. */
const UNSHARE = `exec unshare --user --map-root-user --net --mount -- sh -c '${PREPARE}' enter "$@"`;

/**
 * Real root keeps all users, so that a test can give a file to another one. unshare(1) maps them only with newuidmap, so
 * a shell that stays outside writes the maps. Capabilities come with the first exec after that.
 */
const UNSHARE_AS_ROOT = `
outside=$(readlink /proc/$$/ns/user)
(
  while [ "$(readlink /proc/$$/ns/user)" = "$outside" ]; do sleep 0.01; done
  for map in gid_map uid_map; do cat /proc/self/$map > /proc/$$/$map; done
) &
exec unshare --user --net --mount -- sh -c '
  tries=0
  until [ "$(id -u)" = 0 ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || { echo "mapping the users of the namespace: not done after 5 s" >&2; exit 1; }
    sleep 0.01
  done
  ${PREPARE}
' enter "$@"`;

export interface EnteredCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The command that runs `command` inside the namespaces. */
export function enter(command: readonly string[]): EnteredCommand {
  return {
    command: 'sh',
    args: ['-c', process.getuid?.() === 0 ? UNSHARE_AS_ROOT : UNSHARE, 'enter', ...command],
    env: { [OUTER_NETNS]: ownNamespace() },
  };
}

/** Why this machine cannot make the namespaces, in the words of the tool that failed; undefined when it can. */
export function whyNotEnter(): string | undefined {
  return whyNot(['true']);
}

/** A systemd needs a control group below ours, which nobody but root can make. */
const MAKE_CONTROL_GROUP =
  'mount -t cgroup2 cgroup2 /run && group=$(mktemp -d /run/eni-lab-XXXXXX) && rmdir "$group"';

/** Why systemd cannot be booted inside of the namespaces; undefined when it can. */
export function whyNotBootSystemd(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can make a control group';
  return whyNot(['unshare', '--cgroup', '--mount', '--', 'sh', '-c', MAKE_CONTROL_GROUP]);
}

function whyNot(probe: readonly string[]): string | undefined {
  const { command, args } = enter(probe);
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `${probe[0]}: exit status ${status}`);
}
