/** The commands that the documentation tells people to type. */
import { type Command, CommanderError } from 'commander';
import { createProgram } from '../../src/commands/program.ts';
import type { CodeBlock, Page } from './markdown.ts';

/** Blocks of them: `sh` is commands and comments, `console` has them behind a `$`, with what they print. */
const PROMPT = '$ ';

export interface DocCommand {
  readonly page: string;
  /** Of the section that it is in; '' before the first. */
  readonly anchor: string;
  /** Of its block: `sh`, or `console` with what it prints. */
  readonly language: string;
  /** Without its comment. */
  readonly command: string;
}

/** In their order. A block that is a file has none. */
export function commandsOf({ file, blocks }: Page): readonly DocCommand[] {
  return blocks
    .filter((block) => block.file === '')
    .flatMap((block) =>
      commandsOfBlock(block).map((command) => ({
        page: file,
        anchor: block.anchor,
        language: block.language,
        command,
      })),
    );
}

function commandsOfBlock({ language, text }: CodeBlock): readonly string[] {
  if (language === 'sh') return linesOf(text).filter((line) => line !== '');
  if (language !== 'console') return [];
  return linesOf(text).flatMap((line) => (line.startsWith(PROMPT) ? [line.slice(PROMPT.length)] : []));
}

/** A line that ends with a backslash goes on with the next one. */
function linesOf(text: string): readonly string[] {
  const lines = text.replaceAll(/ *\\\n */g, ' ').split('\n');
  return lines.map((line) => line.replace(/(?:^|\s+)#.*$/, '').trim());
}

/** Lines of other blocks that begin like a command: nobody would notice when they are wrong. */
export function disguisedCommands({ blocks }: Page, programs: ReadonlySet<string>): readonly string[] {
  const others = blocks.filter(
    ({ language, file }) => (language === '' || language === 'text') && file === '',
  );
  const lines = others.flatMap(({ text }) => text.split('\n'));
  return lines.filter((line) => programs.has(line.split(' ', 1)[0] ?? '') && !SYNOPSIS.test(line));
}

/** `eni-agent [--config FILE] … COMMAND` is for people to fill in. */
const SYNOPSIS = /^[a-z-]+ \[/;

/** `eni-agent …` wherever it is in a text: alone, behind a pipe or an `&&`. Each as its arguments. */
export function ownCommandsIn(text: string): readonly (readonly string[])[] {
  const found = text.matchAll(/(?:^|[|&;] *)(?:eni-agent|node dist\/cli\.js) ([^|&;>\n]+)/gm);
  return [...found].map(([, args = '']) => args.trim().split(/\s+/));
}

/** What the program says to arguments that it does not take; undefined when it takes them. Nothing is run. */
export function whyRefused(args: readonly string[]): string | undefined {
  const program = createSilentProgram(() => {});
  for (const command of program.commands) command.action(() => {});
  try {
    program.parse(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? undefined : error.message;
  }
}

/** What `--help` prints, of the program and of each command. */
export function helpTexts(): readonly string[] {
  const texts: string[] = [];
  const program = createSilentProgram((text) => texts.push(text));
  for (const command of [program, ...program.commands]) command.outputHelp();
  return texts;
}

function createSilentProgram(writeOut: (text: string) => void): Command {
  const output = { line: () => {}, json: () => {}, style: (_: string, text: string) => text };
  const program = createProgram({ output, stderr: process.stderr, templateDirectory: '' }, () => {});
  for (const command of [program, ...program.commands])
    command.configureOutput({ writeErr: () => {}, writeOut });
  return program;
}
