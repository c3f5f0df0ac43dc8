/** A TCP connection that lasts, between a client of the lab and an address of a VM. */
import { execa } from 'execa';
import type { Actor } from './actor-client.ts';
import { inNamespace } from './netns.ts';
import type { Typed } from './protocol.ts';
import { ECHO_PORT } from './topology.ts';

/** Longer than the retransmissions of a connection that is held up for a moment. */
const EXCHANGE_DEADLINE_MS = 5_000;
/** Faster than anybody types. */
const KEY_INTERVAL_MS = 10;

export interface Session {
  /** Sends a line and waits for its echo; throws when it does not come or the connection is gone. */
  exchange(): Promise<void>;
  /**
   * Exchanges without a pause until the returned function is called, which exchanges once more, so that
   * the connection works at the end too, and tells how many there were: two at least.
   */
  keepExchanging(): () => Promise<number>;
  /** As somebody types into ssh: a byte every 10 ms and its echo, until the returned function is called. */
  keepTyping(): () => Promise<Typed>;
  /** Of both sides, since it began. */
  retransmissions(): Promise<number>;
  close(): Promise<void>;
}

export interface SessionParts {
  readonly actor: Actor;
  readonly to: string;
  /** Where either end may be. */
  readonly namespaces: readonly string[];
}

export async function openSession({ actor, to, namespaces }: SessionParts): Promise<Session> {
  const timeoutMs = EXCHANGE_DEADLINE_MS;
  const { id, localPort } = await actor.call('openSession', { to, port: ECHO_PORT, timeoutMs });
  const exchange: Session['exchange'] = async () => {
    await actor.call('exchange', { id, timeoutMs });
  };
  return {
    exchange,
    keepExchanging: () => {
      const over = new AbortController();
      const exchanges = (async () => {
        let count = 0;
        for (; !over.signal.aborted; count += 1) await exchange();
        await exchange();
        return count + 1;
      })();
      // A failure is told when it is asked for.
      exchanges.catch(() => undefined);
      return () => {
        over.abort();
        return exchanges;
      };
    },
    keepTyping: () => {
      const typing = actor.call('type', { id, everyMs: KEY_INTERVAL_MS, timeoutMs });
      typing.catch(() => undefined);
      return async () => {
        await actor.call('stopTyping', { id });
        return typing;
      };
    },
    retransmissions: async () => {
      const counts = await Promise.all(namespaces.map((name) => countRetransmissions(name, localPort)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    close: async () => {
      await actor.call('closeSession', { id });
    },
  };
}

/** `retrans:0/3` of ss(8): now and in all; it is left out while there was none. */
async function countRetransmissions(namespace: string, clientPort: number): Promise<number> {
  const filter = `( sport = :${clientPort} and dport = :${ECHO_PORT} ) or ( sport = :${ECHO_PORT} and dport = :${clientPort} )`;
  const [file, ...args] = inNamespace(namespace, ['ss', '-tinHO', filter]);
  const { stdout } = await execa(file, args);
  return [...stdout.matchAll(/\bretrans:\d+\/(\d+)/g)].reduce((sum, [, total]) => sum + Number(total), 0);
}
