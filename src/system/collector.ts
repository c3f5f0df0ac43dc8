/**
 * V8 collects garbage when it wants more memory, and who has nothing to do wants none: what a start or a storm of events needed
 * would stay for good. Once it has been quiet, it is given back.
 */

/** So long after the last work: a storm is collected once, after it, and whoever waits for an answer has it. */
const QUIET_MS = 5_000;

export interface Collector {
  /** Something was done that left garbage. */
  worked(): void;
}

/** `collect` is what Node has with --expose-gc; without it nothing happens. The timer keeps no process alive. */
export function createCollector(collect: (() => unknown) | undefined, onCollected: () => void): Collector {
  let timer: NodeJS.Timeout | undefined;
  const giveBack = (): void => {
    collect?.();
    onCollected();
  };
  return {
    worked: () => {
      if (collect === undefined) return;
      // It may be that of a collection which is over.
      if (timer === undefined) timer = setTimeout(giveBack, QUIET_MS).unref();
      else timer.refresh();
    },
  };
}
