/**
 * The cloud's control plane: attaches ENIs, assigns addresses and moves both between VMs, in the fabric first and in the
 * metadata after it, as the console does. Nothing happens inside the VMs.
 */
import type { Actor } from './actor-client.ts';
import type { Fabric } from './fabric.ts';
import type { Fault, ServedModel, ServedNic, ServedRequest } from './metadata-server.ts';
import { isIpv6, METADATA_ADDRESS, METADATA_PORT, macFor, NETMASK, subnetOf } from './topology.ts';

export interface AttachOptions {
  /** The primary address first; the subnet is the one that it is in. */
  readonly addresses: readonly string[];
  /** Which VM, counted from 0; default: the first. */
  readonly vm?: number;
  /** Of the link that appears in the VM; default: the first free ethN. */
  readonly name?: string;
  /** Default: made from the primary address. */
  readonly mac?: string;
  /** false: the metadata does not list it before `metadata.show`. */
  readonly listed?: boolean;
}

/** An ENI of a VM, as it is at the moment. */
export interface Eni {
  /** Counted from 0. */
  readonly vm: number;
  readonly mac: string;
  readonly linkName: string;
  readonly primary: boolean;
  readonly addresses: readonly string[];
}

export interface MetadataControl {
  /** null ends it. */
  fault(fault: Fault | null): Promise<void>;
  /** Nobody listens any more: connections are refused. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** All requests since the lab began; connections are numbered from 1 again after `up`. */
  requests(): Promise<readonly ServedRequest[]>;
  /** Leaves an attached ENI out of the answers. */
  hide(mac: string): Promise<void>;
  show(mac: string): Promise<void>;
}

/** By VM. */
const INSTANCE_IDS = ['ins-3g445roi', 'ins-8hq2mzxe'];

export class Cloud {
  readonly #fabric: Fabric;
  readonly #actor: Actor;
  readonly #namespaces: readonly string[];
  readonly #enis = new Map<string, Eni>();
  readonly #hidden = new Set<string>();
  readonly #unplugged = new Set<string>();

  /** `namespaces`: by VM. */
  constructor(parts: {
    readonly fabric: Fabric;
    readonly actor: Actor;
    readonly namespaces: readonly string[];
  }) {
    this.#fabric = parts.fabric;
    this.#actor = parts.actor;
    this.#namespaces = parts.namespaces;
  }

  /** Every VM is born with its primary ENI: its port is there already. */
  async start(primaries: readonly Eni[]): Promise<void> {
    for (const primary of primaries) this.#enis.set(primary.mac, primary);
    for (const { vm } of primaries) await this.#publish(vm);
    await this.#actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
  }

  async attachEni(options: AttachOptions): Promise<Eni> {
    const eni = this.#newEni(options);
    await this.#plug(eni);
    if (options.listed === false) this.#hidden.add(eni.mac);
    return this.#update(eni);
  }

  /** The metadata lists it; its link comes with `plugIn`. */
  async announceEni(options: AttachOptions): Promise<Eni> {
    const eni = this.#newEni(options);
    this.#unplugged.add(eni.mac);
    return this.#update(eni);
  }

  async plugIn(mac: string): Promise<void> {
    await this.#plug(this.#eni(mac));
    this.#unplugged.delete(mac);
  }

  async detachEni(mac: string): Promise<void> {
    const { primary, vm } = this.#eni(mac);
    if (primary) throw new Error(`detaching ${mac}: the primary ENI cannot be detached`);
    if (!this.#unplugged.delete(mac)) await this.#fabric.removePort(mac);
    this.#enis.delete(mac);
    this.#hidden.delete(mac);
    await this.#publish(vm);
  }

  /** With its MAC and its addresses; the link gets the first free name there. */
  async migrateEni(mac: string, toVm: number): Promise<Eni> {
    const { addresses } = this.#eni(mac);
    await this.detachEni(mac);
    return this.attachEni({ addresses, mac, vm: toVm });
  }

  /** From then on the fabric delivers it to its new owner alone. */
  async migrateAddress(address: string, fromMac: string, toMac: string): Promise<void> {
    this.#eni(toMac);
    await this.unassignAddress(fromMac, address);
    await this.assignAddress(toMac, address);
  }

  async assignAddress(mac: string, address: string): Promise<Eni> {
    const eni = this.#eni(mac);
    await this.#fabric.assign(mac, address);
    return this.#update({ ...eni, addresses: [...eni.addresses, address] });
  }

  async unassignAddress(mac: string, address: string): Promise<Eni> {
    const eni = this.#eni(mac);
    await this.#fabric.unassign(mac, address);
    return this.#update({ ...eni, addresses: eni.addresses.filter((other) => other !== address) });
  }

  readonly metadata: MetadataControl = {
    fault: async (fault) => {
      await this.#actor.call('setFault', { fault });
    },
    down: async () => {
      await this.#actor.call('stopMetadata', null);
    },
    up: async () => {
      await this.#actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
    },
    requests: () => this.#actor.call('readRequests', null),
    hide: async (mac) => {
      this.#hidden.add(mac);
      await this.#publish(this.#eni(mac).vm);
    },
    show: async (mac) => {
      this.#hidden.delete(mac);
      await this.#publish(this.#eni(mac).vm);
    },
  };

  #eni(mac: string): Eni {
    const eni = this.#enis.get(mac);
    if (eni === undefined) throw new Error(`looking up ENI ${mac}: it is not attached`);
    return eni;
  }

  #newEni({ addresses, vm = 0, name, mac }: AttachOptions): Eni {
    return {
      vm,
      mac: mac ?? macFor(addresses[0] ?? ''),
      linkName: name ?? this.#freeName(vm),
      primary: false,
      addresses,
    };
  }

  async #plug({ mac, addresses, vm, linkName }: Eni): Promise<void> {
    const namespace = this.#namespaces[vm] ?? '';
    await this.#fabric.addPorts([{ mac, addresses, namespace, linkName, role: 'secondary' }]);
  }

  #enisOf(vm: number): readonly Eni[] {
    return [...this.#enis.values()].filter((eni) => eni.vm === vm);
  }

  #freeName(vm: number): string {
    const taken = new Set(this.#enisOf(vm).map(({ linkName }) => linkName));
    let index = 1;
    while (taken.has(`eth${index}`)) index += 1;
    return `eth${index}`;
  }

  async #update(eni: Eni): Promise<Eni> {
    this.#enis.set(eni.mac, eni);
    await this.#publish(eni.vm);
    return eni;
  }

  /** The metadata service knows IPv4 alone. */
  async #publish(vm: number): Promise<void> {
    const enis = this.#enisOf(vm);
    const primary = enis.find((eni) => eni.primary);
    const model: ServedModel = {
      instanceId: INSTANCE_IDS[vm] ?? null,
      primaryMac: primary?.mac ?? '',
      nics: enis.filter(({ mac }) => !this.#hidden.has(mac)).map(servedNic),
    };
    // The VM asks from its primary address.
    await this.#actor.call('setMetadata', { client: primary?.addresses[0] ?? '', model });
  }
}

function servedNic({ mac, addresses }: Eni): ServedNic {
  const [primary = ''] = addresses;
  return {
    mac,
    primary,
    addresses: addresses.filter((address) => !isIpv6(address)),
    mask: NETMASK,
    gateway: subnetOf(primary).gateway,
  };
}
