/** What somebody who helps from afar needs to see, in texts; nothing of it is a secret. */
import os from 'node:os';
import { redactText, redactValue } from '../doctor/redact.ts';
import { errorMessage } from '../errors.ts';
import { isOurs } from '../model/files.ts';
import type { HostState } from '../model/host.ts';
import type { ArchiveEntry } from '../system/archive.ts';
import type { Paths } from '../system/paths.ts';
import { run } from '../system/run.ts';

const TIMEOUT_MS = 10_000;
const JOURNAL_LINES = '500';
const UNITS = ['eni-agent.service', 'eni-agent-boot.service'];

const KERNEL: Readonly<Record<string, readonly string[]>> = {
  links: ['ip', '-details', 'link', 'show'],
  addresses: ['ip', 'address', 'show'],
  routes: ['ip', '-4', 'route', 'show', 'table', 'all'],
  routes6: ['ip', '-6', 'route', 'show', 'table', 'all'],
  rules: ['ip', '-4', 'rule', 'show'],
  rules6: ['ip', '-6', 'rule', 'show'],
};

const VERSIONS: readonly (readonly string[])[] = [
  ['uname', '-srvm'],
  ['ip', '-V'],
  ['nft', '--version'],
  ['NetworkManager', '--version'],
  ['systemctl', '--version'],
];

export interface BundleParts {
  readonly paths: Paths;
  readonly host: HostState;
  /** `eni-agent 0.1.0` */
  readonly version: string;
  /** Printed as JSON, by the name of the file. */
  readonly documents: Readonly<Record<string, unknown>>;
}

export async function collectBundle(parts: BundleParts): Promise<readonly ArchiveEntry[]> {
  const { paths, host, documents } = parts;
  const kernel = Object.entries(KERNEL).map(async ([name, command]) => ({
    name: `kernel/${name}.txt`,
    text: await outputOf(command),
  }));
  const texts = [
    { name: 'versions.txt', text: await versions(parts) },
    { name: 'journal.txt', text: await journal(paths) },
    ...(await Promise.all(kernel)),
    ...host.files.filter(isOurs).map(({ path, content }) => ({ name: `files${path}`, text: content })),
  ];
  const jsons = Object.entries({ ...documents, state: host.state }).map(([name, document]) => ({
    name: `${name}.json`,
    text: `${JSON.stringify(redactValue(document), null, 2)}\n`,
  }));
  return [...jsons, ...texts.map(({ name, text }) => ({ name, text: redactText(text) }))];
}

async function versions({ version }: BundleParts): Promise<string> {
  const others = await Promise.all(VERSIONS.map(outputOf));
  const own = [version, `Node ${process.versions.node}, ${os.arch()}`];
  return `${[...own, ...others.map((text) => text.split('\n')[0] ?? '')].join('\n')}\n`;
}

async function journal({ root }: Paths): Promise<string> {
  if (root !== '/') return 'with --root the journal is that of another system\n';
  const units = UNITS.flatMap((unit) => ['--unit', unit]);
  return outputOf(['journalctl', ...units, '--lines', JOURNAL_LINES, '--no-pager', '--output', 'short-iso']);
}

/** Or why there is none. */
async function outputOf([program = '', ...args]: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(program, args, { timeoutMs: TIMEOUT_MS });
    return `${stdout === '' ? stderr : stdout}\n`;
  } catch (error) {
    return `${errorMessage(error)}\n`;
  }
}
