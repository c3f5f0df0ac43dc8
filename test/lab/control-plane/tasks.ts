/** The control plane's work in the background: each task holds its ENIs until it is over. */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { DescribeVpcTaskResultResponse } from './api.ts';

interface Task {
  Status: DescribeVpcTaskResultResponse['Status'];
  error?: Error;
  readonly over: Promise<void>;
}

export class Tasks {
  readonly #tasks = new Map<string, Task>();
  readonly #held = new Set<string>();

  /** The work begins after the caller has answered. Returns the task's id. */
  begin(eniIds: readonly string[], work: () => Promise<void>): string {
    const id = randomUUID();
    for (const eniId of eniIds) this.#held.add(eniId);
    this.#tasks.set(id, { Status: 'RUNNING', over: this.#perform(id, eniIds, work) });
    return id;
  }

  isHeld(eniId: string): boolean {
    return this.#held.has(eniId);
  }

  get(id: string): Readonly<Task> | undefined {
    return this.#tasks.get(id);
  }

  /** Never rejects: somebody may ask for the outcome later, or nobody. */
  async #perform(id: string, eniIds: readonly string[], work: () => Promise<void>): Promise<void> {
    await setImmediate();
    const error = await work().then(
      () => undefined,
      (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason))),
    );
    for (const eniId of eniIds) this.#held.delete(eniId);
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    task.Status = error === undefined ? 'SUCCESS' : 'FAILED';
    if (error !== undefined) task.error = error;
  }
}
