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

const UNSHARE = ['--user', '--map-root-user', '--net', '--mount', '--'];

export interface EnteredCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The command that runs `command` inside the namespaces. */
export function enter(command: readonly string[]): EnteredCommand {
  return {
    command: 'unshare',
    args: [...UNSHARE, 'sh', '-c', PREPARE, 'enter', ...command],
    env: { [OUTER_NETNS]: ownNamespace() },
  };
}

/** Why this machine cannot make the namespaces, in the words of the tool that failed; undefined when it can. */
export function whyNotEnter(): string | undefined {
  const { command, args } = enter(['true']);
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `${command}: exit status ${status}`);
}
