/** What `status --watch` shows on a terminal: the last report and what has changed, until it is closed. */
import { createMemo } from '../model/memo.ts';
import type { Report } from './report.ts';
import { type ScrollKey, TakenTerminal } from './terminal.ts';
import { type Change, changesBetween, FOUND, ofTheVm } from './watch-changes.ts';
import { draw, type Terminal, type TimedChange, type View } from './watch-screen.ts';

/** The clock in the first line. */
const TICK_MS = 1_000;
/** Of what has changed: more than any terminal shows. */
const MOST_CHANGES = 100;

export interface LiveScreenOptions {
  readonly paint: Terminal['paint'];
  /** The name of the VM. */
  readonly host: string;
  /** What has changed before. */
  readonly earlier: readonly TimedChange[];
  readonly quit: () => void;
}

export class LiveScreen {
  readonly #terminal: TakenTerminal;
  readonly #drawing: Terminal;
  readonly #clock: NodeJS.Timeout;
  #view: Omit<View, 'now' | 'columns' | 'rows'>;
  #page = 0;

  /** Takes the terminal. */
  constructor({ paint, host, earlier, quit }: LiveScreenOptions) {
    this.#view = { host, report: null, receivedAt: Date.now(), lost: null, changes: earlier, offset: 0 };
    this.#drawing = { paint, memo: createMemo() };
    this.#terminal = new TakenTerminal({
      onResize: () => this.#show(),
      onKey: (key) => {
        if (key === 'quit') quit();
        else this.#show({ offset: scrolled(key, this.#view.offset, this.#page) });
      },
    });
    this.#clock = setInterval(() => this.#show(), TICK_MS);
    this.#show();
  }

  readonly onReport = (report: Report, isFound: boolean): void => {
    const before = this.#view.report;
    const changes = before === null ? [] : changesBetween(before, report);
    this.#note([...(isFound ? [ofTheVm(FOUND)] : []), ...changes]);
    this.#show({ report, receivedAt: Date.now(), lost: null });
  };

  readonly onLost = (lost: string): void => {
    this.#note([ofTheVm(lost)]);
    this.#show({ lost });
  };

  close(): void {
    clearInterval(this.#clock);
    this.#terminal.giveBack();
  }

  #note(changes: readonly Change[]): void {
    const at = Date.now();
    const all = [...this.#view.changes, ...changes.map((change) => ({ ...change, at }))];
    this.#view = { ...this.#view, changes: all.slice(-MOST_CHANGES) };
  }

  #show(change: Partial<View> = {}): void {
    const view = { ...this.#view, ...change };
    const screen = draw({ ...view, now: Date.now(), ...this.#terminal.size() }, this.#drawing);
    this.#view = { ...view, offset: screen.offset };
    this.#page = screen.page;
    this.#terminal.show(screen.lines);
  }
}

/** Past either end is the end: `draw` sees to that. */
function scrolled(key: ScrollKey, offset: number, page: number): number {
  if (key === 'up') return offset - 1;
  if (key === 'down') return offset + 1;
  if (key === 'page-up') return offset - page;
  if (key === 'page-down') return offset + page;
  return key === 'home' ? 0 : Number.MAX_SAFE_INTEGER;
}
