/**
 * The laboratory: a VPC with its anti-spoof filter, a VM or more, clients, and a control plane that attaches ENIs and assigns
 * addresses. Everything lives in network namespaces of its own names, so that any number of labs run side by side.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Actor, Actors } from './actor-client.ts';
import { Children } from './children.ts';
import { type AttachOptions, Cloud, type Eni, type MetadataControl } from './cloud.ts';
import type { ControlPlane } from './control-plane/control-plane.ts';
import type { InstanceSize } from './control-plane/quotas.ts';
import type { CloudVm } from './data-plane.ts';
import { type DhcpLease, serveDhcp } from './dhcp.ts';
import { FABRIC, Fabric, type PortCounters } from './fabric.ts';
import { assertFilesMean } from './files-mean.ts';
import { assertPrivateNamespace } from './guard.ts';
import { Hosts } from './hosts.ts';
import {
  addMachine,
  addMachines,
  describeMachines,
  type ExtraMachine,
  type Machine,
  type VmOptions,
} from './machines.ts';
import type { ServedModel } from './metadata-server.ts';
import { addNamespaces, deleteNamespaces } from './netns.ts';
import type { ConnectResult, ProbeRequest } from './protocol.ts';
import { openSession, type Session } from './sessions.ts';
import {
  CLIENT_SUBNETS,
  instanceIdOf,
  METADATA_ADDRESS,
  METADATA_PORT,
  macFor,
  RESPONDER_PORT,
} from './topology.ts';
import { assertUntouched, readUntouchables } from './untouched.ts';
import { CONNECT_DEADLINE_MS, createVm, type Vm } from './vm.ts';
import { createRoot } from './vm-root.ts';

export interface LabOptions extends VmOptions {
  /** The bundled actor (`bundleActor`). */
  readonly actorBundle: string;
  /** What the quotas of every VM follow from; default: large enough for 8 ENIs of 30 addresses. */
  readonly instance?: InstanceSize;
}

/** Outcome by client, by address. */
export type Matrix = Readonly<Record<string, Readonly<Record<string, ConnectResult['outcome']>>>>;

export interface Lab {
  /** The first one, and its primary ENI. */
  readonly vm: Vm;
  readonly primary: Eni;
  readonly vms: readonly Vm[];
  readonly primaries: readonly Eni[];
  readonly metadata: MetadataControl;
  /** The cloud's own API. What follows calls it, and waits until it is done. */
  readonly controlPlane: ControlPlane;
  /** A link appears in the VM, down and without an address; the metadata lists it. */
  attachEni(options: AttachOptions): Promise<Eni>;
  /** The metadata lists it before its link appears, which `plugIn` does. */
  announceEni(options: AttachOptions): Promise<Eni>;
  plugIn(mac: string): Promise<void>;
  detachEni(mac: string): Promise<void>;
  /** To another VM (counted from 0), with its MAC and addresses. */
  migrateEni(mac: string, toVm: number): Promise<Eni>;
  migrateAddress(address: string, fromMac: string, toMac: string): Promise<void>;
  assignAddress(mac: string, address: string): Promise<Eni>;
  unassignAddress(mac: string, address: string): Promise<Eni>;
  /** A VIP that the metadata does not list: each of these ENIs may have it, and who announces it by ARP gets its traffic. */
  bindHavip(address: string, macs: readonly string[]): Promise<void>;
  /** The fabric's end of the ENI's link: `off` is a cable that is pulled. */
  setCarrier(mac: string, carrier: 'on' | 'off'): Promise<void>;
  /** TCP from a client (`outside`, `client-10.0.1`) or the router. */
  connect(options: { from: string; to: string; port?: number }): Promise<ConnectResult>;
  /** TCP, UDP, ping or HTTP from any machine; UDP is answered on the addresses that were there at `answerUdp`. */
  probe(
    options: Omit<ProbeRequest, 'port'> & { readonly from: string; readonly port?: number },
  ): Promise<ConnectResult>;
  answerUdp(): Promise<void>;
  /** One more machine, with an ENI in the subnet of its addresses or without any; it answers as all do. Returns its namespace. */
  addMachine(options: ExtraMachine): Promise<string>;
  /** A DHCP server that gives these NICs, of one subnet, their addresses and a default route. */
  serveDhcp(leases: readonly DhcpLease[]): Promise<void>;
  /** A second metadata service, on that machine (which has its address), for whoever comes there. */
  impersonateMetadata(host: string, model: ServedModel): Promise<void>;
  /** A TCP connection from a client to an address, which stays. */
  openSession(options: { from: string; to: string }): Promise<Session>;
  /** Every client to every address, all at once. */
  matrix(addresses: readonly string[]): Promise<Matrix>;
  /** By MAC: packets that the fabric accepted and dropped, by source. */
  portCounters(): Promise<Readonly<Record<string, PortCounters>>>;
  /** Throws when the agent touched what is not its own; `close` does it, too. */
  assertUntouched(): Promise<void>;
  /** Removes everything; throws when an actor or a daemon had died, something was touched or our files mean something else than the kernel has. */
  close(): Promise<void>;
}

const VPC = 'vpc';
const LARGE: InstanceSize = { cores: 16, memoryGb: 32 };
const CLIENTS = CLIENT_SUBNETS.map(({ client }) => client.name);

export async function createLab({ actorBundle, instance = LARGE, ...vmOptions }: LabOptions): Promise<Lab> {
  assertPrivateNamespace();
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'eni-lab-'));
  const namespaceOf = (name: string): string => `${path.basename(scratch)}-${name}`;
  const described = describeMachines(namespaceOf, vmOptions);
  const machines = [...described.vms, ...described.others];
  const children = new Children();
  const names = [VPC, ...machines.map(({ name }) => name)];
  const actors = new Actors((name) =>
    Actor.start({ name, namespace: namespaceOf(name), bundle: actorBundle }),
  );
  const cleanUp = async (): Promise<readonly string[]> => {
    const deaths = [...(await children.endAll()), ...(await actors.stopAll())];
    await deleteNamespaces(names.map(namespaceOf));
    await rm(scratch, { recursive: true });
    return deaths;
  };
  try {
    await addNamespaces(names.map(namespaceOf));
    const network = buildNetwork(namespaceOf(VPC), machines);
    const metadata = actors.of(VPC);
    // When one fails the other is not left running.
    await Promise.allSettled([network, metadata]);
    const [fabric, actor] = await Promise.all([network, metadata]);
    const addNamespace: LabParts['addNamespace'] = async (name) => {
      names.push(name);
      await addNamespaces([namespaceOf(name)]);
      return namespaceOf(name);
    };
    const parts = {
      ...described,
      vpc: namespaceOf(VPC),
      actors,
      actor,
      fabric,
      instance,
      children,
      scratch,
      addNamespace,
      cleanUp,
    };
    return await assemble(parts);
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function buildNetwork(vpc: string, machines: readonly Machine[]): Promise<Fabric> {
  const fabric = new Fabric(vpc);
  await addMachines(machines, fabric, [{ namespace: vpc, ...FABRIC }]);
  return fabric;
}

interface LabParts {
  /** The namespace of the fabric. */
  readonly vpc: string;
  readonly actors: Actors;
  /** The metadata service's. */
  readonly actor: Actor;
  readonly fabric: Fabric;
  readonly instance: InstanceSize;
  readonly vms: readonly Machine[];
  readonly others: readonly Machine[];
  readonly children: Children;
  readonly scratch: string;
  /** Of a machine's name; it goes with the lab. */
  readonly addNamespace: (name: string) => Promise<string>;
  readonly cleanUp: () => Promise<readonly string[]>;
}

async function assemble(parts: LabParts): Promise<Lab> {
  const { fabric, cleanUp } = parts;
  const cloudVms = parts.vms.map((machine, index) => cloudVm(machine, index, parts.instance));
  const namespaces = cloudVms.map(({ namespace }) => namespace);
  const occupied = parts.others.flatMap(({ port }) => port.addresses);
  const cloud = new Cloud({ fabric, actor: parts.actor, vms: cloudVms, occupied });
  const vmHosts = parts.vms.map(({ name }) => ({ name }));
  const otherHosts = parts.others.map(({ name, port, behind = [] }) => ({
    name,
    addresses: [...port.addresses, ...behind],
  }));
  const hosts = new Hosts(parts.actors, [...vmHosts, ...otherHosts]);
  const [vms, primaries] = await Promise.all([
    Promise.all(
      parts.vms.map(({ name }, index) =>
        buildVm(name, found(cloudVms[index], name), (to) => hosts.of(name, to), parts),
      ),
    ),
    cloud.start(),
  ]);
  const untouchables = await Promise.all(vms.map(readUntouchables));
  const assertAllUntouched: Lab['assertUntouched'] = async () => {
    for (const [index, before] of untouchables.entries())
      await assertUntouched(found(vms[index], 'vm'), before);
  };
  const connect: Lab['connect'] = async ({ from, to, port = RESPONDER_PORT }) =>
    (await hosts.of(from, to)).call('connect', { to, port, timeoutMs: CONNECT_DEADLINE_MS });
  return {
    vm: found(vms[0], 'vm'),
    primary: found(primaries[0], 'vm'),
    vms,
    primaries,
    ...controlsOf(cloud),
    bindHavip: async (address, macs) => {
      for (const mac of macs) await fabric.assign(mac, address);
    },
    setCarrier: (mac, carrier) => fabric.setCarrier(mac, carrier),
    connect,
    probe: async ({ from, port = RESPONDER_PORT, ...request }) =>
      (await hosts.of(from, request.to)).call('probe', { port, ...request }),
    answerUdp: () => hosts.answerUdp(),
    addMachine: async (options) => {
      const namespace = await parts.addNamespace(options.name);
      await addMachine(options, namespace, fabric);
      hosts.add(options.name);
      return namespace;
    },
    serveDhcp: (leases) => serveDhcp(parts.children, parts.vpc, leases),
    impersonateMetadata: async (host, model) => {
      const actor = await hosts.of(host);
      await actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
      await actor.call('setMetadata', { client: '', model });
    },
    openSession: async ({ from, to }) => {
      const machine = parts.others.find(({ name }) => name === from);
      const client = found(machine, from).port.namespace;
      return openSession({ actor: await hosts.of(from, to), to, namespaces: [client, ...namespaces] });
    },
    matrix: (targets) => connectAll(connect, targets),
    portCounters: () => fabric.counters(),
    assertUntouched: assertAllUntouched,
    close: async () => {
      const checks = await Promise.allSettled([assertAllUntouched(), ...vms.map(assertFilesMean)]);
      const deaths = await cleanUp();
      if (deaths.length > 0) throw new Error(`closing the lab: ${deaths.join('; ')}`);
      for (const check of checks) if (check.status === 'rejected') throw check.reason;
    },
  };
}

type Controls = Pick<
  Lab,
  | 'metadata'
  | 'controlPlane'
  | 'attachEni'
  | 'announceEni'
  | 'plugIn'
  | 'detachEni'
  | 'migrateEni'
  | 'migrateAddress'
  | 'assignAddress'
  | 'unassignAddress'
>;

function controlsOf(cloud: Cloud): Controls {
  return {
    metadata: cloud.metadata,
    controlPlane: cloud.controlPlane,
    attachEni: (options) => cloud.attachEni(options),
    announceEni: (options) => cloud.announceEni(options),
    plugIn: (mac) => cloud.plugIn(mac),
    detachEni: (mac) => cloud.detachEni(mac),
    migrateEni: (mac, toVm) => cloud.migrateEni(mac, toVm),
    migrateAddress: (address, fromMac, toMac) => cloud.migrateAddress(address, fromMac, toMac),
    assignAddress: (mac, address) => cloud.assignAddress(mac, address),
    unassignAddress: (mac, address) => cloud.unassignAddress(mac, address),
  };
}

function cloudVm({ port }: Machine, index: number, size: InstanceSize): CloudVm {
  const { namespace, linkName, addresses } = port;
  return { instanceId: instanceIdOf(index), namespace, linkName, address: addresses[0] ?? '', size };
}

async function buildVm(
  name: string,
  { namespace, instanceId, address }: CloudVm,
  actor: (to?: string) => Promise<Actor>,
  { scratch, children }: Pick<LabParts, 'scratch' | 'children'>,
): Promise<Vm> {
  const root = path.join(scratch, name);
  await createRoot(root, macFor(address));
  return createVm({ namespace, instanceId, address, root, scratch, actor, children });
}

async function connectAll(connect: Lab['connect'], addresses: readonly string[]): Promise<Matrix> {
  const rows = CLIENTS.map(async (from) => {
    const cells = addresses.map(async (to) => [to, (await connect({ from, to })).outcome] as const);
    return [from, Object.fromEntries(await Promise.all(cells))] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`looking up ${name}: the lab has no machine of that name`);
  return value;
}
