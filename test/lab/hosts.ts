/** The machines of a lab by name, each with the process in it that asks and answers. */
import type { Actor, Actors } from './actor-client.ts';
import { ECHO_PORT, RESPONDER_PORT } from './topology.ts';

export class Hosts {
  readonly #actors: Actors;
  readonly #names: string[];
  readonly #answering = new Map<string, Promise<void>>();

  constructor(actors: Actors, names: readonly string[]) {
    this.#actors = actors;
    this.#names = [...names];
  }

  add(name: string): void {
    this.#names.push(name);
  }

  /** Every host answers from the first connection on: a process for each is most of what a lab costs. */
  async of(name: string): Promise<Actor> {
    await Promise.all(this.#names.map((each) => this.#answers(each)));
    return this.#actors.of(name);
  }

  /** UDP too, on each address that a host has by now, from that address. */
  async answerUdp(): Promise<void> {
    const answers = this.#names.map(async (host) =>
      (await this.of(host)).call('respondUdp', { host, port: RESPONDER_PORT }),
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
