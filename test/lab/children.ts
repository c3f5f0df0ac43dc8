/** Long-lived processes of a lab: each is ended with it, and one that ended by itself is reported. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { inNamespace } from './netns.ts';

export interface Exit {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly durationMs: number;
}

export interface ChildOptions {
  /** For messages. */
  readonly name: string;
  readonly namespace: string;
  readonly command: readonly string[];
}

export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #text = { stdout: '', stderr: '' };
  #isWanted = true;
  #exit: { readonly code: number | null; readonly signal: string | null } | undefined;

  constructor({ name, namespace, command }: ChildOptions) {
    const [file, ...args] = inNamespace(namespace, command);
    // nsenter executes the command in its own process: the id is the command's.
    this.#process = spawn(file, args, {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.name = name;
    this.pid = this.#process.pid ?? 0;
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#process[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
        this.#text[stream] += chunk;
      });
    }
    this.#process.once('exit', (code, signal) => {
      this.#exit = { code, signal };
    });
  }

  /** So far. */
  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Its end is wanted from here on. */
  async end(signal: NodeJS.Signals): Promise<Exit> {
    this.#isWanted = false;
    const startedAt = performance.now();
    if (this.#exit === undefined) {
      const exited = once(this.#process, 'exit');
      this.signal(signal);
      await exited;
    }
    return { exitCode: this.#exit?.code ?? null, durationMs: performance.now() - startedAt };
  }

  /** How it ended by itself. */
  get death(): string | undefined {
    if (!this.#isWanted || this.#exit === undefined) return undefined;
    const { code, signal } = this.#exit;
    return `${this.name} died: exit code ${code}, signal ${signal}: ${this.stderr.trim().split('\n').at(-1)}`;
  }
}

export class Children {
  readonly #all: Child[] = [];

  start(options: ChildOptions): Child {
    const child = new Child(options);
    this.#all.push(child);
    return child;
  }

  /** Ends those that are left. Returns how others had died by themselves. */
  async endAll(): Promise<readonly string[]> {
    const deaths = this.#all.flatMap(({ death }) => (death === undefined ? [] : [death]));
    await Promise.all(this.#all.map((child) => child.end('SIGKILL')));
    return deaths;
  }
}
