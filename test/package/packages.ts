/** What `npm run package` has built. */
import path from 'node:path';
import pkg from '../../package.json' with { type: 'json' };

export const ROOT = path.join(import.meta.dirname, '../..');
export const VARIANTS = ['eni-agent', 'eni-agent-standalone'] as const;
export const ARCHITECTURES = ['x86_64', 'aarch64'] as const;
/** The one that this machine can run. */
export const OWN_ARCHITECTURE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

export function packageFile(
  variant: (typeof VARIANTS)[number],
  architecture: string = OWN_ARCHITECTURE,
): string {
  return path.join(ROOT, `packages/${variant}-${pkg.version}-1.${architecture}.rpm`);
}
