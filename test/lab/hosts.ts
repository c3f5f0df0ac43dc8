/** The machines of a lab by name, each with the process in it that asks and answers. */
import type { Actor, Actors } from './actor-client.ts';
import { ECHO_PORT, RESPONDER_PORT } from './topology.ts';

export interface Host {
  readonly name: string;
  /** All that it ever has; undefined: any, as a VM. */
  readonly addresses?: readonly string[];
}

export class Hosts {
  readonly #actors: Actors;
  readonly #hosts: Host[];
  readonly #answering = new Map<string, Promise<void>>();

  constructor(actors: Actors, hosts: readonly Host[]) {
    this.#actors = actors;
    this.#hosts = [...hosts];
  }

  add(name: string): void {
    this.#hosts.push({ name });
  }

  /**
   * The one of that name. It answers, and so does from now on whoever may have the address `to`; the others have no process:
   * one for each is most of what a lab costs.
   */
  async of(name: string, to?: string): Promise<Actor> {
    const owner = this.#hosts.find(({ addresses }) => to !== undefined && addresses?.includes(to));
    const asked = this.#hosts.filter((host) =>
      owner === undefined ? host.addresses === undefined : host === owner,
    );
    await Promise.all([name, ...asked.map((host) => host.name)].map((each) => this.#answers(each)));
    return this.#actors.of(name);
  }

  /** UDP too, on each address that a host has by now, from that address. */
  async answerUdp(): Promise<void> {
    const answers = this.#hosts.map(async ({ name }) =>
      (await this.of(name)).call('respondUdp', { host: name, port: RESPONDER_PORT }),
    );
    await Promise.all(answers);
  }

  #answers(host: string): Promise<void> {
    const answering = this.#answering.get(host) ?? this.#start(host);
    this.#answering.set(host, answering);
    return answering;
  }

  async #start(host: string): Promise<void> {
    const actor = await this.#actors.of(host);
    await actor.call('respond', { host, port: RESPONDER_PORT });
    await actor.call('echo', { port: ECHO_PORT });
  }
}
