/** Network namespaces by name (`ip netns`), and what is run in them. Only inside the runner's private namespaces. */
import { execa } from 'execa';

/** What to set up in a namespace, in this order. */
export interface Setup {
  /** Below /proc/sys/net: `{ 'ipv4/ip_forward': 1 }`. */
  readonly sysctls?: Readonly<Record<string, number>>;
  /** Lines of an `ip -batch`. */
  readonly ip?: readonly string[];
  /** An nft script. */
  readonly nft?: string;
  /** Lines of a second `ip -batch`. */
  readonly ipAfter?: readonly string[];
}

/** The command and arguments that run `command` in the namespace; nsenter executes it in its own process. */
export function inNamespace(name: string, command: readonly string[]): readonly [string, ...string[]] {
  return ['nsenter', namespaceOption(name), '--', ...command];
}

export function namespaceOption(name: string): string {
  return `--net=/run/netns/${name}`;
}

export async function addNamespaces(names: readonly string[]): Promise<void> {
  await execa('ip', ['-batch', '-'], { input: lines(names.map((name) => `netns add ${name}`)) });
}

export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  await execa('ip', ['-force', '-batch', '-'], { input: lines(names.map((name) => `netns del ${name}`)) });
}

export interface NamespaceSetup extends Setup {
  readonly namespace: string;
}

export function setUp(namespace: string, setup: Setup): Promise<void> {
  return setUpAll([{ namespace, ...setup }]);
}

/**
 * One after the other, by one shell: starting processes is most of the time that a lab takes to build, and it costs this one the
 * most.
 */
export async function setUpAll(setups: readonly NamespaceSetup[]): Promise<void> {
  const script = setups.flatMap((setup) => {
    const shell = inNamespace(setup.namespace, ['sh', '-s']).join(' ');
    const complaint = `{ echo 'setting up ${setup.namespace}: failed' >&2; exit 1; }`;
    return [`${shell} <<'END OF NAMESPACE' || ${complaint}`, ...scriptOf(setup), 'END OF NAMESPACE'];
  });
  await execa('sh', ['-s'], { input: lines(script) });
}

function scriptOf({ sysctls = {}, ip = [], nft, ipAfter = [] }: Setup): readonly string[] {
  return [
    'set -e',
    ...Object.entries(sysctls).map(([key, value]) => `echo ${value} > /proc/sys/net/${key}`),
    ...heredoc('ip -batch -', ip),
    ...heredoc('nft -f -', nft === undefined ? [] : [nft]),
    ...heredoc('ip -batch -', ipAfter),
  ];
}

function heredoc(command: string, input: readonly string[]): readonly string[] {
  return input.length === 0 ? [] : [`${command} <<'END'`, ...input, 'END'];
}

function lines(text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
