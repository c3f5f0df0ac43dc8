import type { Config } from '../../../src/model/config.ts';

/** What the contract says, by hand. */
export const DEFAULTS: Config = {
  metadata: {
    provider: 'auto',
    endpoint: 'http://metadata.tencentyun.com',
    fallbackEndpoints: ['http://169.254.0.23'],
    timeoutMs: 2000,
    file: '/etc/eni-agent/metadata.yaml',
  },
  daemon: { resyncIntervalMs: 10_000, removalConfirmations: 2 },
  routing: {
    tableBase: 21_000,
    primary: 'auto',
    localRoutes: 'auto',
    forwarded: 'off',
    forwardedMask: 0x7f,
    protocol: 196,
  },
  sysctl: { rpFilter: 'loose', arp: 'auto', promoteSecondaries: true },
  persistence: { backend: 'auto', existingFiles: 'respect' },
  metrics: { listen: null, textfile: null },
  hooks: { timeoutMs: 30_000 },
  interfaces: [],
  log: { level: 'info' },
};
