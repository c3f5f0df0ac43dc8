/** The project's Markdown as marked reads it: what a page has as headings, links, tables and code. */
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import GithubSlugger from 'github-slugger';
import { lexer, type Token, type Tokens, walkTokens } from 'marked';

export const ROOT = path.join(import.meta.dirname, '../..');
/** Not the project's own, or made by it. */
export const NOT_OURS = ['.git', 'node_modules', 'dist', 'packages', 'coverage'];

export interface Page {
  /** From the top of the project: `docs/cli.md`. */
  readonly file: string;
  readonly headings: readonly Heading[];
  /** Of links and images, as they are written. */
  readonly links: readonly string[];
  readonly blocks: readonly CodeBlock[];
  /** What is between single backticks, wherever it is. */
  readonly spans: readonly string[];
  readonly tables: readonly Tokens.Table[];
  /** What is neither code nor a link. */
  readonly texts: readonly string[];
  /** What it is made of: `paragraph`, `list of 3`, `table of 3 × 4`, … */
  readonly shape: readonly string[];
  /** From each heading to the next one, and what is before the first. */
  readonly sections: readonly Page[];
}

export interface Heading {
  /** 1 for the title. */
  readonly depth: number;
  readonly text: string;
  /** What a link to it has after the #, as GitHub makes it. */
  readonly anchor: string;
}

export interface CodeBlock {
  /** The heading of depth 2 that it is below; '' before the first. */
  readonly section: string;
  /** Of that heading. */
  readonly anchor: string;
  /** The first word behind the three backticks; '' without one. */
  readonly language: string;
  /** The rest of that line: the file that the block is. */
  readonly file: string;
  readonly text: string;
}

/** All of the project, or of what is laid out elsewhere, by name. */
export async function readPages(root = ROOT): Promise<readonly Page[]> {
  const top = (await readdir(root)).filter((name) => !NOT_OURS.includes(name));
  const folders = await Promise.all(
    top.map(async (name) => {
      if (name.endsWith('.md')) return [name];
      const below = await readdir(path.join(root, name), { recursive: true }).catch(() => []);
      return below.filter((file) => file.endsWith('.md')).map((file) => `${name}/${file}`);
    }),
  );
  return folders
    .flat()
    .toSorted()
    .map((file) => readPage(file, root));
}

export function readPage(file: string, root = ROOT): Page {
  return parsePage(file, readFileSync(path.join(root, file), 'utf8'));
}

export function parsePage(file: string, markdown: string): Page {
  const tokens = lexer(markdown);
  const all = allOf(tokens);
  const slugger = new GithubSlugger();
  const headings = all.filter(isOf('heading')).map((heading) => {
    const text = textOf(heading);
    return { depth: heading.depth, text, anchor: slugger.slug(text) };
  });
  return {
    file,
    headings,
    links: all.flatMap((token) => (isOf('link')(token) || isOf('image')(token) ? [token.href] : [])),
    blocks: blocksOf(all, headings),
    spans: all.filter(isOf('codespan')).map(({ text }) => text),
    tables: all.filter(isOf('table')),
    texts: all
      .filter(isOf('text'))
      .filter((token) => token.tokens === undefined)
      .map(({ text }) => text),
    shape: tokens.filter(({ type }) => type !== 'space').map(shapeOf),
    sections: sectionsOf(file, tokens),
  };
}

function sectionsOf(file: string, tokens: readonly Token[]): readonly Page[] {
  const starts = tokens.flatMap((token, index) => (isOf('heading')(token) ? [index] : []));
  if (starts.length <= 1) return [];
  return starts.map((start, index) => {
    const own = tokens.slice(index === 0 ? 0 : start, starts[index + 1]);
    return parsePage(file, own.map(({ raw }) => raw).join(''));
  });
}

function shapeOf(token: Token): string {
  if (isOf('list')(token)) return `list of ${token.items.length}`;
  if (isOf('table')(token)) return `table of ${token.rows.length} × ${token.header.length}`;
  return token.type;
}

function blocksOf(tokens: readonly Token[], headings: readonly Heading[]): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const ahead = [...headings];
  let section: Heading | undefined;
  for (const token of tokens) {
    if (isOf('heading')(token)) {
      const heading = ahead.shift();
      if (token.depth === 2) section = heading;
    }
    if (!isOf('code')(token)) continue;
    const [language = '', ...rest] = (token.lang ?? '').split(' ');
    blocks.push({
      section: section?.text ?? '',
      anchor: section?.anchor ?? '',
      language,
      file: rest.join(' '),
      text: `${token.text}\n`,
    });
  }
  return blocks;
}

interface ByType {
  readonly code: Tokens.Code;
  readonly codespan: Tokens.Codespan;
  readonly heading: Tokens.Heading;
  readonly image: Tokens.Image;
  readonly link: Tokens.Link;
  readonly list: Tokens.List;
  readonly table: Tokens.Table;
  readonly text: Tokens.Text;
}

function isOf<T extends keyof ByType>(type: T): (token: Token) => token is ByType[T] {
  return (token): token is ByType[T] => token.type === type;
}

/** In their order, those inside of others too. */
function allOf(tokens: Token[]): readonly Token[] {
  const all: Token[] = [];
  void walkTokens(tokens, (token) => {
    all.push(token);
  });
  return all;
}

/** Without its marks. */
function textOf({ tokens }: Tokens.Heading): string {
  const leaves = allOf(tokens).map((token) =>
    isOf('text')(token) || isOf('codespan')(token) ? token.text : '',
  );
  return leaves.join('');
}
