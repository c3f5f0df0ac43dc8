/** Steps that name links by the index that these had at another time: of another boot, or from before a NIC was pulled. */
import type { Link } from '../model/host.ts';
import type { MacAddress } from '../model/net.ts';
import type { KernelStep, StepArguments } from '../model/plan.ts';
import type { Trial } from '../model/trial.ts';

/** The same steps with the indexes of today; what was on a link that is gone went with it. */
export function relink(
  steps: readonly KernelStep[],
  then: Trial['links'],
  now: readonly Pick<Link, 'index' | 'mac' | 'permanentMac'>[],
): readonly KernelStep[] {
  const today = (index: number): number | undefined => {
    const mac = then.find((link) => link.index === index)?.mac;
    const candidates = now.filter((link) => mac !== undefined && (link.permanentMac ?? link.mac) === mac);
    // A VLAN has the MAC of the NIC that it is on, and comes after it.
    return (candidates.find((link) => link.index === index) ?? candidates[0])?.index;
  };
  return steps.flatMap((step) => {
    const args = relinkArguments(step.arguments, today);
    return args === null ? [] : [{ ...step, arguments: args } as KernelStep];
  });
}

function relinkArguments(
  args: KernelStep['arguments'],
  today: (index: number) => number | undefined,
): KernelStep['arguments'] | null {
  if ('linkIndex' in args) {
    const linkIndex = today(args.linkIndex);
    return linkIndex === undefined ? null : { ...args, linkIndex };
  }
  if (!('nexthops' in args)) return args;
  const nexthops = args.nexthops.map(({ gateway, linkIndex }) => ({ gateway, linkIndex: today(linkIndex) }));
  return nexthops.every(isThere) ? { ...args, nexthops } : null;
}

type Nexthop = StepArguments['add-route']['nexthops'][number];

function isThere(nexthop: {
  gateway: Nexthop['gateway'];
  linkIndex: number | undefined;
}): nexthop is Nexthop {
  return nexthop.linkIndex !== undefined;
}

/** What relink() needs to know of today at another time. */
export function linksByIndex(links: readonly Link[]): Trial['links'] {
  return links.flatMap(({ index, mac, permanentMac }) => {
    const known: MacAddress | null = permanentMac ?? mac;
    return known === null ? [] : [{ index, mac: known }];
  });
}
