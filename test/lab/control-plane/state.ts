/** What the control plane's actions share: the model that they read and change, the tasks that they begin, and the network. */
import type { AddressState, Answered, NetworkInterface, PrivateIpAddress } from './api.ts';
import { allAddresses, type CloudModel, freeDeviceIndex, type Instance, type VpcSubnet } from './model.ts';
import { Tasks } from './tasks.ts';

/** What the control plane has done in the network. */
export interface DataPlane {
  /** Its link appears in the VM that `Attachment` names, and the network takes its addresses from there. */
  plug(eni: NetworkInterface): Promise<void>;
  unplug(eni: NetworkInterface): Promise<void>;
  /** To an ENI that is plugged in. */
  assign(eni: NetworkInterface, addresses: readonly string[]): Promise<void>;
  unassign(eni: NetworkInterface, addresses: readonly string[]): Promise<void>;
  /** The metadata of a VM follows the model. */
  publish(instanceId: string): Promise<void>;
}

export interface CloudParts {
  readonly network: DataPlane;
  readonly subnets: readonly VpcSubnet[];
  /** Each is born with its primary ENI, plugged in. */
  readonly instances: readonly Instance[];
  /** Addresses of machines that are none of the instances. */
  readonly occupied: readonly string[];
  /** The MAC of a new ENI, by its primary address. */
  readonly macOf: (address: string) => string;
}

type NewEni = Pick<
  NetworkInterface,
  'NetworkInterfaceName' | 'NetworkInterfaceDescription' | 'PrivateIpAddressSet'
>;

export class CloudState {
  readonly model: CloudModel;
  readonly network: DataPlane;
  readonly tasks = new Tasks();
  readonly #enis = new Map<string, NetworkInterface>();
  readonly #macOf: CloudParts['macOf'];
  #created = 0;

  constructor({ network, macOf, subnets, instances, occupied }: CloudParts) {
    this.network = network;
    this.model = { subnets, instances, occupied, enis: this.#enis };
    this.#macOf = macOf;
    for (const instance of instances) this.#bear(instance);
  }

  subnetOf({ SubnetId }: { readonly SubnetId: string }): VpcSubnet {
    const subnet = this.model.subnets.find((each) => each.SubnetId === SubnetId);
    if (subnet === undefined) throw new Error(`looking up ${SubnetId}: the cloud has no such subnet`);
    return subnet;
  }

  /** PENDING, and attached to nothing. */
  create({ SubnetId, VpcId, Zone }: VpcSubnet, parts: NewEni): NetworkInterface {
    this.#created += 1;
    const primary = parts.PrivateIpAddressSet.find(({ Primary }) => Primary);
    const eni: NetworkInterface = {
      NetworkInterfaceId: `eni-${String(this.#created).padStart(8, '0')}`,
      ...parts,
      SubnetId,
      VpcId,
      Zone,
      Primary: false,
      MacAddress: this.#macOf(primary?.PrivateIpAddress ?? ''),
      State: 'PENDING',
      Ipv6AddressSet: [],
      Attachment: null,
      CreatedTime: now(),
    };
    this.#enis.set(eni.NetworkInterfaceId, eni);
    return eni;
  }

  /** As it is now. */
  current({ NetworkInterfaceId }: NetworkInterface): NetworkInterface {
    const eni = this.#enis.get(NetworkInterfaceId);
    if (eni === undefined) throw new Error(`looking up ${NetworkInterfaceId}: it was deleted`);
    return eni;
  }

  update(eni: NetworkInterface, change: Partial<NetworkInterface>): NetworkInterface {
    const updated = { ...this.current(eni), ...change };
    this.#enis.set(eni.NetworkInterfaceId, updated);
    return updated;
  }

  remove({ NetworkInterfaceId }: NetworkInterface): void {
    this.#enis.delete(NetworkInterfaceId);
  }

  begin(enis: readonly NetworkInterface[], work: () => Promise<void>): Answered {
    const ids = enis.map(({ NetworkInterfaceId }) => NetworkInterfaceId);
    return { RequestId: this.tasks.begin(ids, work) };
  }

  isIdle({ NetworkInterfaceId, State }: NetworkInterface): boolean {
    return State === 'AVAILABLE' && !this.tasks.isHeld(NetworkInterfaceId);
  }

  /** Takes a place on the VM. */
  bind(eni: NetworkInterface, { InstanceId }: Instance): void {
    const DeviceIndex = freeDeviceIndex(this.model, InstanceId);
    this.update(eni, { State: 'ATTACHING', Attachment: { InstanceId, DeviceIndex, AttachTime: now() } });
  }

  async plug(eni: NetworkInterface): Promise<void> {
    await this.network.plug(this.current(eni));
    this.update(eni, { State: 'AVAILABLE' });
    await this.publish(eni);
  }

  async unplug(eni: NetworkInterface): Promise<void> {
    const attached = this.current(eni);
    await this.network.unplug(attached);
    this.update(eni, { State: 'AVAILABLE', Attachment: null });
    await this.network.publish(attached.Attachment?.InstanceId ?? '');
  }

  /** Addresses that the model has as PENDING. */
  async assign(eni: NetworkInterface, addresses: readonly string[]): Promise<void> {
    const owner = this.current(eni);
    if (owner.Attachment !== null) await this.network.assign(owner, addresses);
    this.setAddressState(eni, addresses, 'AVAILABLE');
    await this.publish(eni);
  }

  async unassign(eni: NetworkInterface, addresses: readonly string[]): Promise<void> {
    const owner = this.current(eni);
    if (owner.Attachment !== null) await this.network.unassign(owner, addresses);
    const { PrivateIpAddressSet } = owner;
    this.update(eni, {
      PrivateIpAddressSet: PrivateIpAddressSet.filter((each) => !addresses.includes(each.PrivateIpAddress)),
    });
    await this.publish(eni);
  }

  setAddressState(eni: NetworkInterface, addresses: readonly string[], State: AddressState): void {
    const { PrivateIpAddressSet, Ipv6AddressSet } = this.current(eni);
    this.update(eni, {
      PrivateIpAddressSet: PrivateIpAddressSet.map((each) =>
        addresses.includes(each.PrivateIpAddress) ? { ...each, State } : each,
      ),
      Ipv6AddressSet: Ipv6AddressSet.map((each) =>
        addresses.includes(each.Address) ? { ...each, State } : each,
      ),
    });
  }

  async publish(eni: NetworkInterface): Promise<void> {
    const { Attachment } = this.current(eni);
    if (Attachment !== null) await this.network.publish(Attachment.InstanceId);
  }

  #bear(instance: Instance): void {
    const eni = this.create(this.subnetOf(instance), {
      NetworkInterfaceName: 'Primary ENI',
      NetworkInterfaceDescription: '',
      PrivateIpAddressSet: [newAddress({ PrivateIpAddress: instance.PrivateIpAddress, Primary: true })],
    });
    this.bind(eni, instance);
    this.setAddressState(eni, allAddresses(eni), 'AVAILABLE');
    this.update(eni, { State: 'AVAILABLE', Primary: true });
  }
}

export function newAddress(parts: {
  readonly PrivateIpAddress: string;
  readonly Primary?: boolean;
  readonly Description?: string;
}): PrivateIpAddress {
  return { Primary: false, Description: '', ...parts, State: 'PENDING' };
}

/** `2026-11-22 10:00:00` */
function now(): string {
  return new Date().toISOString().slice(0, 19).replace('T', ' ');
}
