/** `GET /metrics` over HTTP, at an address that the operator chose. An address that is taken, or not here yet, is tried again. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatListenAddress, type ListenAddress } from '../model/net.ts';
import type { Page } from '../system/control-socket.ts';

export interface Listener {
  /** Tries again when nothing listens; never rejects. */
  retry(): Promise<void>;
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly at: ListenAddress;
  readonly render: () => Promise<Page>;
  readonly log: Log;
}

/** For a request to arrive. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Scrapers are few. */
const MAX_CONNECTIONS = 16;

export function createListener(options: ListenerOptions): Listener {
  const { at, log } = options;
  let server: Server | null = null;
  /** Said once. */
  let problem: string | null = null;
  return {
    retry: async () => {
      if (server !== null) return;
      try {
        server = await listen(options);
        problem = null;
        log.info({ listen: formatListenAddress(at) }, 'metrics are served');
      } catch (error) {
        const message = errorMessage(error);
        if (message !== problem)
          log.error(
            { listen: formatListenAddress(at), problem: message },
            'metrics are not served, tried again with each run',
          );
        problem = message;
      }
    },
    close: async () => {
      if (server === null) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      server = null;
      await closed;
    },
  };
}

/** Rejects when it cannot. */
async function listen({ at, render, log }: ListenerOptions): Promise<Server> {
  const limits = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
  const server = createServer(limits, (request, response) => {
    void answer(request, response, render);
  });
  server.maxConnections = MAX_CONNECTIONS;
  const listening = once(server, 'listening');
  server.listen({ host: at.address, port: at.port });
  await listening;
  // accept(2) fails where the process has no descriptor left; the next connection may find one.
  server.on('error', (error) => log.error({ problem: error.message }, 'serving metrics failed'));
  return server;
}

async function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  render: () => Promise<Page>,
): Promise<void> {
  const say = (status: number, text: string, headers: OutgoingHttpHeaders = {}): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
    response.end(text);
  };
  if (method !== 'GET' && method !== 'HEAD') return say(405, 'GET /metrics\n', { allow: 'GET, HEAD' });
  if (url?.split('?')[0] !== '/metrics') return say(404, 'GET /metrics\n');
  try {
    const { contentType, text } = await render();
    say(200, text, { 'content-type': contentType });
  } catch (error) {
    say(500, `${errorMessage(error)}\n`);
  }
}
