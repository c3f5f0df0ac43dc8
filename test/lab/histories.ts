/**
 * Random histories of a VM: what the cloud, the kernel, other people, faults and a kill do to it, and runs of the agent in between. One
 * generator for the pure stages on a simulated kernel and for the whole program on a real one.
 */
import fc from 'fast-check';

/** NIC 1 is the primary; 4 is in its subnet. NIC n has addresses 10.0.SUBNET.(20 n + k), k = 0 its primary address. */
const SUBNETS: Readonly<Record<number, number>> = { 1: 0, 2: 1, 3: 2, 4: 0 };
const SECONDARIES = [2, 3, 4];
const MOST_ADDRESSES = 4;
const FOREIGN_THINGS = 3;
/** Of the calls, or steps, of a run. */
const MOST_CALLS = 30;

/** What the metadata service does until it does something else. `one-nic`: only what it says of that NIC is broken. */
export type Fault = 'none' | 'down' | 'empty' | 'error-500' | 'truncated' | 'one-nic';

export type HistoryEvent =
  | { readonly kind: 'attach' | 'detach' | 'hide' | 'show' | 'link-down' | 'link-up'; readonly nic: number }
  | { readonly kind: 'assign' | 'unassign'; readonly nic: number; readonly k: number }
  /** Somebody undoes what the agent did. */
  | { readonly kind: 'lose-address' | 'lose-rule'; readonly nic: number; readonly k: number }
  /** Others' address on a NIC, rule, route. */
  | {
      readonly kind: 'foreign-address' | 'foreign-rule' | 'foreign-route';
      readonly nic: number;
      readonly k: number;
    }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly nic: number }
  /** `killedAt`: before so many things were done; null when it is left alone. */
  | { readonly kind: 'run'; readonly killedAt: number | null };

const anySecondary = fc.constantFrom(...SECONDARIES);
const anyNic = fc.constantFrom(1, ...SECONDARIES);
const anyK = fc.integer({ min: 1, max: MOST_ADDRESSES - 1 });

function onSecondary<const Kind extends string>(kind: Kind) {
  return fc.record({ kind: fc.constant(kind), nic: anySecondary });
}

function onAddress<const Kind extends string>(kind: Kind) {
  return fc.record({ kind: fc.constant(kind), nic: anyNic, k: anyK });
}

const anyEvent: fc.Arbitrary<HistoryEvent> = fc.oneof(
  { weight: 4, arbitrary: onSecondary('attach') },
  { weight: 2, arbitrary: onSecondary('detach') },
  onSecondary('hide'),
  onSecondary('show'),
  onSecondary('link-down'),
  onSecondary('link-up'),
  { weight: 3, arbitrary: onAddress('assign') },
  { weight: 2, arbitrary: onAddress('unassign') },
  onAddress('lose-address'),
  onAddress('lose-rule'),
  onAddress('foreign-address'),
  onAddress('foreign-rule'),
  onAddress('foreign-route'),
  fc.record({
    kind: fc.constant('fault' as const),
    fault: fc.constantFrom<Fault>('none', 'none', 'down', 'empty', 'error-500', 'truncated', 'one-nic'),
    nic: anyNic,
  }),
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      killedAt: fc.option(fc.integer({ min: 1, max: MOST_CALLS }), { freq: 3 }),
    }),
  },
);

export function anyHistory(maxLength: number): fc.Arbitrary<readonly HistoryEvent[]> {
  return fc.array(anyEvent, { maxLength, size: 'max' });
}

export function addressOf(nic: number, k: number): string {
  return `10.0.${SUBNETS[nic]}.${20 * nic + k}`;
}

export function gatewayOf(nic: number): string {
  return `10.0.${SUBNETS[nic]}.1`;
}

/** In the NIC's subnet, of nobody. */
export function foreignAddress(nic: number, k: number): string {
  return `10.0.${SUBNETS[nic]}.${100 + 20 * nic + k}`;
}

/** What the cloud has, by NIC: the k of its addresses, and whether the metadata lists it. */
export class CloudModel {
  readonly nics = new Map<number, { readonly ks: Set<number>; isListed: boolean }>([
    [1, { ks: new Set([0]), isListed: true }],
  ]);

  /** False for what cannot happen now: such an event is passed over. */
  apply(event: HistoryEvent): boolean {
    if (
      event.kind === 'fault' ||
      event.kind === 'run' ||
      event.kind === 'foreign-rule' ||
      event.kind === 'foreign-route'
    )
      return true;
    const nic = this.nics.get(event.nic);
    if (event.kind === 'attach') {
      if (nic === undefined) this.nics.set(event.nic, { ks: new Set([0, 1]), isListed: true });
      return nic === undefined;
    }
    if (nic === undefined) return false;
    switch (event.kind) {
      case 'detach':
        return this.nics.delete(event.nic);
      case 'hide':
      case 'show': {
        const isListed = event.kind === 'show';
        if (nic.isListed === isListed) return false;
        nic.isListed = isListed;
        return true;
      }
      case 'assign':
        if (nic.ks.has(event.k)) return false;
        nic.ks.add(event.k);
        return true;
      case 'unassign':
        return nic.ks.delete(event.k);
      default:
        return true;
    }
  }
}

/** Those that can happen, in order, and what the cloud has afterwards. */
export function happening(events: readonly HistoryEvent[]) {
  const cloud = new CloudModel();
  return { events: events.filter((event) => cloud.apply(event)), cloud };
}

/** Addresses that the cloud has and lists. */
export function listedIn({ nics }: CloudModel): readonly string[] {
  const listed = [...nics].filter(([, { isListed }]) => isListed);
  return listed.flatMap(([nic, { ks }]) => [...ks].map((k) => addressOf(nic, k)));
}

/** So many times each foreign thing comes and goes by turns. */
export const FOREIGN_KS: readonly number[] = Array.from({ length: FOREIGN_THINGS }, (_, index) => index + 1);

/** The shortest way there: what is attached, with its addresses, and one run. */
export function shortcut({ nics }: CloudModel): readonly HistoryEvent[] {
  return [...nics]
    .filter(([, { isListed }]) => isListed)
    .flatMap(([nic, { ks }]): HistoryEvent[] => [
      ...(nic === 1 ? [] : [{ kind: 'attach' as const, nic }]),
      ...(nic !== 1 && !ks.has(1) ? [{ kind: 'unassign' as const, nic, k: 1 }] : []),
      ...[...ks].filter((k) => k > (nic === 1 ? 0 : 1)).map((k) => ({ kind: 'assign' as const, nic, k })),
    ]);
}

/** Whatever is not listed at the end goes for good, so that the end is one that the shortcut can reach. */
export function farewells({ nics }: CloudModel): readonly HistoryEvent[] {
  const unlisted = [...nics].filter(([, { isListed }]) => !isListed);
  return unlisted.map(([nic]) => ({ kind: 'detach' as const, nic }));
}
