/** What became of an address that others set, from what the kernel of the VM announced. */
import type { Monitor, MonitorLine } from './monitor.ts';

type Change = 'appeared' | 'went';

/** How often it appeared on the VM, or went. */
export function countOf(monitor: Monitor, address: string, change: Change): number {
  return addressEvents(monitor, address, change).length;
}

/** How long after each time that it appeared or went its rule did so too, milliseconds; Infinity where there is one without the other. */
export function ruleLags(monitor: Monitor, address: string): readonly number[] {
  return (['appeared', 'went'] as const).flatMap((change) => {
    const rules = eventsOf(monitor, 'RULE', change).filter(({ text }) =>
      text.includes(`\tfrom ${address} lookup `),
    );
    const addresses = addressEvents(monitor, address, change);
    const count = Math.max(rules.length, addresses.length);
    return Array.from({ length: count }, (_, index) => {
      const [rule, set] = [rules[index]?.at, addresses[index]?.at];
      return rule === undefined || set === undefined ? Number.POSITIVE_INFINITY : rule - set;
    });
  });
}

function addressEvents(monitor: Monitor, address: string, change: Change): readonly MonitorLine[] {
  return eventsOf(monitor, 'ADDR', change).filter(({ text }) => text.includes(` inet ${address}/`));
}

function eventsOf(monitor: Monitor, label: 'ADDR' | 'RULE', change: Change): readonly MonitorLine[] {
  return monitor
    .lines()
    .filter(
      ({ text }) =>
        text.startsWith(`[${label}]`) && text.startsWith(`[${label}]Deleted`) === (change === 'went'),
    );
}
