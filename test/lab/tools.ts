/** The programs that the tests on a real kernel call, and the Debian packages they come in. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const PACKAGES = {
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  'iptables-nft': 'iptables',
  'iptables-legacy': 'iptables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  strace: 'strace',
  ping: 'iputils-ping',
  'systemd-analyze': 'systemd',
  keepalived: 'keepalived',
} as const;

type Tool = keyof typeof PACKAGES;

/** Without these, all tests but one file's run. */
const NEEDED_BY: Partial<Record<Tool, string>> = {
  'iptables-nft': 'test/netns/forwarded-iptables.test.ts',
  'iptables-legacy': 'test/netns/forwarded-iptables.test.ts',
  keepalived: 'test/netns/keepalived.test.ts',
};

export interface MissingTool {
  readonly tool: Tool;
  readonly package: string;
  /** The only file of tests that needs it; undefined when all do. */
  readonly testFile: string | undefined;
}

function hasTool(tool: Tool): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => isExecutable(path.join(folder, tool)));
}

export function missingTools(): readonly MissingTool[] {
  return (Object.keys(PACKAGES) as Tool[])
    .filter((tool) => !hasTool(tool))
    .map((tool) => ({ tool, package: PACKAGES[tool], testFile: NEEDED_BY[tool] }));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
