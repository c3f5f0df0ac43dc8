/** The picture of `graph` as SVG: for a browser, a runbook, a printer without colours. */
import { printableLine } from '../model/printable.ts';
import {
  type Arrow,
  type Box,
  COLUMNS,
  type Group,
  type Picture,
  TONES,
  type Tone,
} from './graph-picture.ts';

/** In pixels, of a font whose letters are all as wide: 0.6 of its size, and a little more, since fonts differ. */
const CHARACTER = 7.8;
const LINE = 16;
const FONT_SIZE = 12;
const PADDING = 8;
const BETWEEN_BOXES = 8;
const BETWEEN_GROUPS = 24;
const BETWEEN_COLUMNS = 56;
const MARGIN = 24;
const TITLE_LINES = 2;
const ARROW_HEAD = 7;

interface Look {
  readonly fill: string;
  readonly border: string;
  readonly width: number;
  /** Of the border. */
  readonly dashes: string;
  /** For the legend. */
  readonly words: string;
}

/** Colours of Okabe and Ito, which people who see few colours tell apart; on paper without any the borders do. */
const LOOKS: Readonly<Record<Tone, Look>> = {
  fine: { fill: '#ffffff', border: '#0072b2', width: 1.5, dashes: '', words: 'as it should be' },
  waiting: { fill: '#fff4d6', border: '#8a6100', width: 1.5, dashes: '2 3', words: 'still to come' },
  broken: { fill: '#ffe3d3', border: '#d55e00', width: 3.5, dashes: '', words: 'not as it should be' },
  foreign: { fill: '#eeeeee', border: '#555555', width: 1.5, dashes: '8 4', words: "not the agent's" },
};

interface Placed extends Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly boxes: readonly Placed[];
  readonly arrows: readonly Arrow[];
  /** Of each of COLUMNS its left edge; undefined for one without a box. */
  readonly columns: readonly (number | undefined)[];
  readonly width: number;
  readonly height: number;
}

/** In columns, one group below the other; what a column has of a group stands in the middle of the group's height. */
export function layOut({ title, notices, groups }: Picture): Layout {
  const all = groups.flatMap(({ boxes }) => boxes);
  const widths = COLUMNS.map((name, column) => {
    const inColumn = all.filter((box) => box.column === column);
    return inColumn.length === 0 ? 0 : Math.max(textWidth(name), ...inColumn.map(boxWidth));
  });
  const columns: (number | undefined)[] = [];
  let x = MARGIN;
  for (const width of widths) {
    columns.push(width === 0 ? undefined : x);
    if (width > 0) x += width + BETWEEN_COLUMNS;
  }
  let y = MARGIN + (TITLE_LINES + notices.length) * LINE + LINE + BETWEEN_BOXES;
  const boxes: Placed[] = [];
  for (const group of groups) {
    const height = Math.max(...COLUMNS.map((_, column) => stackHeight(group, column)));
    for (const column of COLUMNS.keys())
      boxes.push(...stack(group, column, { x: columns[column] ?? 0, y, height }, widths));
    y += height + BETWEEN_GROUPS;
  }
  const texts = [title, ...notices].map(textWidth);
  const arrows = groups.flatMap((group) => group.arrows);
  const legendWidth = Math.max(...TONES.map((tone) => textWidth(LOOKS[tone].words))) * TONES.length;
  return {
    boxes: besideTheirs(boxes, arrows),
    arrows,
    columns,
    width:
      Math.max(
        x - BETWEEN_COLUMNS,
        ...texts.map((width) => MARGIN + width),
        MARGIN + legendWidth + TONES.length * LEGEND_STEP,
      ) + MARGIN,
    height: y + LINE + MARGIN,
  };
}

/** The sample box of a tone in the legend, with the space around it. */
const LEGEND_STEP = 48;

function stackHeight({ boxes }: Group, column: number): number {
  const heights = boxes.filter((box) => box.column === column).map(boxHeight);
  return heights.reduce((sum, height) => sum + height + BETWEEN_BOXES, -BETWEEN_BOXES);
}

function stack(
  group: Group,
  column: number,
  { x, y, height }: { readonly x: number; readonly y: number; readonly height: number },
  widths: readonly number[],
): readonly Placed[] {
  let top = y + (height - stackHeight(group, column)) / 2;
  return group.boxes
    .filter((box) => box.column === column)
    .map((box) => {
      const placed = { ...box, x, y: top, width: widths[column] ?? 0, height: boxHeight(box) };
      top += placed.height + BETWEEN_BOXES;
      return placed;
    });
}

/** A public address stands beside its own one, which is as high at least. */
function besideTheirs(boxes: readonly Placed[], arrows: readonly Arrow[]): readonly Placed[] {
  const targets = new Map(arrows.map(({ from, to }) => [from, to]));
  const byId = new Map(boxes.map((box) => [box.id, box]));
  return boxes.map((box) => {
    const target = box.column === 0 ? byId.get(targets.get(box.id) ?? '') : undefined;
    return target === undefined ? box : { ...box, y: target.y + (target.height - box.height) / 2 };
  });
}

function boxWidth({ lines }: Box): number {
  return Math.max(...lines.map(textWidth)) + 2 * PADDING;
}

function boxHeight({ lines }: Box): number {
  return lines.length * LINE + 2 * PADDING;
}

/** Of ASCII; a character that is wider counts as two. */
function textWidth(text: string): number {
  let characters = 0;
  for (const character of printableLine(text))
    characters += character.length > 1 || character > '\u00ff' ? 2 : 1;
  return characters * CHARACTER;
}

export function toSvg(picture: Picture): string {
  const layout = layOut(picture);
  const { boxes, arrows, columns, width, height } = layout;
  const byId = new Map(boxes.map((box) => [box.id, box]));
  const y = MARGIN + LINE;
  const heads = COLUMNS.flatMap((name, column) => {
    const x = columns[column];
    return x === undefined
      ? []
      : [text(x, y + (TITLE_LINES + picture.notices.length) * LINE - BETWEEN_BOXES, name, 'head')];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}" class="${CLASS}" role="img" aria-labelledby="${CLASS}-title ${CLASS}-desc">`,
    `<title id="${CLASS}-title">${escapeXml(picture.title)}</title>`,
    `<desc id="${CLASS}-desc">Each NIC with its addresses and their public ones to the left, and its routing table and gateway to the right.</desc>`,
    `<style>${STYLE}</style>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(MARGIN, y, picture.title, 'name'),
    ...picture.notices.map((notice, index) => text(MARGIN, y + (index + 1) * LINE, `! ${notice}`, 'notice')),
    ...heads,
    ...arrows.flatMap((arrow) => drawArrow(arrow, byId)),
    ...boxes.map(drawBox),
    ...legend(height - MARGIN),
    '</svg>',
    '',
  ].join('\n');
}

/** A page may have the picture within it: what is said of it is said of nothing else. */
const CLASS = 'eni-agent-graph';
const STYLE = [
  `.${CLASS} text{font:${FONT_SIZE}px ui-monospace,"DejaVu Sans Mono","Liberation Mono",Menlo,Consolas,monospace;fill:#000000}`,
  `.${CLASS} .name,.${CLASS} .first{font-weight:bold}`,
  `.${CLASS} .head{fill:#555555}`,
  `.${CLASS} .notice{font-weight:bold;fill:#a04000}`,
].join('');

function drawBox({ x, y, width, height, lines, tone }: Placed): string {
  const texts = lines.map((line, index) =>
    text(x + PADDING, y + PADDING + (index + 1) * LINE - 4, line, index === 0 ? 'first' : undefined),
  );
  return [rectangle(x, y, width, height, tone), ...texts].join('');
}

function rectangle(x: number, y: number, width: number, height: number, tone: Tone): string {
  const { fill, border, width: stroke, dashes } = LOOKS[tone];
  const dash = dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="4" fill="${fill}" stroke="${border}" stroke-width="${stroke}"${dash}/>`;
}

/** From the right edge of one box to the left edge of the other, whose column is further to the right. */
function drawArrow({ from, to, tone }: Arrow, boxes: ReadonlyMap<string, Placed>): readonly string[] {
  const [start, end] = [boxes.get(from), boxes.get(to)];
  if (start === undefined || end === undefined) return [];
  const { border, width, dashes } = LOOKS[tone];
  const [x1, y1] = [start.x + start.width, start.y + start.height / 2];
  const [x2, y2] = [end.x, end.y + end.height / 2];
  const middle = (x1 + x2) / 2;
  const dash = dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
  const line = `<path d="M${round(x1)} ${round(y1)} C${round(middle)} ${round(y1)} ${round(middle)} ${round(y2)} ${round(x2 - ARROW_HEAD)} ${round(y2)}" fill="none" stroke="${border}" stroke-width="${width}"${dash}/>`;
  const head = `<path d="M${round(x2)} ${round(y2)} l-${ARROW_HEAD} -4 v8 z" fill="${border}"/>`;
  return [line, head];
}

function legend(y: number): readonly string[] {
  let x = MARGIN;
  return TONES.flatMap((tone) => {
    const { words } = LOOKS[tone];
    const parts = [rectangle(x, y - 12, 24, 14, tone), text(x + 30, y, words)];
    x += LEGEND_STEP + textWidth(words);
    return parts;
  });
}

function text(x: number, y: number, content: string, kind?: string): string {
  const attribute = kind === undefined ? '' : ` class="${kind}"`;
  return `<text x="${round(x)}" y="${round(y)}"${attribute}>${escapeXml(content)}</text>`;
}

/** What is left of that which XML 1.0 has no way to write: two characters that are none, and halves of others. */
const NO_XML = /[\ufffe\uffff]|\p{Surrogate}/gu;

function escapeXml(content: string): string {
  return printableLine(content)
    .replaceAll(NO_XML, '\u{fffd}')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
