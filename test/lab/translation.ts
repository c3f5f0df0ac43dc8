/** Two pages that say the same in two languages: what of them has to be equal. */
import type { Tokens } from 'marked';
import { parse } from 'yaml';
import { commandsOf } from './doc-commands.ts';
import type { CodeBlock, Page } from './markdown.ts';

/** What a section has that no translation changes. */
interface Bones {
  /** Of its heading. */
  readonly depth: number;
  /** Paragraphs, tables with their size, lists with their length, blocks of code: one after the other. */
  readonly shape: readonly string[];
  readonly commands: readonly string[];
  /** Whatever the order: another language has another one. */
  readonly links: readonly string[];
  readonly spans: readonly string[];
  readonly numbers: readonly string[];
  readonly blocks: readonly unknown[];
  /** Code and numbers of each. */
  readonly cells: readonly (readonly string[])[];
}

/** The pages by section, to be compared: the links between the two count as the same. */
export function bonesOf(page: Page, twins: readonly [string, string]): readonly Bones[] {
  return page.sections.map((section) => ({
    depth: section.headings[0]?.depth ?? 0,
    shape: section.shape,
    commands: commandsOf(section).map(({ command }) => command),
    links: section.links.map((link) => (twins.includes(link) ? twins.join(' or ') : link)).toSorted(),
    spans: section.spans.toSorted(),
    numbers: section.texts.flatMap(numbersIn).toSorted(),
    blocks: section.blocks.map(contentOf),
    cells: section.tables.flatMap(({ header, rows }) => [header, ...rows].flat().map(bonesOfCell)),
  }));
}

function bonesOfCell({ text }: Tokens.TableCell): readonly string[] {
  return [...(text.match(/`[^`]+`/g) ?? []), ...numbersIn(text)].toSorted();
}

function numbersIn(text: string): readonly string[] {
  return text.match(/\d+(?:[.–]\d+)*/g) ?? [];
}

/** Comments are translated, and so is what is drawn (`text`). */
function contentOf({ language, text }: CodeBlock): unknown {
  if (language === 'sh') return [language];
  if (language === 'yaml') return [language, parse(text)];
  return language === 'text' ? [language, text.split('\n').length] : [language, text];
}
