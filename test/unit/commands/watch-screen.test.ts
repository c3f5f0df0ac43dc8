import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { draw, type View } from '../../../src/commands/watch-screen.ts';
import { createMemo, NO_MEMO } from '../../../src/model/memo.ts';
import { addressReport, nicReport, reportOf } from './reports.ts';

const NOON = new Date(2026, 0, 1, 12, 0, 0).getTime();
const PLAIN = { paint: (_: string, text: string) => text, memo: NO_MEMO };

function viewOf(more: Partial<View> = {}): View {
  const report = reportOf([nicReport(0, { role: 'primary', table: null }), nicReport(1)]);
  return {
    report,
    receivedAt: NOON,
    now: NOON,
    lost: null,
    changes: [],
    offset: 0,
    columns: 80,
    rows: 24,
    ...more,
  };
}

/** Large as in the promise: 128 NICs with 256 addresses. */
const FLEET = reportOf(
  Array.from({ length: 128 }, (_, nic) =>
    nicReport(nic, {
      addresses: Array.from({ length: 256 }, (__, index) => addressReport(`10.${nic}.0.${index}`)),
    }),
  ),
);

function screen(more: Partial<View> = {}): string {
  return draw(viewOf(more), PLAIN).lines.join('\n').trimEnd();
}

test('what is', () => {
  expect(screen({ rows: 10 })).toBe(
    [
      '12:00:00  in-sync  ins-1  tencent metadata 2 s ago',
      '',
      '  eth0  in-sync  primary  02:00:00:00:00:00  gateway 10.0.0.1',
      '    10.0.0.4/24',
      '',
      '  eth1  in-sync  secondary  02:00:00:00:00:01  table 21001  gateway 10.0.1.1',
      '    10.0.1.4/24',
      '',
      '',
      'q quit  arrows, PgUp, PgDn, Home, End',
    ].join('\n'),
  );
});

test('an address that is not as it should be says so, without colours too, and so does its NIC', () => {
  const reason = 'the kernel refuses one of its addresses, and will be asked again in a minute or so';
  const addresses = [
    addressReport('10.0.1.4', { publicAddress: '203.0.113.9' }),
    addressReport('10.0.1.5', { state: 'missing' }),
    addressReport('10.0.1.6', { state: 'foreign' }),
  ];
  const report = reportOf([nicReport(1, { state: 'degraded', reason, addresses })], { state: 'degraded' });
  expect(screen({ report, columns: 60 }).split('\n').slice(1, 10)).toEqual([
    '',
    '  eth1  degraded  secondary  02:00:00:00:00:01  table 21001',
    '    gateway 10.0.1.1',
    '    the kernel refuses one of its addresses, and will be',
    '    asked again in a minute or so',
    '    10.0.1.4/24 public 203.0.113.9',
    '    10.0.1.5/24 missing           ',
    '    10.0.1.6/24 foreign           ',
    '',
  ]);
});

test('what is wrong with the VM stands above the list', () => {
  const report = reportOf([nicReport(1)], { reason: 'no answer', storageProblem: 'the disk is full' });
  expect(
    screen({ report, lost: 'the daemon is not running', now: NOON + 60_000 })
      .split('\n')
      .slice(0, 4),
  ).toEqual([
    '12:01:00  in-sync  ins-1  tencent metadata 1 min ago',
    '! not up to date: the daemon is not running',
    '! by the last good answer: no answer',
    '! what the agent remembers: the disk is full',
  ]);
});

describe('what has changed', () => {
  const change = (at: number, addresses: readonly string[] = [], text = `at ${at - NOON}`) => ({
    at,
    mac: nicReport(1).mac,
    addresses,
    text,
  });

  test('is told with its time, the newest last, as much as there is room for', () => {
    const changes = Array.from({ length: 9 }, (_, index) => change(NOON - 9_000 + index * 1_000));
    expect(screen({ changes }).split('\n').slice(-8)).toEqual([
      `-- changes ${'-'.repeat(69)}`,
      '11:59:54  at -6000',
      '11:59:55  at -5000',
      '11:59:56  at -4000',
      '11:59:57  at -3000',
      '11:59:58  at -2000',
      '11:59:59  at -1000',
      'q quit  arrows, PgUp, PgDn, Home, End',
    ]);
    expect(screen({ changes, rows: 11 })).not.toContain('changes');
  });

  test('is marked for half a minute: the address, or the NIC as a whole', () => {
    const ofAddress = [change(NOON, ['10.0.1.4'])];
    expect(screen({ changes: ofAddress, now: NOON + 29_999 })).toContain('  * 10.0.1.4/24');
    expect(screen({ changes: ofAddress })).toContain('\n  eth1');
    expect(screen({ changes: [change(NOON)] })).toContain('\n* eth1');
    expect(screen({ changes: ofAddress, now: NOON + 30_000 })).not.toContain('*');
  });

  test('is marked also where the list is remembered', () => {
    const terminal = { ...PLAIN, memo: createMemo() };
    const text = (more: Partial<View>) => draw(viewOf({ report: FLEET, ...more }), terminal).lines.join('\n');
    expect(text({})).not.toContain('*');
    const changes = [{ ...change(NOON, ['10.0.0.0']), mac: nicReport(0).mac }];
    expect(text({ changes })).toContain('  * 10.0.0.0/24');
    expect(text({ changes, now: NOON + 30_000 })).not.toContain('*');
  });
});

describe('of whatever size', () => {
  const size = { columns: fc.integer({ min: 1, max: 250 }), rows: fc.integer({ min: 1, max: 60 }) };

  test('no line is wider, none is one too many, and the offset is one that makes sense', () => {
    fc.assert(
      fc.property(fc.record({ ...size, offset: fc.integer() }), (asked) => {
        const { lines, offset, page } = draw(viewOf({ report: FLEET, lost: 'gone', ...asked }), PLAIN);
        expect(lines.length).toBeLessThanOrEqual(asked.rows);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(asked.columns);
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(page).toBeLessThan(asked.rows);
      }),
      { numRuns: 20 },
    );
  });

  test('page by page everything is seen', () => {
    const terminal = { ...PLAIN, memo: createMemo() };
    const seen = new Set<string>();
    for (let offset = 0; ; ) {
      const shown = draw(viewOf({ report: FLEET, offset, columns: 100, rows: 40 }), terminal);
      for (const [address] of shown.lines.join('\n').matchAll(/10\.\d+\.0\.\d+(?=\/24)/g)) seen.add(address);
      if (shown.offset < offset) break;
      offset = shown.offset + shown.page;
    }
    expect(seen.size).toBe(128 * 256);
  });
});

test('names and reasons from outside cannot steer the terminal', () => {
  const report = reportOf([nicReport(1, { reason: 'a\u001b[2Jb\nc' })], { instanceId: '\u009b1m' });
  const text = screen({ report });
  expect(text).toContain(String.raw`a\u001b[2Jb\nc`);
  expect(text).toContain(String.raw`\u009b1m`);
});

test('before the first report', () => {
  const blank = { report: null, rows: 3 };
  expect(screen(blank).split('\n')[0]).toBe('12:00:00  asking the daemon');
});
