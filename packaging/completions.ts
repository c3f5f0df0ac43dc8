/** Completions of bash, zsh and fish, made of the program's own commands. */
import type { CommandData, OptionData, ProgramData, ValueData } from './commands.ts';

export const COMPLETIONS = { bash: completeBash, zsh: completeZsh, fish: completeFish } as const;

/** Where the kernel has the names of the NICs. A MAC would be cut at its colons by all three. */
const NICS = '/sys/class/net';

function completeBash(program: ProgramData): string {
  const valued = program.options.filter(({ value }) => value !== undefined).map(({ name }) => name);
  const values = [{ name: '', options: program.options }, ...program.commands].flatMap(({ name, options }) =>
    options.flatMap((option) => bashValue(name, option)),
  );
  const commands = program.commands.map(
    ({ name, options, takesNics }) =>
      `    ${name}) words='${names(options)}'${takesNics ? `; [ -d ${NICS} ] && words+=" $(cd ${NICS} && echo *)"` : ''} ;;`,
  );
  return `# bash completion of eni-agent(8)
_eni_agent() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command='' words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      ${valued.join(' | ')}) ((at++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[at]}; break ;;
    esac
  done
  COMPREPLY=()
  case "$command $previous" in
${values.join('\n')}
  esac
  case $command in
    '') words='${names(program.options)} ${names(program.commands)}' ;;
${commands.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _eni_agent eni-agent
`;
}

function names(all: readonly { readonly name: string }[]): string {
  return all.map(({ name }) => name).join(' ');
}

function bashValue(command: string, { name, value }: OptionData): readonly string[] {
  if (value === undefined) return [];
  const found = {
    file: 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return',
    folder: 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word"); return',
    choice: `COMPREPLY=($(compgen -W '${choicesOf(value)}' -- "$word")); return`,
    text: 'return',
  };
  return [`    '${command} ${name}') ${found[value.kind]} ;;`];
}

function choicesOf(value: ValueData): string {
  return value.kind === 'choice' ? value.choices.join(' ') : '';
}

function completeZsh({ options, commands }: ProgramData): string {
  const list = commands.map(({ name, description }) => `        ${quote(`${name}:${description}`)}`);
  return `#compdef eni-agent
_eni-agent() {
  local curcontext=$curcontext state line
  local -A opt_args
  _arguments -C \\
${options.map((option) => `    ${zshOption(option)} \\`).join('\n')}
    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${list.join('\n')}
      )
      _describe command commands ;;
    argument)
      case $line[1] in
${commands.map(zshCommand).join('\n')}
      esac ;;
  esac
}
# Loaded by its name it is to do its work at once; sourced it has nothing to complete.
if [ "$funcstack[1]" = _eni-agent ]; then _eni-agent "$@"; else compdef _eni-agent eni-agent; fi
`;
}

function zshCommand({ name, options, takesNics }: CommandData): string {
  const nics = takesNics ? [`"*:NIC:($(cd ${NICS} && echo *))"`] : [];
  return `        ${name}) _arguments ${[...options.map(zshOption), ...nics].join(' ')} ;;`;
}

function zshOption({ name, description, value }: OptionData): string {
  const after = { file: ':file:_files', folder: ':folder:_files -/', text: ':value: ' };
  const kind =
    value === undefined ? '' : value.kind === 'choice' ? `:value:(${choicesOf(value)})` : after[value.kind];
  return quote(`${name}[${description.replaceAll(/[[\]:]/g, String.raw`\$&`)}]${kind}`);
}

function completeFish({ options, commands }: ProgramData): string {
  const none = `not __fish_seen_subcommand_from ${names(commands)}`;
  const lines = [
    ...options.map((option) => fishOption(none, option)),
    ...commands.map(({ name, description }) => `-n ${quote(none)} -f -a ${name} -d ${quote(description)}`),
    ...commands.flatMap(({ name, options: own, takesNics }) => {
      const seen = `__fish_seen_subcommand_from ${name}`;
      return [
        ...own.map((option) => fishOption(seen, option)),
        `-n ${quote(seen)} -f${takesNics ? ` -a '(command ls ${NICS} 2>/dev/null)'` : ''}`,
      ];
    }),
  ];
  return `# fish completion of eni-agent(8)\n${lines.map((line) => `complete -c eni-agent ${line}\n`).join('')}`;
}

function fishOption(condition: string, { name, description, value }: OptionData): string {
  const after = { file: ' -r -F', folder: " -x -a '(__fish_complete_directories)'", text: ' -x' };
  const kind =
    value === undefined ? '' : value.kind === 'choice' ? ` -x -a '${choicesOf(value)}'` : after[value.kind];
  return `-n ${quote(condition)} -l ${name.replace(/^--/, '')} -d ${quote(description)}${kind}`;
}

/** For all three shells; in fish a backslash would have to be doubled. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
