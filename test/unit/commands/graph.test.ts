import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pictureOf } from '../../../src/commands/graph-picture.ts';
import { layOut, toSvg } from '../../../src/commands/graph-svg.ts';
import { toDot, toMermaid } from '../../../src/commands/graph-text.ts';
import type { NicReport, Report } from '../../../src/commands/report.ts';
import { NIC_STATES } from '../../../src/model/nic-states.ts';
import { addressReport, nicReport, reportOf } from './reports.ts';

const EIP = { publicAddress: '203.0.113.9' };
const HOSTILE = 'a"]<b>&#35;\\{}\u001b[2J\n%% end';

function addressesOf(count: number, more: Parameters<typeof addressReport>[1] = {}): NicReport['addresses'] {
  return Array.from({ length: count }, (_, index) => addressReport(`10.0.1.${index}`, more));
}

function boxesOf(nic: NicReport, isEveryAddressDrawn = false): readonly string[] {
  const { groups } = pictureOf(reportOf([nic]), isEveryAddressDrawn);
  return groups.flatMap(({ boxes }) => boxes.map(({ tone, lines }) => `${tone}: ${lines.join(' | ')}`));
}

test('a NIC: in from the left, out to the right', () => {
  const nic = nicReport(1, { addresses: [addressReport('10.0.1.4', { primary: true, ...EIP })] });
  expect(boxesOf(nic)).toEqual([
    'fine: 203.0.113.9',
    'fine: 10.0.1.4/24 | primary',
    'fine: eth1 | 02:00:00:00:00:01 | secondary, in-sync | files: network-scripts',
    'fine: table 21001',
    'fine: 10.0.1.1',
  ]);
  const [group] = pictureOf(reportOf([nic]), false).groups;
  expect(group?.arrows.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'p0x0 a0x0',
    'a0x0 n0',
    'n0 t0',
    't0 g0',
  ]);
});

test('one without a link, a table and a gateway', () => {
  const nic = nicReport(1, { name: null, table: null, gateway: null, addresses: [], state: 'pending' });
  expect(boxesOf(nic)).toEqual([
    'waiting: (no link) | 02:00:00:00:00:01 | secondary, pending | files: network-scripts',
  ]);
});

test('every state is one of the four tones, and is in words', () => {
  for (const state of NIC_STATES) expect(boxesOf(nicReport(1, { state })).join('\n')).toContain(`, ${state}`);
});

describe('many addresses', () => {
  test('nine are drawn, of ten the last two are counted', () => {
    expect(boxesOf(nicReport(1, { addresses: addressesOf(9) }))).toHaveLength(9 + 3);
    expect(boxesOf(nicReport(1, { addresses: addressesOf(10) })).slice(7, 9)).toEqual([
      'fine: 10.0.1.7/24',
      'fine: and 2 more: configured',
    ]);
  });

  test('what tells something is drawn, wherever it stands', () => {
    const addresses = [
      ...addressesOf(100),
      addressReport('10.0.2.1', { state: 'missing' }),
      addressReport('10.0.2.2', EIP),
    ];
    const boxes = boxesOf(nicReport(1, { addresses }));
    expect(boxes.slice(5, 10)).toEqual([
      'fine: 10.0.1.5/24',
      'broken: 10.0.2.1/24 | missing',
      'fine: 203.0.113.9',
      'fine: 10.0.2.2/24',
      'fine: and 94 more: configured',
    ]);
  });

  test('what does not fit is counted by its state', () => {
    const addresses = [...addressesOf(20, { state: 'missing' }), ...addressesOf(20)];
    expect(boxesOf(nicReport(1, { addresses })).slice(8, 10)).toEqual([
      'broken: and 12 more: missing',
      'fine: and 20 more: configured',
    ]);
  });

  test('all are drawn when they are asked for', () => {
    expect(boxesOf(nicReport(1, { addresses: addressesOf(256) }), true)).toHaveLength(256 + 3);
  });
});

test('what is wrong with the VM is told', () => {
  const report = reportOf([], {
    reason: 'no answer',
    storageProblem: 'full',
    confirmBy: 'soon',
    metadataAgeMs: null,
  });
  const { notices } = pictureOf(report, false);
  expect(notices).toHaveLength(4);
  for (const draw of [toSvg, toMermaid, toDot])
    for (const notice of notices) expect(draw(pictureOf(report, false))).toContain(notice);
});

const anyNic = fc.record({
  state: fc.constantFrom(...NIC_STATES),
  reason: fc.option(fc.string({ maxLength: 200 })),
  table: fc.option(fc.nat()),
  gateway: fc.option(fc.constant('10.0.0.1')),
  addresses: fc.array(
    fc.record({
      state: fc.constantFrom('configured', 'missing', 'foreign'),
      publicAddress: fc.option(fc.constant('203.0.113.9')),
    }),
    { maxLength: 14 },
  ),
});

const anyReport: fc.Arbitrary<Report> = fc.array(anyNic, { maxLength: 6 }).map((nics) =>
  reportOf(
    nics.map(({ addresses, ...nic }, index) =>
      nicReport(index, {
        ...nic,
        addresses: addresses.map((entry, place) => addressReport(`10.0.${index}.${place}`, entry)),
      }),
    ),
    { reason: 'why '.repeat(60) },
  ),
);

describe('the layout, of whatever there is:', () => {
  test('no box overlaps another one, and all are within the picture', () => {
    fc.assert(
      fc.property(anyReport, (report) => {
        const { boxes, width, height } = layOut(pictureOf(report, false));
        for (const [index, a] of boxes.entries()) {
          expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height).toBe(true);
          for (const b of boxes.slice(index + 1)) {
            const isApart =
              a.x + a.width < b.x || b.x + b.width < a.x || a.y + a.height < b.y || b.y + b.height < a.y;
            expect(isApart, `${a.id} and ${b.id}`).toBe(true);
          }
        }
      }),
    );
  });

  test('each arrow leads from a box to one further to the right', () => {
    fc.assert(
      fc.property(anyReport, (report) => {
        const { boxes, arrows } = layOut(pictureOf(report, false));
        const byId = new Map(boxes.map((box) => [box.id, box]));
        for (const { from, to } of arrows)
          expect(byId.get(from)?.column).toBeLessThan(byId.get(to)?.column ?? -1);
      }),
    );
  });
});

describe('text from outside', () => {
  const picture = pictureOf(
    reportOf([nicReport(1, { name: HOSTILE, reason: HOSTILE })], { instanceId: HOSTILE, reason: HOSTILE }),
    false,
  );

  test('ends no element of the SVG', () => {
    const svg = toSvg(picture);
    expect(svg).not.toContain('<b>');
    expect(svg).not.toContain('\u001b');
    expect(svg).toContain(String.raw`a&quot;]&lt;b&gt;&amp;#35;\{}\u001b[2J\n%% end`);
  });

  test('has no character in the SVG that XML has not', () => {
    const odd = { ...reportOf([]), instanceId: 'a\ufffeb\uffffc\ud800d' };
    expect(toSvg(pictureOf(odd, false))).toContain('>a\ufffdb\ufffdc\ufffdd, in-sync');
  });

  test('without a space in it makes no box wider', () => {
    const lines = (reason: string) => boxesOf(nicReport(1, { reason })).join('\n').split(' | ');
    expect(
      lines('x'.repeat(100))
        .slice(-3)
        .map((line) => line.split('\n')[0]?.length),
    ).toEqual([44, 44, 12]);
  });

  test('ends no text of Mermaid, and begins no line', () => {
    const mermaid = toMermaid(picture);
    expect(mermaid).toContain(
      'n0["a#34;#93;#60;b#62;#38;#35;35#59;#92;#123;#125;#92;u001b#91;2J#92;n#37;#37; end',
    );
    expect(mermaid.split('\n').filter((line) => line.trim().startsWith('%% end'))).toEqual([]);
    expect(mermaid.split('\n')[1]).toBe(
      String.raw`title: "a\"]<b>&#35;\\{}\u001b[2J\n%% end, in-sync, daemon running"`,
    );
  });

  test('ends no text of DOT', () => {
    expect(toDot(picture)).toContain(String.raw`n0 [label="a\"]<b>&#35;\\{}\\u001b[2J\\n%% end\n`);
  });
});

test('Mermaid', () => {
  const nic = nicReport(1, { addresses: [addressReport('10.0.1.4', { state: 'missing' })] });
  const report = reportOf([nic], { reason: 'no answer' });
  expect(toMermaid(pictureOf(report, false)).split('\n').slice(0, 13)).toEqual([
    '---',
    'title: "ins-1, in-sync, daemon running"',
    '---',
    'flowchart LR',
    '  w0["! by the last good answer: no answer"]:::broken',
    '  a0x0["10.0.1.4/24<br/>missing"]:::broken',
    '  n0["eth1<br/>02:00:00:00:00:01<br/>secondary, in-sync<br/>files: network-scripts"]:::fine',
    '  t0["table 21001"]:::fine',
    '  g0["10.0.1.1"]:::fine',
    '  a0x0 -.-> n0',
    '  n0 --> t0',
    '  t0 --> g0',
    '  classDef fine fill:#ffffff,stroke:#0072b2,color:#000000',
  ]);
});
