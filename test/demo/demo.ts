/** `npm run demo`: says why it cannot run here, or enters private namespaces and tells its story there (story.ts). */
import { spawnSync } from 'node:child_process';
import { enter, whyNotEnter } from '../lab/enter.ts';
import { missingTools } from '../lab/tools.ts';

/** What the lab calls; the other tools are the tests' own. */
const NEEDED = new Set(['ip', 'nft', 'unshare', 'nsenter', 'mount']);
const STORY = new URL('./story.ts', import.meta.url).pathname;

function main(): number {
  const refusal = whyNot();
  if (refusal !== undefined) {
    console.error(`The demo cannot run here: ${refusal}`);
    return 1;
  }
  const { command, args, env } = enter([process.execPath, '--import', import.meta.resolve('tsx'), STORY]);
  const { status, error, signal } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === null) console.error(`running the demo: ${error?.message ?? signal}`);
  return status ?? 1;
}

/** The reason and the remedy. */
function whyNot(): string | undefined {
  const missing = missingTools().filter(({ tool }) => NEEDED.has(tool));
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

process.exitCode = main();
