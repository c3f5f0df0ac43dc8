import { type MetadataServer, type ServedModel, startMetadataServer } from '../../lab/metadata-server.ts';

export const PRIMARY_MAC = '52:54:00:00:00:0a';
export const SECONDARY_MAC = '52:54:00:00:00:0b';

/** The primary NIC with one address, and a secondary with ten in no order. */
export const MODEL: ServedModel = {
  instanceId: 'ins-3g445roi',
  primaryMac: PRIMARY_MAC,
  nics: [
    {
      mac: SECONDARY_MAC,
      primary: '10.0.1.9',
      addresses: [30, 100, 9, 3, 21, 22, 4, 5, 8, 7].map((host) => `10.0.1.${host}`),
      mask: '255.255.255.0',
      gateway: '10.0.1.1',
    },
    {
      mac: PRIMARY_MAC,
      primary: '10.0.0.4',
      addresses: ['10.0.0.4'],
      mask: '255.255.255.192',
      gateway: '10.0.0.1',
    },
  ],
};

export function startServer(): Promise<MetadataServer> {
  return startMetadataServer({ host: '127.0.0.1', port: 0 });
}

/** Polls until the condition holds; fails after two seconds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 2000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
