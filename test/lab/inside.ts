/** The way in for a program that is no test: the demo, the benchmark. */
import { spawnSync } from 'node:child_process';
import { enter, whyNotEnter } from './enter.ts';
import { missingTools, type Tool } from './tools.ts';

/** What the lab itself calls; the others are the tests' own. */
const LAB_TOOLS: readonly Tool[] = ['ip', 'nft', 'unshare', 'nsenter', 'mount'];

interface Program {
  /** Begins the sentence that says why it cannot run. */
  readonly name: string;
  /** A module, run by this Node inside private namespaces. */
  readonly file: string;
  /** Besides the lab's. */
  readonly tools?: readonly Tool[];
}

/** Returns the exit code: 1, and says why on stderr, where the machine cannot run it. */
export function runInside({ name, file, tools = [] }: Program): number {
  const refusal = whyNot([...LAB_TOOLS, ...tools]);
  if (refusal !== undefined) {
    console.error(`${name} cannot run here: ${refusal}`);
    return 1;
  }
  const { command, args, env } = enter([process.execPath, '--import', import.meta.resolve('tsx'), file]);
  const { status, error, signal } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === null) console.error(`running ${file}: ${error?.message ?? signal}`);
  return status ?? 1;
}

/** The reason and the remedy. */
function whyNot(needed: readonly Tool[]): string | undefined {
  const missing = missingTools().filter(({ tool }) => needed.includes(tool));
  if (missing.length > 0) {
    const tools = missing.map(({ tool }) => tool).join(', ');
    const packages = [...new Set(missing.map((tool) => tool.package))].join(' ');
    return `${tools} not found.\nInstall what they come in and try again: apt-get install ${packages} (or dnf install, by its own names).`;
  }
  const reason = whyNotEnter();
  if (reason === undefined) return undefined;
  return [
    `this machine does not let us make network namespaces: ${reason}`,
    'Run it as root, or allow unprivileged user namespaces first, as root:',
    '  sysctl -w user.max_user_namespaces=10000',
    '  sysctl -w kernel.unprivileged_userns_clone=1               # Debian',
    '  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   # Ubuntu 24.04',
    'In a container: give it the capability SYS_ADMIN, or a seccomp profile that allows unshare and mount.',
  ].join('\n');
}
