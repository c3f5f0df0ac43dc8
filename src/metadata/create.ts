import type { Config } from '../model/config.ts';
import type { Paths } from '../system/paths.ts';
import { createFileProvider } from './file.ts';
import type { MetadataProvider } from './provider.ts';
import { createTencentProvider } from './tencent.ts';

/** The provider that the configuration asks for; `auto` is Tencent. `metadata.file` is below the root directory. */
export function createProvider(
  config: Config['metadata'],
  paths: Pick<Paths, 'root' | 'below'>,
): MetadataProvider {
  if (config.provider === 'file') {
    return createFileProvider({ path: paths.below(config.file), root: paths.root });
  }
  const endpoints = [config.endpoint, ...config.fallbackEndpoints];
  return createTencentProvider({ endpoints, timeoutMs: config.timeoutMs });
}
