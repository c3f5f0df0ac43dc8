/** Manual pages out of pages of docs/, which tests hold to the program: man(7), from the Markdown that those pages use. */

export interface ManPage {
  readonly name: string;
  readonly section: number;
  readonly summary: string;
  readonly version: string;
  readonly seeAlso: string;
}

export function createManPage(markdown: string, page: ManPage): string {
  const { name, section, summary, version, seeAlso } = page;
  return [
    `.TH ${name} ${section} "" "eni-agent ${version}"`,
    '.SH NAME',
    `${name} \\- ${escapeText(summary)}`,
    '.SH DESCRIPTION',
    ...splitBlocks(markdown).flatMap(convertBlock),
    '.SH SEE ALSO',
    escapeText(seeAlso),
    '',
  ].join('\n');
}

/** Headings, fenced code, tables, lists, paragraphs. */
function splitBlocks(markdown: string): readonly string[] {
  const block =
    /^```.*\n[^]*?^```$|^#+ .*$|^(?:[|].*\n?)+|^- .*(?:\n(?:  |- ).*)*|^(?:(?![|#]|```|- ).+\n?)+/gm;
  return [...markdown.matchAll(block)].map(([text]) => text.trimEnd());
}

function convertBlock(block: string): readonly string[] {
  const [, marks, title = ''] = /^(#+) (.*)/.exec(block) ?? [];
  // The title of the page is its name.
  if (marks === '#') return [];
  if (marks !== undefined) return [`.${marks === '##' ? 'SH' : 'SS'} ${convertInline(title)}`];
  if (block.startsWith('```')) return ['.PP', '.RS 4', '.nf', ...convertCode(block), '.fi', '.RE'];
  if (block.startsWith('|')) return convertTable(block);
  if (block.startsWith('- ')) return convertList(block);
  return ['.PP', convertInline(block.replaceAll('\n', ' '))];
}

function convertCode(block: string): readonly string[] {
  return block.split('\n').slice(1, -1).map(escapeText);
}

/** The first cell is the term; a column with a title says so. */
function convertTable(block: string): readonly string[] {
  const [head = [], , ...rows] = block.split('\n').map(splitCells);
  return rows.flatMap(([term = '', ...cells]) => {
    const titled = cells.map((cell, index) => withTitle(cell, head[index + 1] ?? ''));
    const text = titled
      .filter((cell) => cell !== '')
      .toReversed()
      .join(' ');
    return ['.TP', convertInline(term), text === '' ? String.raw`\&` : convertInline(text)];
  });
}

function withTitle(cell: string, title: string): string {
  return cell === '' || title === '' ? cell : `(${title}: ${cell})`;
}

function splitCells(row: string): readonly string[] {
  return row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function convertList(block: string): readonly string[] {
  const items = block.split(/^- /m).slice(1);
  return items.flatMap((item) => [
    String.raw`.IP \(bu 2`,
    convertInline(item.trim().replaceAll(/\n */g, ' ')),
  ]);
}

function convertInline(text: string): string {
  const part =
    /`(?<code>[^`]+)`|\*\*(?<strong>[^*]+)\*\*|\*(?<emphasis>[^*]+)\*|\[(?<label>[^\]]+)\]\([^)]*\)/g;
  let at = 0;
  let converted = '';
  for (const match of text.matchAll(part)) {
    const { code, strong, emphasis, label } = match.groups ?? {};
    converted += escapeText(text.slice(at, match.index));
    if (label !== undefined) converted += convertInline(label);
    else if (emphasis !== undefined) converted += String.raw`\fI${escapeText(emphasis)}\fR`;
    else converted += String.raw`\fB${escapeText(code ?? strong ?? '')}\fR`;
    at = match.index + match[0].length;
  }
  return protect(converted + escapeText(text.slice(at)));
}

function escapeText(text: string): string {
  return protect(text.replaceAll('\\', String.raw`\e`).replaceAll('-', String.raw`\-`));
}

/** A line that begins so would be a request. */
function protect(text: string): string {
  return /^[.']/.test(text) ? String.raw`\&${text}` : text;
}
