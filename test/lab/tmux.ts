/** A terminal: Debian's tmux, with one window in which a command runs. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { inNamespace } from './netns.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface TerminalWindow {
  /** What is to be seen, without colours; spaces at the ends of lines are cut off. */
  screen(): Promise<string>;
  /** The same, with its colours as escape sequences. */
  colours(): Promise<string>;
  /** As tmux names them: `q`, `PageDown`, `C-c`; or a text. */
  press(...keys: readonly string[]): Promise<void>;
  resize(size: Size): Promise<void>;
  /** Of the command. */
  pid(): Promise<number>;
  /** As when a connection is lost: who is still in it gets SIGHUP. */
  hangUp(): Promise<void>;
}

/** Runs a shell in it, which runs the command; until the test ends. */
export async function openWindow(
  namespace: string,
  command: readonly string[],
  { columns, rows }: Size,
): Promise<TerminalWindow> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-tmux-'));
  const tmux = async (...args: readonly string[]): Promise<string> =>
    (
      await execa('tmux', ['-S', path.join(folder, 'socket'), '-f', '/dev/null', '-u', ...args], {
        extendEnv: false,
        env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' },
      })
    ).stdout;
  onTestFinished(async () => {
    await tmux('kill-server').catch(() => undefined);
    await rm(folder, { recursive: true });
  });
  const shell = ['sh', '-c', 'echo BEFORE; "$@"; echo "AFTER $?"; exec cat', 'sh', ...command];
  const words = inNamespace(namespace, shell).map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  await tmux(
    'new-session',
    '-d',
    '-x',
    `${columns}`,
    '-y',
    `${rows}`,
    words.join(' '),
    ';',
    'set',
    'status',
    'off',
  );
  return {
    screen: () => tmux('capture-pane', '-p'),
    colours: () => tmux('capture-pane', '-p', '-e'),
    press: async (...keys) => void (await tmux('send-keys', ...keys)),
    pid: async () => {
      const shellPid = (await tmux('display-message', '-p', '#{pane_pid}')).trim();
      const [child = ''] = (await readFile(`/proc/${shellPid}/task/${shellPid}/children`, 'utf8')).split(' ');
      return Number(child);
    },
    hangUp: async () => void (await tmux('kill-server')),
    resize: async (size) => void (await tmux('resize-window', '-x', `${size.columns}`, '-y', `${size.rows}`)),
  };
}
