/** What the control plane has done: ports in the fabric, links in the VMs, and what the metadata service answers each VM. */
import type { Actor } from './actor-client.ts';
import type { NetworkInterface } from './control-plane/api.ts';
import { allAddresses } from './control-plane/model.ts';
import type { InstanceSize } from './control-plane/quotas.ts';
import type { DataPlane } from './control-plane/state.ts';
import type { Fabric } from './fabric.ts';
import type { ServedModel, ServedNic } from './metadata-server.ts';
import { macFor, NETMASK, subnetOf } from './topology.ts';

/** A VM as it is born, with the port of its primary ENI. */
export interface CloudVm {
  readonly instanceId: string;
  readonly namespace: string;
  readonly linkName: string;
  readonly address: string;
  readonly size: InstanceSize;
}

export interface DataPlaneParts {
  readonly fabric: Fabric;
  /** The metadata service's. */
  readonly actor: Actor;
  readonly vms: readonly CloudVm[];
  /** Of an instance, as the control plane describes them. */
  readonly describe: (instanceId: string) => Promise<readonly NetworkInterface[]>;
}

/** ENIs are known by their MAC here, as in the VMs. */
export class LabDataPlane implements DataPlane {
  readonly #parts: DataPlaneParts;
  readonly #links = new Map<string, { readonly instanceId: string; readonly name: string }>();
  readonly #hidden = new Set<string>();
  /** By instance: the model that the metadata service answers it from, as text. */
  readonly #served = new Map<string, string>();
  readonly #announced = new Map<string, { readonly pluggedIn: Promise<void>; readonly plugIn: () => void }>();

  constructor(parts: DataPlaneParts) {
    this.#parts = parts;
    for (const { address, instanceId, linkName } of parts.vms)
      this.nameLink(macFor(address), instanceId, linkName);
  }

  /** The link of an ENI that is to be attached there has its name from now on; without one the first free ethN. */
  nameLink(mac: string, instanceId: string, name = this.#freeName(instanceId)): void {
    this.#links.set(mac, { instanceId, name });
  }

  linkName(mac: string): string {
    return this.#links.get(mac)?.name ?? '';
  }

  /** The metadata lists it once its attach has begun; its link waits for `plugIn`. */
  announce(mac: string): void {
    let plugIn = (): void => {};
    const pluggedIn = new Promise<void>((resolve) => {
      plugIn = resolve;
    });
    this.#announced.set(mac, { pluggedIn, plugIn });
  }

  plugIn(mac: string): void {
    this.#announced.get(mac)?.plugIn();
  }

  /** Left out of the metadata, from the next `publish` on. */
  hide(mac: string): void {
    this.#hidden.add(mac);
  }

  show(mac: string): void {
    this.#hidden.delete(mac);
  }

  async plug(eni: NetworkInterface): Promise<void> {
    const { MacAddress: mac, Attachment } = eni;
    const instanceId = Attachment?.InstanceId ?? '';
    if (!this.#links.has(mac)) this.nameLink(mac, instanceId);
    await this.#announced.get(mac)?.pluggedIn;
    const namespace = this.#parts.vms.find((vm) => vm.instanceId === instanceId)?.namespace ?? '';
    const options = { mac, namespace, linkName: this.linkName(mac), addresses: allAddresses(eni) };
    await this.#parts.fabric.addPorts([{ ...options, role: 'secondary' }]);
  }

  async unplug({ MacAddress: mac }: NetworkInterface): Promise<void> {
    await this.#parts.fabric.removePort(mac);
    this.#links.delete(mac);
    this.#hidden.delete(mac);
    this.#announced.delete(mac);
  }

  async assign({ MacAddress }: NetworkInterface, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await this.#parts.fabric.assign(MacAddress, address);
  }

  async unassign({ MacAddress }: NetworkInterface, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await this.#parts.fabric.unassign(MacAddress, address);
  }

  async publish(instanceId: string): Promise<void> {
    const enis = await this.#parts.describe(instanceId);
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
    // A plugged-in ENI that was announced changes nothing, and must not cost the moment in which the VM is measured.
    const text = JSON.stringify(model);
    if (this.#served.get(instanceId) === text) return;
    this.#served.set(instanceId, text);
    // The VM asks from its primary address.
    const client = primary?.PrivateIpAddressSet[0]?.PrivateIpAddress ?? '';
    await this.#parts.actor.call('setMetadata', { client, model });
  }

  #freeName(instanceId: string): string {
    const links = [...this.#links.values()].filter((link) => link.instanceId === instanceId);
    const taken = new Set(links.map(({ name }) => name));
    let index = 1;
    while (taken.has(`eth${index}`)) index += 1;
    return `eth${index}`;
  }
}

/** The metadata service knows IPv4 alone. */
function servedNic({ MacAddress, SubnetId, PrivateIpAddressSet }: NetworkInterface): ServedNic {
  const there = PrivateIpAddressSet.filter(({ State }) => State !== 'PENDING');
  const addresses = there.map(({ PrivateIpAddress }) => PrivateIpAddress);
  const [primary = ''] = addresses;
  const { gateway } = subnetOf(primary);
  return { mac: MacAddress, primary, addresses, mask: NETMASK, gateway, subnetId: SubnetId };
}
