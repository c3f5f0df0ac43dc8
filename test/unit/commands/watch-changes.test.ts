import { describe, expect, test } from 'vitest';
import type { Report } from '../../../src/commands/report.ts';
import { changesBetween } from '../../../src/commands/watch-changes.ts';
import { addressReport, nicReport, reportOf } from './reports.ts';

const ETH1 = nicReport(1);
const QUIET = reportOf([ETH1]);
const RUN = { at: '2026-01-01T00:00:00Z', trigger: 'link', outcome: 'applied', steps: 2, durationMs: 9 };

function texts(before: Report, after: Report): readonly string[] {
  return changesBetween(before, after).map(({ text }) => text);
}

test('the age of the metadata is no change', () => {
  expect(changesBetween(QUIET, { ...QUIET, metadataAgeMs: 12_000 })).toEqual([]);
});

describe('of the VM:', () => {
  test.each([
    ['a run', { lastRun: RUN }, 'a run (link): applied, 2 steps in 9 ms'],
    ['its state', { state: 'pending' }, 'the VM is pending, was in-sync'],
    ['a metadata service that fails', { reason: 'no answer' }, 'no answer'],
    ['a disk that is full', { storageProblem: 'it is full' }, 'it is full'],
    [
      'a change on trial',
      { confirmBy: '2026-01-01T00:01:00Z' },
      '! what was changed is rolled back at 2026-01-01T00:01:00Z, unless `eni-agent reconfigure --commit` comes before',
    ],
  ] as [string, Partial<Report>, string][])('%s', (_name, change, text) => {
    const changed = { ...QUIET, ...change };
    expect(changesBetween(QUIET, changed)).toEqual([{ mac: null, addresses: [], text }]);
  });

  test('what is over', () => {
    const troubled = { ...QUIET, reason: 'no answer', storageProblem: 'full', confirmBy: 'soon' };
    expect(texts(troubled, QUIET)).toEqual([
      'the metadata service answers again',
      'what the agent remembers is on the disk again',
      'no change waits for its confirmation any more',
    ]);
  });

  test('a metadata service that still fails is no news, whichever key it fails at', () => {
    expect(texts({ ...QUIET, reason: 'no instance-id' }, { ...QUIET, reason: 'no mac' })).toEqual([]);
  });

  test('the run before is told once', () => {
    const ran = { ...QUIET, lastRun: RUN };
    expect(texts(ran, ran)).toEqual([]);
  });
});

describe('of a NIC:', () => {
  test('it comes and goes', () => {
    const eth2 = nicReport(2, { state: 'pending', reason: 'udev is waited for', addresses: [] });
    const more = reportOf([ETH1, eth2]);
    expect(changesBetween(QUIET, more)).toEqual([
      { mac: eth2.mac, addresses: [], text: 'eth2 is here: pending (udev is waited for)' },
    ]);
    expect(changesBetween(more, QUIET)).toEqual([{ mac: eth2.mac, addresses: [], text: 'eth2 is gone' }]);
  });

  test('one that comes with its addresses is told with them', () => {
    const eth2 = nicReport(2, { addresses: ETH1.addresses });
    const names = ETH1.addresses.map(({ address }) => address).join(', ');
    expect(texts(QUIET, reportOf([ETH1, eth2]))).toEqual([
      'eth2 is here: in-sync',
      `eth2 ${names}: configured`,
    ]);
  });

  test('its name and its state; without a link it goes by its MAC', () => {
    const unlinked = reportOf([{ ...ETH1, name: null, state: 'detached', reason: 'no link' }]);
    expect(texts(QUIET, unlinked)).toEqual([
      `${ETH1.mac} was eth1`,
      `${ETH1.mac} is detached (no link), was in-sync`,
    ]);
  });

  test('its reason alone', () => {
    const before = reportOf([{ ...ETH1, state: 'degraded', reason: 'one thing' }]);
    const after = reportOf([{ ...ETH1, state: 'degraded', reason: 'another' }]);
    expect(texts(before, after)).toEqual(['eth1 is degraded (another), was degraded']);
  });
});

describe('of addresses:', () => {
  const withAddresses = (...addresses: Parameters<typeof addressReport>[]): Report =>
    reportOf([{ ...ETH1, addresses: addresses.map((each) => addressReport(...each)) }]);

  test('they come, change and go', () => {
    const before = withAddresses(['10.0.1.4'], ['10.0.1.5'], ['10.0.1.6', { state: 'missing' }]);
    const after = withAddresses(['10.0.1.4'], ['10.0.1.6'], ['10.0.1.7', { state: 'missing' }]);
    expect(changesBetween(before, after)).toEqual([
      { mac: ETH1.mac, addresses: ['10.0.1.6'], text: 'eth1 10.0.1.6: configured, was missing' },
      { mac: ETH1.mac, addresses: ['10.0.1.7'], text: 'eth1 10.0.1.7: missing' },
      { mac: ETH1.mac, addresses: ['10.0.1.5'], text: 'eth1 10.0.1.5: gone' },
    ]);
  });

  test('public ones', () => {
    const eip = withAddresses(['10.0.1.4', { publicAddress: '203.0.113.9' }]);
    const bare = withAddresses(['10.0.1.4']);
    expect(texts(bare, eip)).toEqual(['eth1 10.0.1.4: public 203.0.113.9']);
    expect(texts(eip, bare)).toEqual(['eth1 10.0.1.4: no public address any more']);
  });

  test.each([
    [2, 'eth1 10.0.1.5, 10.0.1.6: configured'],
    [3, 'eth1 10.0.1.5, 10.0.1.6, 10.0.1.7: configured'],
    [9, 'eth1 10.0.1.5, 10.0.1.6 and 7 more: configured'],
  ])('%i at once are one change', (count, text) => {
    const more = Array.from({ length: count }, (_, index): [string] => [`10.0.1.${5 + index}`]);
    const [change, ...others] = changesBetween(
      withAddresses(['10.0.1.4']),
      withAddresses(['10.0.1.4'], ...more),
    );
    expect(others).toEqual([]);
    expect(change).toMatchObject({ text, addresses: more.flat() });
  });
});
