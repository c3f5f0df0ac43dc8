/** Completions, asked for in the shells themselves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCommands } from '../../packaging/commands.ts';
import { COMPLETIONS } from '../../packaging/completions.ts';

const PROGRAM = readCommands();
const COMMANDS = PROGRAM.commands.map(({ name }) => name);
let folder = '';
const fileOf = (shell: keyof typeof COMPLETIONS): string => path.join(folder, shell);

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-completions-'));
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    await writeFile(fileOf(shell), COMPLETIONS[shell](PROGRAM));
  await writeFile(path.join(folder, 'file with spaces'), '');
});

afterAll(() => rm(folder, { recursive: true }));

async function askBash(line: string): Promise<readonly string[]> {
  const script = `set -u; source "$1"; read -ra COMP_WORDS <<< "$2"; [[ $2 == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); compopt() { :; }; _eni_agent; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await execa('bash', ['-c', script, 'bash', fileOf('bash'), `eni-agent ${line}`], {
    cwd: folder,
  });
  return stdout.split('\n');
}

async function askFish(line: string): Promise<readonly string[]> {
  const script = `source ${fileOf('fish')}; complete -C 'eni-agent ${line}'`;
  const { stdout } = await execa('fish', ['--no-config', '-c', script], {
    cwd: folder,
    env: { HOME: folder },
  });
  return stdout.split('\n').map((answer) => answer.split('\t')[0] ?? '');
}

/** What zsh writes to a terminal of its own when Tab is pressed behind `line`, up to `last`. */
async function pressTabInZsh(line: string, last: string): Promise<string> {
  const script = `
    zmodload zsh/zpty
    zpty -b terminal zsh -f -i
    up_to() {
      local text part
      while [[ $text != *$1* ]]; do zpty -r terminal part && text+=$part || read -t 0.01; done
      print -r -- "$text"
    }
    zpty -w terminal "stty columns 300; autoload -U compinit; compinit -u -D; source $1; echo rea''dy"
    up_to ready > /dev/null
    zpty -w -n terminal "eni-agent $2"$'\t'
    up_to "$3"`;
  const args = ['-f', '-c', script, 'zsh', fileOf('zsh'), line, last];
  const { stdout } = await execa('zsh', args, { cwd: folder, env: { ZDOTDIR: folder }, timeout: 20_000 });
  return stdout;
}

describe('zsh', () => {
  test('knows every command', async () => {
    const listed = await pressTabInZsh('', 'status');
    for (const { name, description } of PROGRAM.commands)
      if (name < 'status') expect(listed).toMatch(new RegExp(`${name} +-- ${description.slice(0, 20)}`));
  });

  test('completes the name of a command, and the choices of an option', async () => {
    expect(await pressTabInZsh('reco', 'reconfigure')).toContain('eni-agent reconfigure');
    expect(await pressTabInZsh('--log-level si', 'silent')).toContain('eni-agent --log-level silent');
  });

  test('knows every option of a command', async () => {
    const listed = await pressTabInZsh('plan --', '--json');
    for (const option of ['--check', '--help', '--json']) expect(listed).toContain(`${option} `);
  });

  test('offers the NICs where they are taken', async () => {
    expect(await pressTabInZsh('release l', 'release lo')).toContain('eni-agent release lo');
  });
});

describe.each([
  ['bash', askBash],
  ['fish', askFish],
] as const)('%s', (_, ask) => {
  test('knows every command', async () => {
    expect((await ask('')).filter((word) => !word.startsWith('-')).toSorted()).toEqual(COMMANDS.toSorted());
    expect(await ask('reco')).toEqual(['reconfigure']);
  });

  test('knows every option of each command', async () => {
    for (const { name, options } of PROGRAM.commands) {
      const answers = await ask(`${name} --`);
      expect(answers.toSorted(), name).toEqual(options.map((option) => option.name).toSorted());
    }
  });

  test('knows what may follow an option: choices, files, nothing', async () => {
    expect(await ask('--log-level si')).toEqual(['silent']);
    const files = (await ask('config --check fi')).map((file) => file.replaceAll('\\', ''));
    expect(files).toEqual(['file with spaces', 'fish']);
    expect(await ask('boot --timeout ')).toEqual(['']);
  });

  test('offers the NICs where they are taken, also behind general options', async () => {
    expect(await ask('--log-level debug plan l')).toEqual(['lo']);
    expect(await ask('status l')).toEqual(['']);
  });
});
