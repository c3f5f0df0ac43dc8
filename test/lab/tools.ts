/** The programs that the tests call, and the Debian packages they come in. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const PACKAGES = {
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  strace: 'strace',
  ping: 'iputils-ping',
} as const;

export type Tool = keyof typeof PACKAGES;

/** Without these there is no lab at all; a test that needs another one says so with `test.skipIf(!hasTool('strace'))`. */
const LAB_TOOLS: readonly Tool[] = ['ip', 'nft', 'unshare', 'nsenter', 'mount'];

export interface MissingTool {
  readonly tool: Tool;
  readonly package: string;
  /** The lab itself needs it. */
  readonly essential: boolean;
}

export function hasTool(tool: Tool): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => isExecutable(path.join(folder, tool)));
}

export function missingTools(): readonly MissingTool[] {
  return (Object.keys(PACKAGES) as Tool[])
    .filter((tool) => !hasTool(tool))
    .map((tool) => ({ tool, package: PACKAGES[tool], essential: LAB_TOOLS.includes(tool) }));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
