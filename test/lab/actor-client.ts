/** The lab's end of an actor. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { build } from 'esbuild';
import { namespaceOption } from './netns.ts';
import type { ActorCommands, ActorReply, CommandName } from './protocol.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One file, since a bundle starts three times as fast as a loader that strips types, and a script faster than a module. Returns its path. */
export async function bundleActor(folder: string): Promise<string> {
  const outfile = `${folder}/actor.cjs`;
  await build({
    entryPoints: [new URL('./actor.ts', import.meta.url).pathname],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'error',
  });
  return outfile;
}

export class Actor {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #requests = 0;
  #stopping = false;
  #death: string | undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    child.on('message', (message: ActorReply) => this.#receive(message));
    child.once('exit', (code, signal) => this.#end(`exit code ${code}, signal ${signal}`));
    child.once('error', (error) => this.#end(error.message));
  }

  /** Starts the bundled actor in a namespace and waits until it listens to us. */
  static async start(options: { name: string; namespace: string; bundle: string }): Promise<Actor> {
    const { name, namespace, bundle } = options;
    const child = fork(bundle, [], {
      execPath: 'nsenter',
      execArgv: [namespaceOption(namespace), '--', process.execPath],
      // Nothing of the test runner's: NODE_EXTRA_CA_CERTS alone triples the start-up of Node 20.
      env: { PATH: process.env['PATH'] },
    });
    const actor = new Actor(name, child);
    await Promise.race([once(child, 'message'), once(child, 'exit')]);
    actor.#assertAlive();
    return actor;
  }

  call<Name extends CommandName>(
    command: Name,
    args: ActorCommands[Name]['arguments'],
  ): Promise<ActorCommands[Name]['result']> {
    this.#assertAlive();
    this.#requests += 1;
    const id = this.#requests;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, command, arguments: args });
    }) as Promise<ActorCommands[Name]['result']>;
  }

  /** Ends it. Returns how it died if it did so by itself before. */
  async stop(): Promise<string | undefined> {
    this.#stopping = true;
    if (this.#death !== undefined) return `actor ${this.name} died: ${this.#death}`;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
    return undefined;
  }

  #receive(message: ActorReply): void {
    if ('ready' in message) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(new Error(`actor ${this.name}: ${message.error}`));
    else waiting?.resolve(message.result);
  }

  #end(how: string): void {
    if (this.#stopping) return;
    this.#death = how;
    for (const { reject } of this.#waiting.values()) reject(new Error(`actor ${this.name} died: ${how}`));
    this.#waiting.clear();
  }

  #assertAlive(): void {
    if (this.#stopping) throw new Error(`actor ${this.name} was stopped`);
    if (this.#death !== undefined) throw new Error(`actor ${this.name} died: ${this.#death}`);
  }
}

/** The actors of a lab by name, each started when it is first asked for. */
export class Actors {
  readonly #start: (name: string) => Promise<Actor>;
  readonly #starts = new Map<string, Promise<Actor>>();

  constructor(start: (name: string) => Promise<Actor>) {
    this.#start = start;
  }

  of(name: string): Promise<Actor> {
    const start = this.#starts.get(name) ?? this.#start(name);
    this.#starts.set(name, start);
    return start;
  }

  /** How those died that did so by themselves. */
  async stopAll(): Promise<readonly string[]> {
    const started = await Promise.allSettled(this.#starts.values());
    const actors = started.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const deaths = await Promise.all(actors.map((actor) => actor.stop()));
    return deaths.filter((death) => death !== undefined);
  }
}
