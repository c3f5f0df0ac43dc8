/** Status reports for the tests of what shows them. */
import type { NicReport, Report } from '../../../src/commands/report.ts';

type AddressReport = NicReport['addresses'][number];

export function addressReport(address: string, more: Partial<AddressReport> = {}): AddressReport {
  return { address, prefixLength: 24, primary: false, state: 'configured', publicAddress: null, ...more };
}

export function nicReport(index: number, more: Partial<NicReport> = {}): NicReport {
  return {
    name: `eth${index}`,
    mac: `02:00:00:00:${String(index >> 8).padStart(2, '0')}:${(index & 0xff).toString(16).padStart(2, '0')}`,
    role: 'secondary',
    state: 'in-sync',
    table: 21_000 + index,
    gateway: `10.0.${index}.1`,
    persistence: 'network-scripts',
    addresses: [addressReport(`10.0.${index}.4`, { primary: true })],
    reason: null,
    ...more,
  };
}

export function reportOf(interfaces: readonly NicReport[], more: Partial<Report> = {}): Report {
  return {
    state: 'in-sync',
    provider: 'tencent',
    instanceId: 'ins-1',
    daemon: true,
    metadataAgeMs: 2_000,
    reason: null,
    storageProblem: null,
    confirmBy: null,
    lastRun: null,
    persistence: null,
    interfaces: [...interfaces],
    ...more,
  };
}
