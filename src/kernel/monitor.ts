/**
 * The kernel's notifications of links, addresses, routes, rules and sysctls: that something has happened which is worth a look, never
 * what. Our own changes and what the kernel makes of them do not ring (sightings.ts).
 */
import { encodeBody, encodeDatagram, type KernelRequest, splitMessages } from './codec.ts';
import { type Listener, startListener } from './listener.ts';
import { createSightings, type SightingKind } from './sightings.ts';
import type { Rtnetlink } from './socket.ts';

/** `overflow`: notifications were lost, anything may have happened. */
export interface KernelEvent {
  readonly kind: SightingKind | 'overflow';
}

export interface Monitor {
  /** Resolves when changes are heard; a look that begins later misses nothing. Resolves as well when there is no listening yet. */
  readonly ready: Promise<void>;
  /** Changes that are about to be asked for: they will not ring. The kernel signs not all of them with our port. */
  expect(requests: readonly KernelRequest[]): void;
  /** Those of them that the kernel refused. */
  refused(requests: readonly KernelRequest[]): void;
  close(): void;
}

export interface MonitorOptions {
  /** Called as often as the kernel speaks; the listener coalesces. */
  readonly onEvent: (event: KernelEvent) => void;
  /** Whether a socket of ours made a change. */
  readonly isOwnPort: (port: number) => boolean;
}

/** linux/rtnetlink.h, enum rtnetlink_groups: links; addresses, routes and rules of IPv4; those of IPv6; sysctls of IPv4. */
const GROUPS = [1, 5, 7, 8, 9, 11, 19, 24];
/** linux/netlink.h, linux/rtnetlink.h */
const NLMSG_DONE = 3;
const NLM_F_DUMP = 0x300;
/** Part of an answer; no notification has it. */
const NLM_F_MULTI = 0x02;
const RTM_GETLINK = 18;
const IFINFOMSG_BYTES = 16;

/** Between the end of a listener and the next: a storm is let pass. */
const RESTART_MS = 200;

/** Listens until close(); does not keep the event loop alive. */
export function openMonitor(options: MonitorOptions): Monitor {
  return new ListeningMonitor(options);
}

/** The same rtnetlink, whose changes the monitor is told of before they are made. */
export function expecting(rtnetlink: Rtnetlink, monitor: Pick<Monitor, 'expect' | 'refused'>): Rtnetlink {
  return {
    port: rtnetlink.port,
    dump: (messageType, body) => rtnetlink.dump(messageType, body),
    transact: async (requests) => {
      monitor.expect(requests);
      const results = await rtnetlink.transact(requests);
      monitor.refused(requests.filter((_, index) => results[index] !== 0));
      return results;
    },
    ask: (request) => rtnetlink.ask(request),
    close: () => rtnetlink.close(),
  };
}

class ListeningMonitor implements Monitor {
  readonly ready: Promise<void>;
  readonly #options: MonitorOptions;
  readonly #sightings = createSightings();
  #setReady: () => void = () => undefined;
  #listener: Listener;
  #restart: NodeJS.Timeout | undefined;
  /** Notifications were lost, and nobody has been told. */
  #isDue = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
    this.#listener = this.#listen();
  }

  expect(requests: readonly KernelRequest[]): void {
    for (const request of requests) this.#sightings.expect(request);
  }

  refused(requests: readonly KernelRequest[]): void {
    for (const request of requests) this.#sightings.refused(request);
  }

  close(): void {
    clearTimeout(this.#restart);
    this.#listener.close();
    this.#setReady();
  }

  #listen(): Listener {
    return startListener({
      groups: GROUPS,
      question: linkQuestion(),
      onMessages: (messages) => this.#take(messages),
      onEnd: () => this.#recover(),
    });
  }

  #take(messages: Uint8Array): void {
    try {
      for (const message of splitMessages(messages)) {
        if (message.type === NLMSG_DONE) this.#answered();
        const kind = this.#sightings.take(message);
        // The answer to our question tells of links as they are.
        const isAnswer = (message.flags & NLM_F_MULTI) !== 0;
        if (kind !== null && !isAnswer && !this.#options.isOwnPort(message.port))
          this.#options.onEvent({ kind });
      }
    } catch {
      // Whatever a message that we can't read says, it is worth a look.
      this.#options.onEvent({ kind: 'overflow' });
    }
  }

  /** From here on everything is heard: a look that is asked for now sees what was not. */
  #answered(): void {
    this.#setReady();
    if (!this.#isDue) return;
    this.#isDue = false;
    this.#options.onEvent({ kind: 'overflow' });
  }

  #recover(): void {
    this.#isDue = true;
    this.#setReady();
    this.#sightings.forget();
    this.#restart = setTimeout(() => {
      this.#listener = this.#listen();
    }, RESTART_MS).unref();
  }
}

function linkQuestion(): Buffer {
  const body = encodeBody(new Uint8Array(IFINFOMSG_BYTES), []);
  return encodeDatagram([{ type: RTM_GETLINK, flags: NLM_F_DUMP, body }], 1);
}
