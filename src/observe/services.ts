/** What systemd says of our unit, and what SELinux denied. Of the system that runs, so not for a root that is put before every path. */
import { access } from 'node:fs/promises';
import { errorMessage } from '../errors.ts';
import type { Known, ServiceState } from '../model/surroundings.ts';
import type { Paths } from '../system/paths.ts';
import { run } from '../system/run.ts';

const TIMEOUT_MS = 10_000;
const UNIT = 'eni-agent.service';
const OTHER_ROOT = 'with --root it would be asked of another system than that of the files';
/** systemd runs (sd_booted(3)). */
const BOOTED = '/run/systemd/system';
const SELINUX = '/sys/fs/selinux/enforce';
/** Of the program in its own domain, or of Node in any other; its main thread has had a name of its own since Node 20. */
const OF_AGENT = /\bdenied\b.*(?:eni_agent_t|comm="(?:node|MainThread|eni-agent)")/;
const MOST_DENIALS = 5;

export async function observeService({ root }: Paths): Promise<Known<ServiceState | null>> {
  if (root !== '/') return { unknown: OTHER_ROOT };
  if (!(await isThere(BOOTED))) return { unknown: 'systemd does not run here' };
  try {
    const properties = ['LoadState', 'ActiveState', 'Result'];
    const { stdout } = await run(
      'systemctl',
      ['show', UNIT, ...properties.map((name) => `--property=${name}`)],
      {
        timeoutMs: TIMEOUT_MS,
      },
    );
    const valueOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    if (valueOf('LoadState') === 'not-found') return { value: null };
    return { value: { active: valueOf('ActiveState'), result: valueOf('Result') } };
  } catch (error) {
    return { unknown: errorMessage(error) };
  }
}

/** The last few since the boot. */
export async function observeDenials({ root }: Paths): Promise<Known<readonly string[]>> {
  if (root !== '/') return { unknown: OTHER_ROOT };
  if (!(await isThere(SELINUX))) return { value: [] };
  try {
    const { exitCode, stdout, stderr } = await run(
      'ausearch',
      ['--input-logs', '-m', 'AVC', '-ts', 'boot', '--raw'],
      {
        timeoutMs: TIMEOUT_MS,
      },
    );
    if (exitCode !== 0 && !/no matches/.test(`${stdout}${stderr}`))
      return { unknown: `running ausearch: ${stderr.trim()}` };
    return {
      value: stdout
        .split('\n')
        .filter((line) => OF_AGENT.test(line))
        .slice(-MOST_DENIALS),
    };
  } catch (error) {
    return { unknown: errorMessage(error) };
  }
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
