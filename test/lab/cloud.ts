/**
 * The cloud as the lab has it: its control plane over the fabric and the metadata service, and the console, which calls the
 * control plane's actions and waits until they are done. Nothing happens inside the VMs.
 */
import type { Actor } from './actor-client.ts';
import type { Answered, NetworkInterface } from './control-plane/api.ts';
import { type ControlPlane, createControlPlane } from './control-plane/control-plane.ts';
import { allAddresses, MOST_AT_ONCE } from './control-plane/model.ts';
import type { InstanceSize } from './control-plane/quotas.ts';
import type { Fabric } from './fabric.ts';
import type { Fault, ServedModel, ServedNic, ServedRequest } from './metadata-server.ts';
import {
  isIpv6,
  METADATA_ADDRESS,
  METADATA_PORT,
  macFor,
  NETMASK,
  subnetOf,
  VPC_ID,
  VPC_SUBNETS,
  ZONE,
} from './topology.ts';

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
  /** In the control plane. */
  readonly id: string;
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

/** A VM as it is born, with the port of its primary ENI. */
export interface CloudVm {
  readonly instanceId: string;
  readonly namespace: string;
  readonly linkName: string;
  readonly address: string;
  readonly size: InstanceSize;
}

/** An ENI that the metadata lists before its link is there. */
interface Announced {
  readonly pluggedIn: Promise<void>;
  plugIn(): void;
  attaching?: Answered;
}

export class Cloud {
  readonly controlPlane: ControlPlane;
  readonly #fabric: Fabric;
  readonly #actor: Actor;
  readonly #vms: readonly CloudVm[];
  /** The lab's own choices, by MAC. */
  readonly #links = new Map<string, { readonly instanceId: string; readonly name: string }>();
  readonly #hidden = new Set<string>();
  readonly #announced = new Map<string, Announced>();
  /** By primary address, of ENIs to come. */
  readonly #macs = new Map<string, string>();

  /** `occupied`: the addresses of the other machines. */
  constructor(parts: {
    readonly fabric: Fabric;
    readonly actor: Actor;
    readonly vms: readonly CloudVm[];
    readonly occupied: readonly string[];
  }) {
    this.#fabric = parts.fabric;
    this.#actor = parts.actor;
    this.#vms = parts.vms;
    for (const { address, instanceId, linkName: name } of parts.vms)
      this.#links.set(macFor(address), { instanceId, name });
    this.controlPlane = createControlPlane({
      subnets: VPC_SUBNETS.map(({ id, cidr, cidr6 }) => ({
        SubnetId: id,
        VpcId: VPC_ID,
        Zone: ZONE,
        CidrBlock: cidr,
        Ipv6CidrBlock: cidr6,
      })),
      instances: parts.vms.map(({ instanceId, address, size }) => ({
        InstanceId: instanceId,
        SubnetId: subnetOf(address).id,
        PrivateIpAddress: address,
        ...size,
      })),
      occupied: parts.occupied,
      macOf: (address) => this.#macs.get(address) ?? macFor(address),
      network: {
        plug: (eni) => this.#plug(eni),
        unplug: (eni) => this.#unplug(eni),
        assign: async ({ MacAddress }, addresses) => {
          for (const address of addresses) await this.#fabric.assign(MacAddress, address);
        },
        unassign: async ({ MacAddress }, addresses) => {
          for (const address of addresses) await this.#fabric.unassign(MacAddress, address);
        },
        publish: (instanceId) => this.#publish(instanceId),
      },
    });
  }

  /** Every VM is born with its primary ENI: its port is there already. Returns the primary ENIs, by VM. */
  async start(): Promise<readonly Eni[]> {
    for (const { instanceId } of this.#vms) await this.#publish(instanceId);
    await this.#actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
    return Promise.all(this.#vms.map(({ address }) => this.#eni(macFor(address))));
  }

  async attachEni({ listed = true, ...options }: AttachOptions): Promise<Eni> {
    const created = await this.#create(options);
    if (!listed) this.#hidden.add(created.MacAddress);
    await this.#done(this.controlPlane.attachNetworkInterface(this.#place(created, options)));
    return this.#eni(created.MacAddress);
  }

  /** The metadata lists it while it is ATTACHING; its link comes with `plugIn`. */
  async announceEni(options: AttachOptions): Promise<Eni> {
    const created = await this.#create(options);
    const announced = announce();
    this.#announced.set(created.MacAddress, announced);
    const place = this.#place(created, options);
    announced.attaching = await this.controlPlane.attachNetworkInterface(place);
    await this.#publish(place.InstanceId);
    return this.#eni(created.MacAddress);
  }

  async plugIn(mac: string): Promise<void> {
    const announced = this.#announced.get(mac);
    if (announced?.attaching === undefined) throw new Error(`plugging in ${mac}: it was not announced`);
    announced.plugIn();
    await this.controlPlane.settled(announced.attaching);
    this.#announced.delete(mac);
  }

  /** It is deleted as well: its addresses are free, and an ENI of the same primary address has the same MAC. */
  async detachEni(mac: string): Promise<void> {
    const { id, vm } = await this.#eni(mac);
    const InstanceId = this.#instanceId(vm);
    await this.#done(this.controlPlane.detachNetworkInterface({ NetworkInterfaceId: id, InstanceId }));
    await this.#done(this.controlPlane.deleteNetworkInterface({ NetworkInterfaceId: id }));
    this.#hidden.delete(mac);
  }

  /** With its MAC and its addresses; the link gets the first free name there. */
  async migrateEni(mac: string, toVm: number): Promise<Eni> {
    const { id, vm } = await this.#eni(mac);
    const migrating = this.controlPlane.migrateNetworkInterface({
      NetworkInterfaceId: id,
      SourceInstanceId: this.#instanceId(vm),
      DestinationInstanceId: this.#instanceId(toVm),
    });
    await this.#done(migrating);
    return this.#eni(mac);
  }

  /** From then on the fabric delivers it to its new owner alone. */
  async migrateAddress(address: string, fromMac: string, toMac: string): Promise<void> {
    const migrating = this.controlPlane.migratePrivateIpAddress({
      SourceNetworkInterfaceId: (await this.#eni(fromMac)).id,
      DestinationNetworkInterfaceId: (await this.#eni(toMac)).id,
      PrivateIpAddress: address,
    });
    await this.#done(migrating);
  }

  async assignAddress(mac: string, address: string): Promise<Eni> {
    await this.#assign((await this.#eni(mac)).id, [address]);
    return this.#eni(mac);
  }

  /** IPv4. */
  async unassignAddress(mac: string, address: string): Promise<Eni> {
    const unassigning = this.controlPlane.unassignPrivateIpAddresses({
      NetworkInterfaceId: (await this.#eni(mac)).id,
      PrivateIpAddresses: [{ PrivateIpAddress: address }],
    });
    await this.#done(unassigning);
    return this.#eni(mac);
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
      await this.#publish(this.#instanceId((await this.#eni(mac)).vm));
    },
    show: async (mac) => {
      this.#hidden.delete(mac);
      await this.#publish(this.#instanceId((await this.#eni(mac)).vm));
    },
  };

  async #create({ addresses, mac }: AttachOptions): Promise<NetworkInterface> {
    const [primary = ''] = addresses;
    if (mac !== undefined) this.#macs.set(primary, mac);
    const { NetworkInterface, ...creating } = await this.controlPlane.createNetworkInterface({
      VpcId: VPC_ID,
      SubnetId: subnetOf(primary).id,
      NetworkInterfaceName: primary,
      PrivateIpAddresses: [{ PrivateIpAddress: primary, Primary: true }],
    });
    this.#macs.delete(primary);
    await this.controlPlane.settled(creating);
    await this.#assign(NetworkInterface.NetworkInterfaceId, addresses.slice(1));
    return NetworkInterface;
  }

  /** As many at once as one request may have. */
  async #assign(NetworkInterfaceId: string, addresses: readonly string[]): Promise<void> {
    const ipv4 = addresses.filter((address) => !isIpv6(address));
    for (let start = 0; start < ipv4.length; start += MOST_AT_ONCE) {
      const some = ipv4.slice(start, start + MOST_AT_ONCE);
      const PrivateIpAddresses = some.map((PrivateIpAddress) => ({ PrivateIpAddress }));
      await this.#done(
        this.controlPlane.assignPrivateIpAddresses({ NetworkInterfaceId, PrivateIpAddresses }),
      );
    }
    const Ipv6Addresses = addresses.filter(isIpv6).map((Address) => ({ Address }));
    if (Ipv6Addresses.length > 0)
      await this.#done(this.controlPlane.assignIpv6Addresses({ NetworkInterfaceId, Ipv6Addresses }));
  }

  async #done(answered: Promise<Answered>): Promise<void> {
    await this.controlPlane.settled(await answered);
  }

  /** Where it is to be attached; its link has its name from now on. */
  #place({ NetworkInterfaceId, MacAddress }: NetworkInterface, { vm = 0, name }: AttachOptions) {
    const InstanceId = this.#instanceId(vm);
    this.#nameLink(MacAddress, InstanceId, name);
    return { NetworkInterfaceId, InstanceId };
  }

  #nameLink(mac: string, instanceId: string, name = this.#freeName(instanceId)): string {
    this.#links.set(mac, { instanceId, name });
    return name;
  }

  #freeName(instanceId: string): string {
    const links = [...this.#links.values()].filter((link) => link.instanceId === instanceId);
    const taken = new Set(links.map(({ name }) => name));
    let index = 1;
    while (taken.has(`eth${index}`)) index += 1;
    return `eth${index}`;
  }

  async #plug(eni: NetworkInterface): Promise<void> {
    const { MacAddress: mac, Attachment } = eni;
    const instanceId = Attachment?.InstanceId ?? '';
    const linkName = this.#links.get(mac)?.name ?? this.#nameLink(mac, instanceId);
    await this.#announced.get(mac)?.pluggedIn;
    const namespace = this.#vms.find((vm) => vm.instanceId === instanceId)?.namespace ?? '';
    const addresses = allAddresses(eni);
    await this.#fabric.addPorts([{ mac, addresses, namespace, linkName, role: 'secondary' }]);
  }

  async #unplug({ MacAddress }: NetworkInterface): Promise<void> {
    await this.#fabric.removePort(MacAddress);
    this.#links.delete(MacAddress);
  }

  #instanceId(vm: number): string {
    const found = this.#vms[vm];
    if (found === undefined) throw new Error(`looking up VM ${vm}: the lab has ${this.#vms.length}`);
    return found.instanceId;
  }

  async #eni(mac: string): Promise<Eni> {
    const { NetworkInterfaceSet } = await this.controlPlane.describeNetworkInterfaces({ Limit: 100 });
    const eni = NetworkInterfaceSet.find(({ MacAddress }) => MacAddress === mac);
    if (eni?.Attachment === undefined || eni.Attachment === null)
      throw new Error(`looking up ENI ${mac}: it is not attached`);
    const { InstanceId } = eni.Attachment;
    return {
      id: eni.NetworkInterfaceId,
      vm: this.#vms.findIndex(({ instanceId }) => instanceId === InstanceId),
      mac,
      linkName: this.#links.get(mac)?.name ?? '',
      primary: eni.Primary,
      addresses: allAddresses(eni),
    };
  }

  async #publish(instanceId: string): Promise<void> {
    const { NetworkInterfaceSet: enis } = await this.controlPlane.describeNetworkInterfaces({
      Filters: [{ Name: 'attachment.instance-id', Values: [instanceId] }],
    });
    const listed = enis.filter(
      ({ MacAddress, State }) =>
        !this.#hidden.has(MacAddress) && (State !== 'ATTACHING' || this.#announced.has(MacAddress)),
    );
    const primary = enis.find(({ Primary }) => Primary);
    const model: ServedModel = {
      instanceId,
      primaryMac: primary?.MacAddress ?? '',
      nics: listed.map(servedNic),
    };
    // The VM asks from its primary address.
    const client = primary?.PrivateIpAddressSet[0]?.PrivateIpAddress ?? '';
    await this.#actor.call('setMetadata', { client, model });
  }
}

function announce(): Announced {
  let plugIn = (): void => {};
  const pluggedIn = new Promise<void>((resolve) => {
    plugIn = resolve;
  });
  return { pluggedIn, plugIn };
}

/** The metadata service knows IPv4 alone. */
function servedNic({ MacAddress, SubnetId, PrivateIpAddressSet }: NetworkInterface): ServedNic {
  const there = PrivateIpAddressSet.filter(({ State }) => State !== 'PENDING');
  const [primary = ''] = there.map(({ PrivateIpAddress }) => PrivateIpAddress);
  return {
    mac: MacAddress,
    primary,
    addresses: there.map(({ PrivateIpAddress }) => PrivateIpAddress),
    mask: NETMASK,
    gateway: subnetOf(primary).gateway,
    subnetId: SubnetId,
  };
}
