/** The programs that the tests on a real kernel call, and the Debian packages they come in. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const PACKAGES = {
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  strace: 'strace',
  ping: 'iputils-ping',
  'systemd-analyze': 'systemd',
} as const;

type Tool = keyof typeof PACKAGES;

export interface MissingTool {
  readonly tool: Tool;
  readonly package: string;
}

function hasTool(tool: Tool): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => isExecutable(path.join(folder, tool)));
}

export function missingTools(): readonly MissingTool[] {
  return (Object.keys(PACKAGES) as Tool[])
    .filter((tool) => !hasTool(tool))
    .map((tool) => ({ tool, package: PACKAGES[tool] }));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
