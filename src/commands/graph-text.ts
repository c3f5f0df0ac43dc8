/** The picture of `graph` as text that other programs draw: Mermaid (GitHub, GitLab, many wikis) and DOT (Graphviz). */
import { printable, printableLine } from '../model/printable.ts';
import { type Box, COLUMNS, type Picture, TONES, type Tone } from './graph-picture.ts';

/** https://mermaid.js.org/syntax/flowchart.html. The same colours and borders as in the SVG. */
const MERMAID_CLASSES: Readonly<Record<Tone, string>> = {
  fine: 'fill:#ffffff,stroke:#0072b2,color:#000000',
  waiting: 'fill:#fff4d6,stroke:#8a6100,color:#000000,stroke-dasharray:2 3',
  broken: 'fill:#ffe3d3,stroke:#d55e00,color:#000000,stroke-width:4px',
  foreign: 'fill:#eeeeee,stroke:#555555,color:#000000,stroke-dasharray:8 4',
};

export function toMermaid({ title, notices, groups }: Picture): string {
  const lines = groups.flatMap(({ boxes, arrows }) => [
    ...boxes.map(
      ({ id, lines: words, tone }) => `  ${id}["${words.map(escapeMermaid).join('<br/>')}"]:::${tone}`,
    ),
    ...arrows.map(({ from, to, tone }) => `  ${from} ${tone === 'fine' ? '-->' : '-.->'} ${to}`),
  ]);
  return [
    '---',
    // YAML takes what JSON writes.
    `title: ${printable(JSON.stringify(title))}`,
    '---',
    'flowchart LR',
    ...notices.map((notice, index) => `  w${index}["! ${escapeMermaid(notice)}"]:::broken`),
    ...lines,
    ...TONES.map((tone) => `  classDef ${tone} ${MERMAID_CLASSES[tone]}`),
    '',
  ].join('\n');
}

/** As Mermaid's own entities: whatever is not plain could be Markdown, HTML or the end of the text. */
function escapeMermaid(text: string): string {
  return printableLine(text).replaceAll(/[^\w .:/,()-]/gu, (character) => `#${character.codePointAt(0)};`);
}

/** https://graphviz.org/doc/info/lang.html */
const DOT_LOOKS: Readonly<Record<Tone, string>> = {
  fine: 'fillcolor="#ffffff", color="#0072b2"',
  waiting: 'fillcolor="#fff4d6", color="#8a6100", style="rounded,filled,dotted"',
  broken: 'fillcolor="#ffe3d3", color="#d55e00", penwidth=3.5',
  foreign: 'fillcolor="#eeeeee", color="#555555", style="rounded,filled,dashed"',
};

export function toDot({ title, notices, groups }: Picture): string {
  const boxes = groups.flatMap((group) => group.boxes);
  const arrows = groups.flatMap((group) => group.arrows);
  return [
    'digraph vm {',
    '  rankdir=LR;',
    `  label=${quoteDot([title, ...notices.map((notice) => `! ${notice}`)])};`,
    '  labelloc=t;',
    '  fontname="monospace";',
    '  node [shape=box, style="rounded,filled", fontname="monospace"];',
    ...boxes.map(({ id, lines, tone }) => `  ${id} [label=${quoteDot(lines)}, ${DOT_LOOKS[tone]}];`),
    ...COLUMNS.flatMap((_, column) => sameRank(boxes.filter((box) => box.column === column))),
    ...arrows.map(({ from, to, tone }) => `  ${from} -> ${to}${tone === 'fine' ? '' : ' [style=dashed]'};`),
    '}',
    '',
  ].join('\n');
}

function sameRank(boxes: readonly Box[]): readonly string[] {
  return boxes.length === 0 ? [] : [`  { rank=same; ${boxes.map(({ id }) => `${id};`).join(' ')} }`];
}

function quoteDot(lines: readonly string[]): string {
  const texts = lines.map((line) => printableLine(line).replaceAll('\\', '\\\\').replaceAll('"', '\\"'));
  return `"${texts.join('\\n')}"`;
}
