/** Hands hooks over to systemd, one after the other. What is too much is dropped, never waited for. */
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Paths } from '../system/paths.ts';
import { describeHook } from './environment.ts';
import { type Hook, loadedHooks, startHook, systemdVersion } from './units.ts';

/** Here and in systemd together. The largest VM of the quotas has 8 NICs of 30 addresses: that many, and the NICs, at once. */
export const MOST_WAITING = 256;

export interface HookQueue {
  /** Takes as many as there is room for; says once that some are dropped, until all fit again. */
  add(hooks: readonly Hook[]): Promise<void>;
  /** Resolves when systemd has them all. */
  empty(): Promise<void>;
  /** What systemd does not have yet is dropped, which the log says. */
  drop(problem: string): void;
}

export function createQueue(parts: { readonly paths: Pick<Paths, 'below'>; readonly log: Log }): HookQueue {
  return new SystemdQueue(parts);
}

class SystemdQueue implements HookQueue {
  readonly #paths: Pick<Paths, 'below'>;
  readonly #log: Log;
  #waiting: Hook[] = [];
  #handingOver: Promise<void> | null = null;
  #version: number | null = null;
  #isFull = false;
  #problem: string | null = null;

  constructor({ paths, log }: { readonly paths: Pick<Paths, 'below'>; readonly log: Log }) {
    this.#paths = paths;
    this.#log = log;
  }

  async add(hooks: readonly Hook[]): Promise<void> {
    const loaded = await loadedHooks(this.#paths);
    const room = Math.max(0, MOST_WAITING - loaded.length - this.#waiting.length);
    const dropped = hooks.slice(room);
    this.#tell(dropped);
    this.#waiting.push(...hooks.slice(0, room));
    if (this.#waiting.length > 0) this.#handingOver ??= this.#handOver();
  }

  async empty(): Promise<void> {
    await this.#handingOver;
  }

  drop(problem: string): void {
    const dropped = this.#waiting.length;
    this.#waiting = [];
    this.#log[problem === this.#problem ? 'debug' : 'error']({ problem, dropped }, 'hooks are not run');
    this.#problem = problem;
  }

  #tell(dropped: readonly Hook[]): void {
    const [first] = dropped;
    if (first !== undefined) {
      const fields = {
        most: MOST_WAITING,
        dropped: dropped.length,
        first: describeHook(first.executable, first.event),
      };
      this.#log[this.#isFull ? 'debug' : 'warn'](
        fields,
        'hooks are too slow, what is too much is dropped; see journalctl -u "eni-agent-hook-*"',
      );
    }
    this.#isFull = first !== undefined;
  }

  async #handOver(): Promise<void> {
    try {
      for (let hook = this.#waiting[0]; hook !== undefined; hook = this.#waiting[0]) {
        this.#version ??= await systemdVersion();
        await startHook(hook, this.#version, (await loadedHooks(this.#paths)).at(-1));
        this.#waiting.shift();
        this.#problem = null;
      }
    } catch (error) {
      // It would refuse the others, too, as it does when the machine goes down.
      this.drop(errorMessage(error));
    }
    this.#handingOver = null;
  }
}
