import type { Config } from '../model/config.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { Paths } from '../system/paths.ts';
import type { PrimaryWay } from './primary-way.ts';
import type { MetadataProvider } from './provider.ts';
import { createTencentProvider } from './tencent.ts';

/** The provider that the configuration asks for; `auto` is Tencent. `metadata.file` is below the root directory. */
export async function createProvider(
  config: Config['metadata'],
  paths: Pick<Paths, 'root' | 'below'>,
  way?: PrimaryWay,
  recall?: () => InstanceMetadata | undefined,
): Promise<MetadataProvider> {
  if (config.provider === 'file') {
    const { createFileProvider } = await import('./file.ts');
    return createFileProvider({ path: paths.below(config.file), root: paths.root });
  }
  const endpoints = [config.endpoint, ...config.fallbackEndpoints];
  return createTencentProvider({
    endpoints,
    timeoutMs: config.timeoutMs,
    ...(way === undefined ? {} : { way }),
    ...(recall === undefined ? {} : { recall }),
  });
}
