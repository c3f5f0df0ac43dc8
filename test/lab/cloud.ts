/**
 * The cloud's control plane around one VM: attaches ENIs and assigns addresses, in the fabric first and in the metadata
 * after it, as the console does. Nothing happens inside the VM.
 */
import type { Actor } from './actor-client.ts';
import type { Fabric } from './fabric.ts';
import type { Fault, ServedRequest } from './metadata-server.ts';
import { isIpv6, METADATA_ADDRESS, METADATA_PORT, macFor, NETMASK, subnetOf } from './topology.ts';

export interface AttachOptions {
  /** The primary address first; the subnet is the one that it is in. */
  readonly addresses: readonly string[];
  /** Of the link that appears in the VM; default: the first free ethN. */
  readonly name?: string;
  /** Default: made from the primary address. */
  readonly mac?: string;
  /** false: the metadata does not list it before `metadata.show`. */
  readonly listed?: boolean;
}

/** An ENI of the VM, as it is at the moment. */
export interface Eni {
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

const INSTANCE_ID = 'ins-3g445roi';

export class Cloud {
  readonly #fabric: Fabric;
  readonly #actor: Actor;
  readonly #vm: string;
  readonly #enis = new Map<string, Eni>();
  readonly #hidden = new Set<string>();

  constructor(parts: { readonly fabric: Fabric; readonly actor: Actor; readonly vm: string }) {
    this.#fabric = parts.fabric;
    this.#actor = parts.actor;
    this.#vm = parts.vm;
  }

  /** The VM is born with its primary ENI: its port is there already. */
  async start(primary: Eni): Promise<void> {
    this.#enis.set(primary.mac, primary);
    await this.#publish();
    await this.#actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
  }

  async attachEni(options: AttachOptions): Promise<Eni> {
    const { addresses, listed = true } = options;
    const mac = options.mac ?? macFor(addresses[0] ?? '');
    const linkName = options.name ?? this.#freeName();
    await this.#fabric.addPorts([{ mac, addresses, namespace: this.#vm, linkName, role: 'secondary' }]);
    if (!listed) this.#hidden.add(mac);
    return this.#update({ mac, linkName, primary: false, addresses });
  }

  async detachEni(mac: string): Promise<void> {
    if (this.#eni(mac).primary) throw new Error(`detaching ${mac}: the primary ENI cannot be detached`);
    await this.#fabric.removePort(mac);
    this.#enis.delete(mac);
    this.#hidden.delete(mac);
    await this.#publish();
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
      this.#hidden.add(this.#eni(mac).mac);
      await this.#publish();
    },
    show: async (mac) => {
      this.#hidden.delete(mac);
      await this.#publish();
    },
  };

  #eni(mac: string): Eni {
    const eni = this.#enis.get(mac);
    if (eni === undefined) throw new Error(`looking up ENI ${mac}: it is not attached to the VM`);
    return eni;
  }

  #freeName(): string {
    const taken = new Set([...this.#enis.values()].map(({ linkName }) => linkName));
    let index = 1;
    while (taken.has(`eth${index}`)) index += 1;
    return `eth${index}`;
  }

  async #update(eni: Eni): Promise<Eni> {
    this.#enis.set(eni.mac, eni);
    await this.#publish();
    return eni;
  }

  /** The metadata service knows IPv4 alone. */
  async #publish(): Promise<void> {
    const listed = [...this.#enis.values()].filter(({ mac }) => !this.#hidden.has(mac));
    await this.#actor.call('setMetadata', {
      instanceId: INSTANCE_ID,
      primaryMac: listed.find(({ primary }) => primary)?.mac ?? '',
      nics: listed.map(({ mac, addresses }) => {
        const [primary = ''] = addresses;
        return {
          mac,
          primary,
          addresses: addresses.filter((address) => !isIpv6(address)),
          mask: NETMASK,
          gateway: subnetOf(primary).gateway,
        };
      }),
    });
  }
}
