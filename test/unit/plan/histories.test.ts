/** Random histories against the pure stages: whatever happened on the way, the end is right, and nobody else's things were touched. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { HostState, Route } from '../../../src/model/host.ts';
import type { InstanceMetadata } from '../../../src/model/metadata.ts';
import type { AddressArguments } from '../../../src/model/plan.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import { intendedNics } from '../../../src/reconcile/ownership.ts';
import { type Fetched, readingOf } from '../../../src/reconcile/reading.ts';
import {
  addressOf,
  anyHistory,
  CloudModel,
  type Fault,
  FOREIGN_KS,
  farewells,
  foreignAddress,
  gatewayOf,
  type HistoryEvent,
  happening,
  listedIn,
  shortcut,
} from '../../lab/histories.ts';
import { seeded, sized } from '../../lab/settled.ts';
import {
  addressesOf,
  cidr,
  configOf,
  connectedRoute,
  dumpHost,
  eni,
  hostOf,
  instance,
  ip,
  link,
  macOf,
  otherLink,
  rule,
  TABLE_BASE,
} from '../builders.ts';
import { SHIPPED, unplug } from '../scenarios.ts';
import {
  addAddress,
  applyToHost,
  lookAt,
  removeAddress,
  runOnce,
  setDown,
  setUp,
  type World,
} from '../simulator.ts';

const HISTORIES = sized(30, 2_000);
const LONGEST = 40;
const TIMEOUT_MS = sized(30_000, 600_000);
const OTHER_LINK = 20;
const [SOMEWHERE = { address: ip('198.18.0.254'), prefixLength: 24 }] = addressesOf('198.18.0.254/24');

interface Scene {
  readonly cloud: CloudModel;
  readonly world: World;
  readonly fault: Fault;
  readonly faultyNic: number;
}

function beginning(): Scene {
  const primary = link(1, 'eth0', { addresses: `${addressOf(1, 0)}/24` });
  const host = hostOf({
    links: [primary, otherLink(OTHER_LINK, 'other0', { addresses: '198.18.0.254/24' })],
    routes: [`default via ${gatewayOf(1)} dev eth0 metric 100`, '172.16.0.0/16 via 10.0.0.253 dev eth0'],
    rules: [
      'from all lookup 255 priority 0',
      'from all lookup 254 priority 32766',
      'from all lookup 253 priority 32767',
    ],
    files: {},
  });
  const cloud = new CloudModel();
  const world = { metadata: metadataOf(cloud), host, config: configOf(), templates: SHIPPED };
  return { cloud, world, fault: 'none', faultyNic: 1 };
}

function metadataOf({ nics }: CloudModel): InstanceMetadata {
  const listed = [...nics].filter(([, { isListed }]) => isListed).toSorted(([a], [b]) => a - b);
  return instance(
    listed.map(([nic, { ks }]) => {
      const addresses = [...ks].toSorted((a, b) => a - b).map((k) => `${addressOf(nic, k)}/24`);
      return eni(nic, addresses.join(' '), gatewayOf(nic));
    }),
  );
}

/** What one reading gives. */
function fetched({ cloud, fault, faultyNic }: Scene): Fetched {
  const metadata = metadataOf(cloud);
  if (fault === 'none') return { metadata };
  if (fault !== 'one-nic') return { failure: new AgentError('metadata-unreachable', fault) };
  const mac = macOf(faultyNic);
  if (!metadata.nics.some((nic) => nic.mac === mac)) return { metadata };
  const nics = metadata.nics.filter((nic) => nic.mac !== mac);
  return { metadata: { ...metadata, nics, invalid: [{ mac, problem: 'broken' }] } };
}

function happen(scene: Scene, event: HistoryEvent): Scene {
  if (!scene.cloud.apply(event)) return scene;
  if (event.kind === 'run') return run(scene, event.killedAt);
  if (event.kind === 'fault') return { ...scene, fault: event.fault, faultyNic: event.nic };
  return withHost(scene, changedHost(scene.world.host, event));
}

function withHost(scene: Scene, host: HostState): Scene {
  return { ...scene, world: { ...scene.world, metadata: metadataOf(scene.cloud), host } };
}

/** What the event does to the kernel. */
function changedHost(host: HostState, event: Exclude<HistoryEvent, { kind: 'run' | 'fault' }>): HostState {
  const index = event.nic + 1;
  switch (event.kind) {
    case 'attach':
      return plugged(host, event.nic);
    case 'detach':
      return unplug(host, macOf(event.nic));
    case 'link-down':
      return setDown(host, index);
    case 'link-up':
      return setUp(host, index);
    case 'lose-address':
      return removeAddress(host, addressOn(index, `${addressOf(event.nic, event.k)}/24`));
    case 'lose-rule': {
      const source = `${addressOf(event.nic, event.k)}/32`;
      return { ...host, rules: host.rules.filter((entry) => entry.source !== source) };
    }
    case 'foreign-address':
      return toggleAddress(host, addressOn(index, `${foreignAddress(event.nic, event.k)}/32`));
    case 'foreign-rule': {
      const added = rule(`from 100.64.${event.k}.0/24 lookup 100 priority ${1_000 + event.k}`);
      return { ...host, rules: toggled(host.rules, added, ({ priority }) => priority === added.priority) };
    }
    case 'foreign-route': {
      const destination = cidr(`100.65.${event.k}.0/24`);
      const nexthops = [{ gateway: null, linkIndex: OTHER_LINK }];
      const added: Route = {
        ...connectedRoute({ index: OTHER_LINK }, SOMEWHERE),
        destination,
        nexthops,
        protocol: 4,
      };
      return { ...host, routes: toggled(host.routes, added, (entry) => entry.destination === destination) };
    }
    default:
      return host;
  }
}

function plugged(host: HostState, nic: number): HostState {
  return { ...host, links: [...host.links, link(nic, `eth${nic - 1}`, { up: false })] };
}

function addressOn(linkIndex: number, text: string): AddressArguments {
  const [address] = addressesOf(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return { linkIndex, ...address, deprecated: false };
}

function toggleAddress(host: HostState, args: AddressArguments): HostState {
  const { addresses } = host.links.find(({ index }) => index === args.linkIndex) ?? { addresses: [] };
  const isThere = addresses.some(({ address }) => address === args.address);
  return isThere ? removeAddress(host, args) : addAddress(host, args);
}

function toggled<T>(list: readonly T[], added: T, isIt: (entry: T) => boolean): readonly T[] {
  return list.some(isIt) ? list.filter((entry) => !isIt(entry)) : [...list, added];
}

/** Killed: the intent is written, some steps are done, nothing is remembered. By the last good answer nothing is withdrawn. */
function run(scene: Scene, killedAt: number | null): Scene {
  const before = scene.world.host;
  const world = reading(scene);
  if (world === undefined) return scene;
  const { plan, desired } = lookAt(world);
  const isKnown = 'metadata' in fetched(scene);
  const steps = plan.steps.filter(({ withdrawal }) => isKnown || !withdrawal);
  const nics = intendedNics(before.state.nics, desired.interfaces, steps);
  const intended = { ...before, state: { ...before.state, nics } };
  const done = killedAt === null ? steps : steps.slice(0, killedAt - 1);
  const after = killedAt === null && isKnown ? runOnce(world).host : applyToHost(intended, done);
  expect(ofOthers(after)).toEqual(ofOthers(before));
  // Whatever the metadata service says, or says no more.
  const kept = [...listedAddresses(scene.cloud, before)];
  expect(listedAddresses(scene.cloud, after)).toEqual(expect.arrayContaining(kept));
  if (killedAt === null) {
    const left = lookAt({ ...world, host: after }).plan.steps.filter(
      ({ withdrawal }) => isKnown || !withdrawal,
    );
    expect(left.map(describeStep)).toEqual([]);
  }
  return withHost(scene, after);
}

/** By the last good answer where there is no other; undefined where there is none at all. */
function reading(scene: Scene): World | undefined {
  try {
    return { ...scene.world, metadata: readingOf(fetched(scene), scene.world.host).metadata };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return undefined;
  }
}

function stepsOf(world: World): readonly string[] {
  return lookAt(world).plan.steps.map(describeStep);
}

/** Of those that the cloud has and lists, what is there. */
function listedAddresses(cloud: CloudModel, host: HostState): readonly string[] {
  const listed = listedIn(cloud).map((address) => `address ${address}/24 `);
  return dumpHost(host).filter((line) => listed.some((beginning) => line.startsWith(beginning)));
}

/** What is nobody's but others', whatever the agent does: all that the history brought, the primary's address, main's other routes. */
function ofOthers(host: HostState): readonly string[] {
  return dumpHost(host).filter((line) => OTHERS.some((pattern) => pattern.test(line)));
}

const OTHERS = [
  /^rule .* priority (?!21\d{3}$)/,
  /^address 10\.0\.\d+\.1\d\d\/32 /,
  /^address 10\.0\.0\.20\/24 dev eth0/,
  /^address .* dev other0/,
  /^route (?:0\.0\.0\.0\/0|172\.16\.|100\.65\.|198\.18\.).* table main/,
];

/** Of tables, which follow the order of attaching, the NIC remains; of the state, nothing. */
function network({ host }: World): readonly string[] {
  const tables = Object.entries(host.state.nics).map(([mac, { slot }]) => [TABLE_BASE + slot, mac] as const);
  const named = dumpHost(host).map((line) =>
    tables.reduce((text, [table, mac]) => text.replaceAll(String(table), `TABLE-OF-${mac}`), line),
  );
  return named.toSorted();
}

/** All is well again, and two runs end it. */
function ending(scene: Scene): Scene {
  const { cloud } = scene;
  const gone = farewells(cloud).reduce(happen, scene);
  const well: HistoryEvent[] = [
    { kind: 'fault', fault: 'none', nic: 1 },
    ...[...cloud.nics.keys()].map((nic) => ({ kind: 'link-up' as const, nic })),
    { kind: 'run', killedAt: null },
  ];
  return well.reduce(happen, gone);
}

/** The same cloud and the same things of others, with nothing on the way there. */
function directly({ cloud, world }: Scene): Scene {
  const way = shortcut(cloud).reduce(happen, beginning());
  const others = foreignEvents(world.host);
  return ending(others.reduce(happen, way));
}

function foreignEvents(host: HostState): readonly HistoryEvent[] {
  return [...new CloudModel().nics.keys(), 2, 3, 4].flatMap((nic) =>
    FOREIGN_KS.flatMap((k): HistoryEvent[] => [
      ...(has(host, `address ${foreignAddress(nic, k)}/32`)
        ? [{ kind: 'foreign-address' as const, nic, k }]
        : []),
      ...(nic === 1 && has(host, `rule from 100.64.${k}.0/24`)
        ? [{ kind: 'foreign-rule' as const, nic, k }]
        : []),
      ...(nic === 1 && has(host, `route 100.65.${k}.0/24`)
        ? [{ kind: 'foreign-route' as const, nic, k }]
        : []),
    ]),
  );
}

function has(host: HostState, beginning: string): boolean {
  return dumpHost(host).some((line) => line.startsWith(beginning));
}

describe('a history', { timeout: TIMEOUT_MS }, () => {
  test('of whatever happens leaves what others have, and ends as if none of it had happened', () => {
    const property = fc.property(anyHistory(LONGEST), (events) => {
      const end = ending(happening(events).events.reduce(happen, beginning()));
      expect(stepsOf({ ...end.world, metadata: metadataOf(end.cloud) })).toEqual([]);
      expect(network(end.world)).toEqual(network(directly(end).world));
    });
    fc.assert(property, seeded('histories', HISTORIES));
  });
});
