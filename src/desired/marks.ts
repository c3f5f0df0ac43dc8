/** With `routing.forwarded: connmark` a connection remembers the NIC it came in by (docs/decisions/0013). */
import type { Config } from '../model/config.ts';
import type { NicProblem } from '../model/desired.ts';
import { type ConnectionMark, type FirewallMark, formatMark, isSameMark, markOfSlot } from '../model/mark.ts';
import type { MacAddress } from '../model/net.ts';
import type { KnownNic } from './addresses.ts';
import { familiesOf } from './routes.ts';
import type { SlotChoice } from './slots.ts';

export interface MarkContext {
  readonly config: Config;
  readonly managed: readonly KnownNic[];
  readonly slots: ReadonlyMap<MacAddress, SlotChoice>;
  readonly problems: NicProblem[];
}

/**
 * Null when it has none: not asked for, or the mask is so small that another NIC has the same. The primary has one also while it
 * needs no table: a connection from before the first secondary must be answered by it afterwards as well.
 */
export function nicMark(
  nic: KnownNic,
  { config, managed, slots, problems }: MarkContext,
): FirewallMark | null {
  const { forwarded, forwardedMask, primary } = config.routing;
  if (forwarded === 'off' || (nic.role === 'primary' && primary === 'never')) return null;
  const slotOf = ({ mac }: KnownNic): number => slots.get(mac)?.slot ?? 0;
  const markOf = (of: KnownNic): FirewallMark => markOfSlot(slotOf(of), forwardedMask);
  const mark = markOf(nic);
  const rival = managed.find((other) => slotOf(other) < slotOf(nic) && isSameMark(markOf(other), mark));
  if (rival === undefined) return mark;
  problems.push({
    mac: nic.mac,
    message:
      `marking the connections of ${nic.link.ifname}: mark ${formatMark(mark)} is that of ${rival.link.ifname}; ` +
      'choose a routing.forwardedMask with more bits',
    isAboutMarks: true,
  });
  return null;
}

export function nicMarks(nic: KnownNic, mark: FirewallMark | null): readonly ConnectionMark[] {
  if (mark === null) return [];
  return familiesOf(nic).map((family) => ({ family, ifname: nic.link.ifname, ...mark }));
}
