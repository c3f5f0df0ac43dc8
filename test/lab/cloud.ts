/**
 * The cloud as the lab has it: its control plane over the fabric and the metadata service, and the console, which calls the
 * control plane's actions and waits until they are done. Nothing happens inside the VMs.
 */
import type { Actor } from './actor-client.ts';
import type { Answered, NetworkInterface } from './control-plane/api.ts';
import { type ControlPlane, createControlPlane } from './control-plane/control-plane.ts';
import { allAddresses, MOST_AT_ONCE } from './control-plane/model.ts';
import { type CloudVm, LabDataPlane } from './data-plane.ts';
import type { Fabric } from './fabric.ts';
import type { Fault, ServedRequest } from './metadata-server.ts';
import {
  isIpv6,
  METADATA_ADDRESS,
  METADATA_PORT,
  macFor,
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

export class Cloud {
  readonly controlPlane: ControlPlane;
  readonly #network: LabDataPlane;
  readonly #actor: Actor;
  readonly #vms: readonly CloudVm[];
  /** The MACs of ENIs to come that were asked for, by primary address. */
  readonly #macs = new Map<string, string>();
  /** The attaches of announced ENIs, by MAC. */
  readonly #attaching = new Map<string, Answered>();

  /** `occupied`: the addresses of the other machines. */
  constructor(parts: {
    readonly fabric: Fabric;
    readonly actor: Actor;
    readonly vms: readonly CloudVm[];
    readonly occupied: readonly string[];
  }) {
    this.#actor = parts.actor;
    this.#vms = parts.vms;
    this.#network = new LabDataPlane({ ...parts, describe: (instanceId) => this.#describe(instanceId) });
    this.controlPlane = createControlPlane({
      network: this.#network,
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
    });
  }

  /** Every VM is born with its primary ENI: its port is there already. Returns the primary ENIs, by VM. */
  async start(): Promise<readonly Eni[]> {
    for (const { instanceId } of this.#vms) await this.#network.publish(instanceId);
    await this.#actor.call('startMetadata', { host: METADATA_ADDRESS, port: METADATA_PORT });
    return Promise.all(this.#vms.map(({ address }) => this.#eni(macFor(address))));
  }

  async attachEni({ listed = true, ...options }: AttachOptions): Promise<Eni> {
    const created = await this.#create(options);
    const attaching = await this.#attach(created, options);
    if (!listed) this.#network.hide(created.MacAddress);
    await this.controlPlane.settled(attaching);
    return this.#eni(created.MacAddress);
  }

  /** The metadata lists it while it is ATTACHING; its link comes with `plugIn`. */
  async announceEni(options: AttachOptions): Promise<Eni> {
    const created = await this.#create(options);
    const mac = created.MacAddress;
    const attaching = await this.#attach(created, options);
    this.#network.announce(mac);
    this.#attaching.set(mac, attaching);
    await this.#republish(mac);
    return this.#eni(mac);
  }

  async plugIn(mac: string): Promise<void> {
    const attaching = this.#attaching.get(mac);
    if (attaching === undefined) throw new Error(`plugging in ${mac}: it was not announced`);
    this.#attaching.delete(mac);
    this.#network.plugIn(mac);
    await this.controlPlane.settled(attaching);
  }

  /** It is deleted as well: its addresses are free, and an ENI of the same primary address has the same MAC. */
  async detachEni(mac: string): Promise<void> {
    const { id, vm } = await this.#eni(mac);
    const InstanceId = this.#instanceId(vm);
    await this.#done(this.controlPlane.detachNetworkInterface({ NetworkInterfaceId: id, InstanceId }));
    await this.#done(this.controlPlane.deleteNetworkInterface({ NetworkInterfaceId: id }));
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
      this.#network.hide(mac);
      await this.#republish(mac);
    },
    show: async (mac) => {
      this.#network.show(mac);
      await this.#republish(mac);
    },
  };

  async #create({ addresses, mac }: AttachOptions): Promise<NetworkInterface> {
    const [primary = ''] = addresses;
    if (mac !== undefined) this.#macs.set(primary, mac);
    const creating = this.controlPlane.createNetworkInterface({
      VpcId: VPC_ID,
      SubnetId: subnetOf(primary).id,
      NetworkInterfaceName: primary,
      PrivateIpAddresses: [{ PrivateIpAddress: primary, Primary: true }],
    });
    this.#macs.delete(primary);
    const { NetworkInterface } = await creating;
    await this.#done(creating);
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

  /** The work begins after the answer: until then the data plane can be told what the API has no word for. */
  async #attach(created: NetworkInterface, { vm = 0, name }: AttachOptions): Promise<Answered> {
    const { NetworkInterfaceId, MacAddress } = created;
    const InstanceId = this.#instanceId(vm);
    const answer = await this.controlPlane.attachNetworkInterface({ NetworkInterfaceId, InstanceId });
    this.#network.nameLink(MacAddress, InstanceId, name);
    return answer;
  }

  #instanceId(vm: number): string {
    const found = this.#vms[vm];
    if (found === undefined) throw new Error(`looking up VM ${vm}: the lab has ${this.#vms.length}`);
    return found.instanceId;
  }

  async #republish(mac: string): Promise<void> {
    const { vm } = await this.#eni(mac);
    await this.#network.publish(this.#instanceId(vm));
  }

  async #describe(instanceId: string): Promise<readonly NetworkInterface[]> {
    const Filters = [{ Name: 'attachment.instance-id', Values: [instanceId] }];
    return (await this.controlPlane.describeNetworkInterfaces({ Filters })).NetworkInterfaceSet;
  }

  async #eni(mac: string): Promise<Eni> {
    for (const [vm, { instanceId }] of this.#vms.entries()) {
      const eni = (await this.#describe(instanceId)).find(({ MacAddress }) => MacAddress === mac);
      if (eni === undefined) continue;
      const { NetworkInterfaceId: id, Primary: primary } = eni;
      return { id, vm, mac, linkName: this.#network.linkName(mac), primary, addresses: allAddresses(eni) };
    }
    throw new Error(`looking up ENI ${mac}: it is not attached`);
  }
}
