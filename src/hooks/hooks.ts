/**
 * The operator's executables in hooks.d, which are told what has changed once it is verified (docs/decisions/0024). Nothing waits
 * for them. Where there is none nothing is loaded.
 */
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { NetworkEvent } from '../model/events.ts';
import { isBootedBySystemd } from '../system/detached.ts';
import type { Paths } from '../system/paths.ts';
import { findHooks } from './executables.ts';
import type { HookQueue } from './queue.ts';
import type { Hook } from './units.ts';

export interface HookRunner {
  /** Returns at once, and never throws. `timeoutMs`: of one hook. */
  ring(events: readonly NetworkEvent[], timeoutMs: number): void;
  /** Resolves when systemd has all that was rung for. The hooks themselves go on without us. */
  handedOver(): Promise<void>;
  /** The same, but after five seconds the rest is dropped: a service that stops is ended after ten. */
  close(): Promise<void>;
}

const CLOSING_MS = 5_000;

export interface HookParts {
  readonly paths: Paths;
  readonly log: Log;
}

export function createHookRunner(parts: HookParts): HookRunner {
  return new LazyHookRunner(parts);
}

class LazyHookRunner implements HookRunner {
  readonly #parts: HookParts;
  #last: Promise<void> = Promise.resolve();
  #queue: HookQueue | null = null;
  /** What was said of each file that is refused. */
  #refused: ReadonlyMap<string, string> = new Map();
  #isWithoutSystemd = false;

  constructor(parts: HookParts) {
    this.#parts = parts;
  }

  ring(events: readonly NetworkEvent[], timeoutMs: number): void {
    if (events.length === 0) return;
    const { log } = this.#parts;
    this.#last = this.#last
      .then(() => this.#take(events, timeoutMs))
      // Of an upgrade the files that are loaded late, for example.
      .catch((error: unknown) => log.error({ problem: errorMessage(error) }, 'hooks are not run'));
  }

  async handedOver(): Promise<void> {
    await this.#last;
    await this.#queue?.empty();
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#queue?.drop('the service stops'), CLOSING_MS);
    await this.handedOver();
    clearTimeout(timer);
  }

  async #take(events: readonly NetworkEvent[], timeoutMs: number): Promise<void> {
    const executables = await this.#find(events);
    const hooks = events.flatMap((event): readonly Hook[] =>
      (executables.get(event.name) ?? []).map((executable) => ({ executable, event, timeoutMs })),
    );
    if (hooks.length === 0 || !(await this.#hasSystemd())) return;
    this.#queue ??= (await import('./queue.ts')).createQueue(this.#parts);
    await this.#queue.add(hooks);
  }

  async #find(events: readonly NetworkEvent[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const { paths, log } = this.#parts;
    const executables = new Map<string, readonly string[]>();
    const refused = new Map(this.#refused);
    for (const name of new Set(events.map((event) => event.name))) {
      const found = await findHooks(paths, name);
      executables.set(name, found.executables);
      for (const file of found.executables) refused.delete(file);
      for (const [file, problem] of found.refused) {
        if (refused.get(file) !== problem) log.error({ hook: file, problem }, 'hook refused');
        refused.set(file, problem);
      }
    }
    this.#refused = refused;
    return executables;
  }

  async #hasSystemd(): Promise<boolean> {
    if (await isBootedBySystemd(this.#parts.paths)) return true;
    if (!this.#isWithoutSystemd)
      this.#parts.log.warn(
        { folder: this.#parts.paths.hooks },
        'hooks are not run: they are units of systemd, which is not here',
      );
    this.#isWithoutSystemd = true;
    return false;
  }
}
