/** Network namespaces by name (`ip netns`), and what is run in them. Only inside the runner's private namespaces. */
import { execa } from 'execa';

/** What to set up in one namespace, in this order. */
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

/** One shell does it all: starting processes is most of the time that a lab takes to build. */
export async function setUp(name: string, setup: Setup): Promise<void> {
  const script = [
    'set -e',
    ...Object.entries(setup.sysctls ?? {}).map(([key, value]) => `echo ${value} > /proc/sys/net/${key}`),
    ...heredoc('ip -batch -', setup.ip ?? []),
    ...heredoc('nft -f -', setup.nft === undefined ? [] : [setup.nft]),
    ...heredoc('ip -batch -', setup.ipAfter ?? []),
  ];
  const [file, ...args] = inNamespace(name, ['sh', '-s']);
  await execa(file, args, { input: lines(script) });
}

function heredoc(command: string, input: readonly string[]): readonly string[] {
  return input.length === 0 ? [] : [`${command} <<'END'`, ...input, 'END'];
}

function lines(text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
