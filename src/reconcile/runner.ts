/**
 * One run at a time, and no request is lost: what rings while a run is under way makes one more run, however often it rings.
 * A piece of work that must not overlap with runs (an operator's command) waits for its turn.
 */
export interface Runner<Trigger> {
  ring(trigger: Trigger): void;
  /** Runs the work when no run is under way. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Takes no more; resolves when what is under way has ended. */
  stop(): Promise<void>;
}

/** `run` never rejects; it gets every trigger that rang since the last run began. */
export function createRunner<Trigger>(
  run: (triggers: ReadonlySet<Trigger>) => Promise<void>,
): Runner<Trigger> {
  let rung = new Set<Trigger>();
  let isQueued = false;
  let isStopped = false;
  let last: Promise<unknown> = Promise.resolve();

  function enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  }

  async function runRung(): Promise<void> {
    isQueued = false;
    if (isStopped) return;
    const triggers = rung;
    rung = new Set();
    await run(triggers);
  }

  return {
    ring: (trigger) => {
      rung.add(trigger);
      if (isQueued || isStopped) return;
      isQueued = true;
      void enqueue(runRung);
    },
    exclusive: enqueue,
    stop: async () => {
      isStopped = true;
      await last;
    },
  };
}
