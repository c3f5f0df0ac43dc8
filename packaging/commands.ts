/** The command line as data, out of the program's own commands: what man pages and completions are made of. */
import type { Command, Option } from 'commander';
import { createOutput } from '../src/commands/output.ts';
import { createProgram } from '../src/commands/program.ts';

export interface OptionData {
  readonly name: string;
  readonly description: string;
  /** What follows it; undefined when nothing does. */
  readonly value: ValueData | undefined;
}

export type ValueData =
  | { readonly kind: 'file' | 'folder' | 'text' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export interface CommandData {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionData[];
  readonly takesNics: boolean;
}

export interface ProgramData {
  readonly options: readonly OptionData[];
  readonly commands: readonly CommandData[];
}

export function readCommands(): ProgramData {
  const output = createOutput(process.stdout, process.env);
  const program = createProgram({ output, stderr: process.stderr, templateDirectory: '' }, () => {});
  const help = program.createHelp();
  const visible = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  return {
    options: help.visibleOptions(program).map(readOption),
    commands: visible.map((command) => readCommand(command)),
  };
}

function readCommand(command: Command): CommandData {
  return {
    name: command.name(),
    description: command.description(),
    options: command.createHelp().visibleOptions(command).map(readOption),
    takesNics: command.registeredArguments.some((argument) => argument.name() === 'nic'),
  };
}

function readOption(option: Option): OptionData {
  return { name: option.long ?? option.flags, description: option.description, value: readValue(option) };
}

function readValue({ flags, argChoices }: Option): ValueData | undefined {
  if (argChoices !== undefined) return { kind: 'choice', choices: argChoices };
  if (flags.endsWith('<file>')) return { kind: 'file' };
  if (flags.endsWith('<dir>')) return { kind: 'folder' };
  return flags.endsWith('>') ? { kind: 'text' } : undefined;
}
