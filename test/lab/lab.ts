/**
 * The laboratory: a VPC with its anti-spoof filter, a VM, clients, and a control plane that attaches ENIs and assigns
 * addresses. Everything lives in network namespaces of its own names, so that any number of labs run side by side.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Actor } from './actor-client.ts';
import { type AttachOptions, Cloud, type Eni, type MetadataControl } from './cloud.ts';
import { Fabric, type PortCounters } from './fabric.ts';
import { assertPrivateNamespace } from './guard.ts';
import { configureMachine, describeMachines, type Machine, prepareMachine, VM } from './machines.ts';
import { addNamespaces, deleteNamespaces } from './netns.ts';
import type { ConnectResult } from './protocol.ts';
import { RESPONDER_PORT, SUBNETS } from './topology.ts';
import { assertUntouched, readUntouchables } from './untouched.ts';
import { CONNECT_DEADLINE_MS, createVm, type Vm } from './vm.ts';
import { createRoot } from './vm-root.ts';

export interface LabOptions {
  /** The bundled actor (`bundleActor`). */
  readonly actorBundle: string;
}

/** Outcome by client, by address. */
export type Matrix = Readonly<Record<string, Readonly<Record<string, ConnectResult['outcome']>>>>;

export interface Lab {
  readonly vm: Vm;
  readonly primary: Eni;
  readonly metadata: MetadataControl;
  /** A link appears in the VM, down and without an address; the metadata lists it. */
  attachEni(options: AttachOptions): Promise<Eni>;
  detachEni(mac: string): Promise<void>;
  assignAddress(mac: string, address: string): Promise<Eni>;
  unassignAddress(mac: string, address: string): Promise<Eni>;
  /** TCP from a client (`outside`, `client-10.0.1`) or the router. */
  connect(options: { from: string; to: string; port?: number }): Promise<ConnectResult>;
  /** Every client to every address, all at once. */
  matrix(addresses: readonly string[]): Promise<Matrix>;
  /** By MAC: packets that the fabric accepted and dropped, by source. */
  portCounters(): Promise<Readonly<Record<string, PortCounters>>>;
  /** Throws when the agent touched what is not its own; `close` does it, too. */
  assertUntouched(): Promise<void>;
  /** Removes everything; throws when an actor had died or something was touched. */
  close(): Promise<void>;
}

const VPC = 'vpc';
const CLIENTS = SUBNETS.map(({ client }) => client.name);

export async function createLab({ actorBundle }: LabOptions): Promise<Lab> {
  assertPrivateNamespace();
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'eni-lab-'));
  const namespaceOf = (name: string): string => `${path.basename(scratch)}-${name}`;
  const machines = describeMachines(namespaceOf);
  const names = [VPC, ...machines.map(({ name }) => name)];
  const actors = new Map<string, Actor>();
  const cleanUp = async (): Promise<readonly string[]> => {
    const deaths = await Promise.all([...actors.values()].map((actor) => actor.stop()));
    await deleteNamespaces(names.map(namespaceOf));
    await rm(scratch, { recursive: true });
    return deaths.filter((death) => death !== undefined);
  };
  const startActor = async (name: string): Promise<void> => {
    actors.set(name, await Actor.start({ name, namespace: namespaceOf(name), bundle: actorBundle }));
  };
  try {
    await addNamespaces(names.map(namespaceOf));
    const network = buildNetwork(namespaceOf(VPC), machines);
    const starts = names.map(startActor);
    // When one fails the others are not left running.
    await Promise.allSettled([network, ...starts]);
    await Promise.all(starts);
    const fabric = await network;
    return await assemble({ actors, fabric, machines, scratch, cleanUp });
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function buildNetwork(vpc: string, machines: readonly Machine[]): Promise<Fabric> {
  const fabric = new Fabric(vpc);
  await Promise.all([fabric.setUp(), ...machines.map(prepareMachine)]);
  await fabric.addPorts(machines.map(({ port }) => port));
  await Promise.all(machines.map(configureMachine));
  return fabric;
}

async function assemble(parts: {
  readonly actors: ReadonlyMap<string, Actor>;
  readonly fabric: Fabric;
  readonly machines: readonly Machine[];
  readonly scratch: string;
  readonly cleanUp: () => Promise<readonly string[]>;
}): Promise<Lab> {
  const { actors, fabric, machines, scratch, cleanUp } = parts;
  const actorOf = (name: string): Actor => found(actors.get(name), name);
  const { mac, addresses, linkName, namespace } = found(
    machines.find(({ name }) => name === VM),
    VM,
  ).port;
  const primary: Eni = { mac, addresses, linkName, primary: true };
  const root = path.join(scratch, 'root');
  const cloud = new Cloud({ fabric, actor: actorOf(VPC), vm: namespace });
  const vm = createVm({ namespace, root, scratch, actor: actorOf(VM) });
  await Promise.all([
    createRoot(root, mac),
    cloud.start(primary),
    ...machines.map(({ name }) => actorOf(name).call('respond', { host: name, port: RESPONDER_PORT })),
  ]);
  const untouchables = await readUntouchables(vm);
  const connect: Lab['connect'] = ({ from, to, port = RESPONDER_PORT }) =>
    actorOf(from).call('connect', { to, port, timeoutMs: CONNECT_DEADLINE_MS });
  return {
    vm,
    primary,
    metadata: cloud.metadata,
    attachEni: (options) => cloud.attachEni(options),
    detachEni: (eni) => cloud.detachEni(eni),
    assignAddress: (eni, address) => cloud.assignAddress(eni, address),
    unassignAddress: (eni, address) => cloud.unassignAddress(eni, address),
    connect,
    matrix: (targets) => connectAll(connect, targets),
    portCounters: () => fabric.counters(),
    assertUntouched: () => assertUntouched(vm, untouchables),
    close: async () => {
      const untouched = assertUntouched(vm, untouchables);
      await Promise.allSettled([untouched]);
      const deaths = await cleanUp();
      if (deaths.length > 0) throw new Error(`closing the lab: ${deaths.join('; ')}`);
      await untouched;
    },
  };
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
