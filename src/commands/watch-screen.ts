/** The picture of `status --watch`: a status report and what has changed, in the lines of a terminal. */
import type { Memo } from '../model/memo.ts';
import { printableLine } from '../model/printable.ts';
import type { Style } from './output.ts';
import { confirmationDue } from './print-run.ts';
import type { NicReport, Report } from './report.ts';
import { ageText, STATE_STYLES } from './status-words.ts';
import type { Change } from './watch-changes.ts';
import { wrap } from './wrap.ts';

export interface TimedChange extends Change {
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface View {
  /** The name of the VM. */
  readonly host: string;
  /** null before the first one. */
  readonly report: Report | null;
  /** Of the report, as `now`: milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly now: number;
  /** Why there is no newer report; null while the daemon is there. */
  readonly lost: string | null;
  /** Oldest first. */
  readonly changes: readonly TimedChange[];
  /** The first line of the list that is shown. */
  readonly offset: number;
  readonly columns: number;
  readonly rows: number;
}

export interface Screen {
  /** At most `rows`, none wider than `columns`. What is more than that says so. */
  readonly lines: readonly string[];
  /** As asked for, or the last that makes sense. */
  readonly offset: number;
  /** Lines of the list that are shown at once. */
  readonly page: number;
}

export interface Terminal {
  readonly paint: (style: Style, text: string) => string;
  /** The list of tens of thousands of addresses is made once, not every second. */
  readonly memo: Memo;
}

/** A piece of text, and how it is shown. */
interface Cell {
  readonly text: string;
  readonly style?: Style;
}

type Line = readonly Cell[];

const GAP = '  ';
const INDENT = '    ';
/** So long something that has changed is marked. */
const MARK_MS = 30_000;
/** Below that there is no room for what has changed. */
const ROWS_WITH_CHANGES = 12;
/** Of the rows: what they may take at most. */
const CHANGES_PART = 4;
const NOTICES_PART = 3;
const KEYS = 'q quit  arrows, PgUp, PgDn, Home, End';

/** Widths are those of ASCII: all that is shown are names, numbers and our own words. What is wider is cut by the terminal, which does not wrap. */
export function draw(view: View, { paint, memo }: Terminal): Screen {
  const { rows, columns } = view;
  const head = [headLine(view), ...noticeLines(view)];
  const changes = changeLines(view);
  const page = Math.max(0, rows - head.length - changes.length - 1);
  const list = listOf(view, memo);
  const offset = Math.max(0, Math.min(view.offset, list.length - page));
  const shown = list.slice(offset, offset + page);
  const filled = [...shown, ...Array.from({ length: page - shown.length }, (): Line => [])];
  const all = [...head, ...filled, ...changes, footLine(offset, page, list.length)].slice(0, rows);
  return { lines: all.map((line) => render(line, columns, paint)), offset, page };
}

/** What matters least comes last: a narrow terminal cuts it off. */
function headLine({ host, report, receivedAt, now, lost }: View): Line {
  const time = { text: timeOf(now, now) };
  if (report === null) return [time, { text: host }, { text: lost ?? 'asking the daemon', style: 'yellow' }];
  const { state, instanceId, provider, metadataAgeMs } = report;
  const age = metadataAgeMs === null ? null : metadataAgeMs + now - receivedAt;
  return [
    time,
    { text: state, style: STATE_STYLES[state] },
    { text: host },
    { text: age === null ? `no ${provider} metadata yet` : `${provider} metadata ${ageText(age)} ago` },
    ...(instanceId === null ? [] : [{ text: instanceId }]),
  ];
}

/** Each in as many lines as it takes. */
function noticeLines(view: View): readonly Line[] {
  const lines = notices(view).flatMap((text) => wrap(text, view.columns));
  return cutTo(lines, Math.floor(view.rows / NOTICES_PART)).map((text) => [{ text, style: 'yellow' }]);
}

function notices({ report, lost }: View): readonly string[] {
  if (report === null) return [];
  const { reason, storageProblem, confirmBy, metadataAgeMs } = report;
  const since = metadataAgeMs === null ? '' : 'by the last good answer: ';
  return [
    ...(lost === null ? [] : [`! not up to date: ${lost}`]),
    ...(confirmBy === null ? [] : [confirmationDue(confirmBy)]),
    ...(reason === null ? [] : [`! ${since}${reason}`]),
    ...(storageProblem === null ? [] : [`! what the agent remembers: ${storageProblem}`]),
  ];
}

/** The last of `most` goes on with what is left out, so that it shows that it was cut. */
function cutTo(lines: readonly string[], most: number): readonly string[] {
  if (lines.length <= most) return lines;
  return most === 0 ? [] : [...lines.slice(0, most - 1), lines.slice(most - 1).join(' ')];
}

/** The newest last, as in a log, each in as many lines as it takes; under a line that says what they are. */
function changeLines({ changes, rows, columns, now }: View): readonly Line[] {
  if (rows < ROWS_WITH_CHANGES || changes.length === 0) return [];
  const title = { text: '-- changes '.padEnd(columns, '-'), style: 'dim' } as const;
  const most = Math.floor(rows / CHANGES_PART);
  const latest: Line[] = [];
  for (const { at, text } of changes.toReversed()) {
    const time = timeOf(at, now);
    const texts = wrap(text, columns - time.length - GAP.length);
    if (latest.length > 0 && latest.length + texts.length > most) break;
    const lines = cutTo(texts, most).map((part, index): Line => {
      const isFirst = index === 0;
      return [{ text: isFirst ? time : ' '.repeat(time.length), style: 'dim' }, { text: part }];
    });
    latest.unshift(...lines);
  }
  return [[title], ...latest];
}

function footLine(offset: number, page: number, total: number): Line {
  const last = Math.min(total, offset + page);
  const place =
    total <= page ? [] : [{ text: `lines ${offset + 1}-${last} of ${total}`, style: 'bold' } as const];
  return [...place, { text: KEYS, style: 'dim' }];
}

function listOf({ report, changes, now, columns }: View, memo: Memo): readonly Line[] {
  const latest = changes.filter(({ at }) => now - at < MARK_MS);
  const marked = new Set(
    latest.flatMap(({ mac, addresses }) =>
      (addresses.length === 0 ? [null] : addresses).map((address) => `${mac} ${address}`),
    ),
  );
  return memo.of('list', [report, columns, latest.length, latest[0]?.at, latest.at(-1)?.at], () =>
    (report?.interfaces ?? []).flatMap((nic) => [
      [],
      ...nicLines(nic, columns, (address) => marked.has(`${nic.mac} ${address}`)),
    ]),
  );
}

function nicLines(
  nic: NicReport,
  columns: number,
  isMarked: (address: string | null) => boolean,
): readonly Line[] {
  const facts: Line = [
    { text: `${isMarked(null) ? '*' : ' '} ${nic.name ?? '(no link)'}`, style: 'bold' },
    { text: nic.state, style: STATE_STYLES[nic.state] },
    { text: nic.role },
    { text: nic.mac },
    ...(nic.table === null ? [] : [{ text: `table ${nic.table}` }]),
    ...(nic.gateway === null ? [] : [{ text: `gateway ${nic.gateway}` }]),
  ];
  const reason: readonly Line[] =
    nic.reason === null
      ? []
      : wrap(nic.reason, columns - INDENT.length).map((text) => [{ text: `${INDENT}${text}` }]);
  const cells = nic.addresses.map((entry) => addressCell(entry, isMarked(entry.address)));
  return [...flow(facts, columns), ...reason, ...grid(cells, columns)];
}

function addressCell(
  { address, prefixLength, state, publicAddress }: NicReport['addresses'][number],
  isMarked: boolean,
): Cell {
  const facts = [
    `${isMarked ? '*' : ' '} ${address}/${prefixLength}`,
    ...(state === 'configured' ? [] : [state]),
    ...(publicAddress === null ? [] : [`public ${publicAddress}`]),
  ];
  return { text: facts.join(' '), style: STATE_STYLES[state] };
}

/** One after the other, in as many lines as it takes; those after the first are indented. */
function flow(cells: Line, columns: number): readonly Line[] {
  const lines: Cell[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const cell of cells) {
    const line = lines.at(-1);
    const needed = GAP.length + cell.text.length;
    if (line !== undefined && width + needed <= columns) {
      line.push(cell);
      width += needed;
      continue;
    }
    const text = line === undefined ? cell.text : `${INDENT}${cell.text}`;
    lines.push([{ ...cell, text }]);
    width = text.length;
  }
  return lines;
}

/** In columns of one width. */
function grid(cells: Line, columns: number): readonly Line[] {
  const width = Math.max(0, ...cells.map(({ text }) => text.length));
  const perLine = Math.max(1, Math.floor(columns / (width + GAP.length)));
  const lines: Line[] = [];
  for (let first = 0; first < cells.length; first += perLine)
    lines.push(
      cells.slice(first, first + perLine).map(({ text, ...cell }, index) => ({
        ...cell,
        text: `${index === 0 ? GAP : ''}${text.padEnd(width)}`,
      })),
    );
  return lines;
}

/** Cut where the terminal ends: a mark says so. */
function render(line: Line, columns: number, paint: Terminal['paint']): string {
  let left = columns;
  let text = '';
  for (const [index, cell] of line.entries()) {
    const whole = printableLine(`${index === 0 ? '' : GAP}${cell.text}`);
    const shown = whole.length <= left ? whole : `${whole.slice(0, Math.max(0, left - 1))}>`;
    text += cell.style === undefined ? shown : paint(cell.style, shown);
    left -= shown.length;
    if (shown !== whole || left <= 0) break;
  }
  return text;
}

/** As everywhere else in what the agent prints: of the world's clock. With the day, when that is another one. */
function timeOf(ms: number, now: number): string {
  const [day = '', time = ''] = new Date(ms).toISOString().split(/[T.]/);
  return new Date(now).toISOString().startsWith(day) ? `${time}Z` : `${day} ${time}Z`;
}
