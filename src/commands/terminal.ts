/** A terminal that is taken over whole, and given back as it was. */
import { emitKeypressEvents, type Key } from 'node:readline';

/** Escape sequences of xterm (ctlseqs), which every terminal of today and tmux and the Linux console know. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
/** The cursor and wrapping back, and what was on the screen before. */
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const CLEAR = '\u001b[2J';
/** For a terminal that does not tell. */
const SIZE = { columns: 80, rows: 24 };

export type ScrollKey = 'up' | 'down' | 'page-up' | 'page-down' | 'home' | 'end';

const SCROLL_KEYS: Readonly<Record<string, ScrollKey>> = {
  up: 'up',
  k: 'up',
  down: 'down',
  j: 'down',
  pageup: 'page-up',
  b: 'page-up',
  pagedown: 'page-down',
  space: 'page-down',
  home: 'home',
  g: 'home',
  end: 'end',
};

export interface TerminalListener {
  readonly onResize: () => void;
  readonly onKey: (key: ScrollKey | 'quit') => void;
}

/** Without a terminal behind stdin there are no keys: a signal ends what is shown. */
export class TakenTerminal {
  readonly #listener: TerminalListener;
  #shown: readonly string[] = [];
  #isTaken = true;

  constructor(listener: TerminalListener) {
    this.#listener = listener;
    // Also a process that dies of an error gives it back, before Node says why: what is written to a terminal is there at once.
    process.once('exit', this.#atExit);
    process.stdout.write(ENTER);
    process.stdout.on('resize', this.#resized);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    emitKeypressEvents(process.stdin);
    process.stdin.on('keypress', this.#pressed);
    process.stdin.resume();
  }

  size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = process.stdout;
    return { columns: columns || SIZE.columns, rows: rows || SIZE.rows };
  }

  /** What is there already is not written again. */
  show(lines: readonly string[]): void {
    const changed = lines.flatMap((line, row) =>
      line === this.#shown[row] ? [] : [`\u001b[${row + 1};1H\u001b[K${line}`],
    );
    this.#shown = lines;
    if (changed.length > 0) process.stdout.write(changed.join(''));
  }

  giveBack(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    process.off('exit', this.#atExit);
    process.stdout.off('resize', this.#resized);
    process.stdin.off('keypress', this.#pressed);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write(LEAVE);
  }

  readonly #atExit = (): void => this.giveBack();

  readonly #resized = (): void => {
    this.#shown = [];
    process.stdout.write(CLEAR);
    this.#listener.onResize();
  };

  readonly #pressed = (_: string | undefined, key: Key): void => {
    if (key.name === 'q' || (key.ctrl === true && key.name === 'c')) return this.#listener.onKey('quit');
    const scroll = key.sequence === 'G' ? 'end' : SCROLL_KEYS[key.name ?? ''];
    if (scroll !== undefined) this.#listener.onKey(scroll);
  };
}
