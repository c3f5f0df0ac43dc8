/** On how many VMs an address was, and for how long, from what their kernels announced. */
import type { Monitor } from './monitor.ts';

interface Coverage {
  /** The longest time that more than one VM had it, milliseconds. */
  readonly onBothMs: number;
  /** The longest time that none had it, from its first appearance on. */
  readonly onNoneMs: number;
}

/** The monitors have run since before the address was anywhere. */
export function coverageOf(monitors: readonly Monitor[], address: string): Coverage {
  const changes = monitors.flatMap((monitor) => changesOf(monitor, address)).toSorted((a, b) => a.at - b.at);
  let holders = 0;
  let since = 0;
  let onBothMs = 0;
  let onNoneMs = 0;
  for (const [index, { at, by }] of changes.entries()) {
    if (holders > 1) onBothMs = Math.max(onBothMs, at - since);
    if (holders === 0 && index > 0) onNoneMs = Math.max(onNoneMs, at - since);
    holders += by;
    since = at;
  }
  return { onBothMs, onNoneMs };
}

function changesOf(
  monitor: Monitor,
  address: string,
): readonly { readonly at: number; readonly by: 1 | -1 }[] {
  return monitor
    .lines()
    .filter(({ text }) => text.startsWith('[ADDR]') && text.includes(` inet ${address}/`))
    .map(({ at, text }) => ({ at, by: text.startsWith('[ADDR]Deleted') ? -1 : 1 }));
}
