/**
 * Counts what the daemon does from when somebody wants to know: the configuration names an address or a file, or the control socket is
 * asked. Before that nothing is counted, and what counts is not loaded.
 */
import { AgentError, errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Config } from '../model/config.ts';
import type { Trigger } from '../model/state.ts';
import { writeFileAtomically } from '../system/atomic-file.ts';
import type { Page } from '../system/control-socket.ts';
import type { Listener } from './listener.ts';
import type { MetadataPart, Metrics, PresentFacts, RunFacts } from './registry.ts';

export interface Exporter {
  /** From now on so: the configuration was read. Never rejects. */
  configure(config: Config['metrics']): Promise<void>;
  /** `facts`: null for a run that could do nothing at all. Returns at once. */
  ran(trigger: Trigger, facts: RunFacts | null): void;
  asked(part: MetadataPart, result: 'success' | 'failure', durationMs: number): void;
  /** The text format. Rejects when what counts cannot be loaded. */
  render(): Promise<Page>;
  close(): Promise<void>;
}

export interface ExporterOptions {
  readonly version: string;
  /** A look at the host. AgentError when it cannot be told now. */
  readonly look: () => Promise<PresentFacts>;
  /** `metadata.file` and `metrics.textfile` are below the root. */
  readonly below: (contractPath: string) => string;
  readonly log: Log;
}

/** Everybody may read it: the exporter is not root. */
const FILE_MODE = 0o644;

export function createExporter(options: ExporterOptions): Exporter {
  return new LazyExporter(options);
}

class LazyExporter implements Exporter {
  readonly #options: ExporterOptions;
  #config: Config['metrics'] = { listen: null, textfile: null };
  #metrics: Promise<Metrics> | null = null;
  #stopRequests: () => void = () => {};
  #listener: Listener | null = null;
  #rendering: Promise<Page> | null = null;
  #writing: Promise<void> | null = null;
  /** A run has ended since the write under way began. */
  #isOutdated = false;
  #fileProblem: string | null = null;
  #hasMiscounted = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  async configure(config: Config['metrics']): Promise<void> {
    const { log } = this.#options;
    await this.#listener?.close();
    this.#listener = null;
    this.#fileProblem = null;
    this.#config = config;
    if (config.listen === null && config.textfile === null) return;
    try {
      await this.#load();
      if (config.listen === null) return;
      const { createListener } = await import('./listener.ts');
      this.#listener = createListener({ at: config.listen, render: () => this.render(), log });
      await this.#listener.retry();
    } catch (error) {
      // The program's files have been replaced, and the configuration since.
      log.error({ problem: errorMessage(error) }, 'metrics cannot be loaded; restart the daemon');
    }
  }

  ran(trigger: Trigger, facts: RunFacts | null): void {
    this.#count((metrics) => metrics.ran(trigger, facts));
    void this.#listener?.retry();
    if (this.#config.textfile === null) return;
    this.#isOutdated = true;
    this.#writing ??= this.#writeFile();
  }

  asked(part: MetadataPart, result: 'success' | 'failure', durationMs: number): void {
    this.#count((metrics) => metrics.asked(part, result, durationMs));
  }

  /** One at a time, however many ask: it is a look at the host. */
  render(): Promise<Page> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = null;
    });
    return this.#rendering;
  }

  async close(): Promise<void> {
    this.#config = { listen: null, textfile: null };
    this.#stopRequests();
    await this.#listener?.close();
    await this.#writing;
  }

  #load(): Promise<Metrics> {
    this.#metrics ??= this.#create().catch((error: unknown) => {
      this.#metrics = null;
      throw error;
    });
    return this.#metrics;
  }

  async #create(): Promise<Metrics> {
    const [{ createMetrics }, { watchRequests }] = await Promise.all([
      import('./registry.ts'),
      import('./requests.ts'),
    ]);
    this.#stopRequests = watchRequests((result, durationMs) => this.asked('request', result, durationMs));
    return createMetrics(this.#options.version);
  }

  #count(event: (metrics: Metrics) => void): void {
    // What could not be loaded was said to who asked for it.
    void this.#metrics?.then(
      (metrics) => this.#try(() => event(metrics)),
      () => undefined,
    );
  }

  /** A number that is wrong must not end the process that keeps the network. Said once. */
  #try(count: () => void): void {
    try {
      count();
    } catch (error) {
      if (!this.#hasMiscounted)
        this.#options.log.error({ problem: errorMessage(error) }, 'metrics miscounted');
      this.#hasMiscounted = true;
    }
  }

  async #render(): Promise<Page> {
    const metrics = await this.#load();
    const present = await this.#options.look().catch((error: unknown) => {
      if (error instanceof AgentError) return null;
      throw error;
    });
    return metrics.render(present);
  }

  /** Again as long as there is news. A file that cannot be written is said once, and tried again after each run. */
  async #writeFile(): Promise<void> {
    while (this.#isOutdated && this.#config.textfile !== null) {
      this.#isOutdated = false;
      const problem = await this.#tryToWrite(this.#config.textfile);
      if (problem !== null && problem !== this.#fileProblem)
        this.#options.log.error({ problem }, 'metrics are not written, tried again after each run');
      this.#fileProblem = problem;
    }
    this.#writing = null;
  }

  async #tryToWrite(textfile: string): Promise<string | null> {
    try {
      const { text } = await this.render();
      await writeFileAtomically(this.#options.below(textfile), text, { mode: FILE_MODE, durable: false });
      return null;
    } catch (error) {
      return errorMessage(error);
    }
  }
}
