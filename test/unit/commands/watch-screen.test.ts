import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changesBetween } from '../../../src/commands/watch-changes.ts';
import { draw, type View } from '../../../src/commands/watch-screen.ts';
import { createMemo, NO_MEMO } from '../../../src/model/memo.ts';
import { sized } from '../../lab/settled.ts';
import { addressReport, nicReport, reportOf } from './reports.ts';

/** Set: the pictures are written instead of compared with. */
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';
const NOON = Date.UTC(2026, 0, 1, 12);
const PLAIN = { paint: (_: string, text: string) => text, memo: NO_MEMO };

function viewOf(more: Partial<View> = {}): View {
  const report = reportOf([nicReport(0, { role: 'primary', table: null }), nicReport(1)]);
  return {
    host: 'vm-1',
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

/** The VM of docs/watch.md: eth2 has just come, and somebody has set an address on eth1. */
function documented(size: Pick<View, 'columns' | 'rows'>): string {
  const range = (net: number, count: number) =>
    Array.from({ length: count }, (_, index) => addressReport(`10.0.${net}.${4 + index}`));
  const eth0 = nicReport(0, { role: 'primary' });
  const foreign = addressReport('10.0.1.77', { state: 'foreign' });
  const eth1 = nicReport(1, { addresses: [...range(1, 9), foreign] });
  const eth2 = nicReport(2, { addresses: range(2, 30) });
  const withEth1 = reportOf([eth0, eth1]);
  const ofEth2 = { trigger: 'timer', outcome: 'applied', steps: 74, durationMs: 17.2 };
  const awaited = { state: 'pending', reason: 'eth2 is new, and the metadata does not list it yet' } as const;
  const pending = reportOf([eth0, eth1, { ...eth2, ...awaited, addresses: [] }], { state: 'pending' });
  const report = reportOf([eth0, eth1, eth2], { lastRun: { ...ofEth2, at: new Date(NOON).toISOString() } });
  const days = 24 * 3_600_000;
  const before = { mac: null, addresses: [], text: 'a run (link): applied, 39 steps in 12.4 ms' };
  const changes = [
    { ...before, at: NOON - 3 * days },
    ...changesBetween(withEth1, pending).map((change) => ({ ...change, at: NOON - 1_000 })),
    ...changesBetween(pending, report).map((change) => ({ ...change, at: NOON })),
  ];
  // Spaces at the ends of lines are none of Markdown's.
  return screen({ report, changes, now: NOON + 4_000, ...size }).replaceAll(/ +$/gm, '');
}

test('docs/watch.md shows what is drawn', () => {
  const file = new URL('../../../docs/watch.md', import.meta.url);
  const page = readFileSync(file, 'utf8');
  const pictures = [documented({ columns: 80, rows: 24 }), documented({ columns: 200, rows: 50 })];
  const blocks = pictures.map((picture) => `\`\`\`text\n${picture}\n\`\`\`\n`);
  const drawn = page.replaceAll(/^```text\n.*?^```\n/gms, () => blocks.shift() ?? 'one too many');
  if (IS_WRITTEN) writeFileSync(file, drawn);
  else expect(page).toBe(drawn);
  expect(blocks).toEqual([]);
});

test('what is', () => {
  expect(screen({ rows: 10 })).toBe(
    [
      '12:00:00Z  in-sync  vm-1  tencent metadata 2 s ago  ins-1',
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
    '12:01:00Z  in-sync  vm-1  tencent metadata 1 min ago  ins-1',
    '! not up to date: the daemon is not running',
    '! by the last good answer: no answer',
    '! what the agent remembers: the disk is full',
  ]);
});

test('what is wrong can be read to its end, or shows that it goes on', () => {
  const reason = 'GET http://metadata/ does not answer, and it will be asked again';
  const report = reportOf([nicReport(1)], { reason });
  const top = (more: Partial<View>) =>
    screen({ report, ...more })
      .split('\n')
      .slice(1, 4);
  expect(top({ columns: 40 })).toEqual([
    '! by the last good answer: GET',
    'http://metadata/ does not answer, and it',
    'will be asked again',
  ]);
  expect(top({ columns: 40, rows: 8 })).toEqual([
    '! by the last good answer: GET',
    'http://metadata/ does not answer, and i>',
    '',
  ]);
  const blank = reportOf([], { reason, metadataAgeMs: null });
  expect(screen({ report: blank, rows: 3 }).split('\n').slice(0, 2)).toEqual([
    '12:00:00Z  in-sync  vm-1  no tencent metadata yet  ins-1',
    `! ${reason}`,
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
      '11:59:54Z  at -6000',
      '11:59:55Z  at -5000',
      '11:59:56Z  at -4000',
      '11:59:57Z  at -3000',
      '11:59:58Z  at -2000',
      '11:59:59Z  at -1000',
      'q quit  arrows, PgUp, PgDn, Home, End',
    ]);
    expect(screen({ changes, rows: 11 })).not.toContain('changes');
  });

  test('takes the lines that it needs; what has no room left is not begun', () => {
    const long = 'a change that needs more than one line on a terminal as narrow as this';
    const changes = [change(NOON - 2_000, [], long), change(NOON - 1_000, [], long), change(NOON)];
    const part = (rows: number) => screen({ changes, columns: 50, rows }).split('\n').slice(-5, -1);
    expect(part(16)).toEqual([
      `-- changes ${'-'.repeat(39)}`,
      '11:59:59Z  a change that needs more than one line',
      '           on a terminal as narrow as this',
      '12:00:00Z  at 0',
    ]);
    expect(part(12).slice(-1)).toEqual(['12:00:00Z  at 0']);
    const [tight] = screen({ changes: [change(NOON, [], long.repeat(2))], columns: 30, rows: 12 })
      .split('\n')
      .slice(-2);
    expect(tight).toBe('           on a terminal as n>');
  });

  test('has its day, when that is another one', () => {
    const changes = [change(NOON - 86_400_000), change(NOON)];
    expect(screen({ changes }).split('\n').slice(-3, -1)).toEqual([
      '2025-12-31 12:00:00Z  at -86400000',
      '12:00:00Z  at 0',
    ]);
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
      { numRuns: sized(8, 100) },
    );
  });

  test.each([
    [100, 40],
    [20, 5],
  ])('page by page everything is seen, on %i columns and %i rows', (columns, rows) => {
    const terminal = { ...PLAIN, memo: createMemo() };
    const seen = new Set<string>();
    for (let offset = 0; ; ) {
      const shown = draw(viewOf({ report: FLEET, offset, columns, rows }), terminal);
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
  expect(screen(blank).split('\n')[0]).toBe('12:00:00Z  vm-1  asking the daemon');
});
