/** The daemon's side of its control socket. What the commands mean is not known here. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import { claimSocket } from './claim-socket.ts';
import {
  errorAnswer,
  RECONFIGURE_REQUEST,
  RELEASE_REQUEST,
  type ReconfigureRequest,
  type ReleaseRequest,
  ROUTES,
  type Route,
} from './control-protocol.ts';

export interface ControlHandlers {
  status(): Promise<unknown>;
  /** Called to the end, whether the client waits for it or not. */
  reconfigure(request: ReconfigureRequest): Promise<unknown>;
  release(request: ReleaseRequest): Promise<unknown>;
  /** Resolves when the configuration was read again, and taken or refused. */
  reload(): Promise<unknown>;
  metrics(): Promise<Page>;
  /** Calls back at each change, with the status or when there is none to be had, until the returned function is called. */
  watchStatus(onChange: (report: unknown) => void, onFailure: () => void): () => void;
}

/** What is no JSON. */
export interface Page {
  readonly contentType: string;
  readonly text: string;
}

export interface ControlServerOptions {
  readonly path: string;
  readonly handlers: ControlHandlers;
  readonly log?: { error(fields: object, message: string): void };
}

export interface ControlServer {
  /**
   * Within 1 s, whatever the clients do: watches end, the others have half a second for the answers under way. Never rejects.
   */
  close(): Promise<void>;
}

interface Service extends ControlServerOptions {
  /** Watches under way. */
  readonly streams: Set<ServerResponse>;
}

const MAX_BODY_BYTES = 64 * 1024;
/** For a request to arrive, from the connection to its last byte. It is local and small. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Clients are root's commands and a few watchers: more is a client gone mad, and must not take the daemon's descriptors. */
const MAX_CONNECTIONS = 128;
const CLOSE_GRACE_MS = 500;

/** AgentError `daemon-running` when another one answers at the path, `path-too-long`, `permission-denied`, `file-failed`, `lock-busy`. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const service: Service = { ...options, streams: new Set() };
  const limits = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
  const server = createServer(limits, (request, response) => {
    void serve(service, request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  const socket = await claimSocket(server, options.path);
  // accept(2) fails where the process has no descriptor left; the next connection may find one.
  server.on('error', (error) => options.log?.error({ problem: error.message }, 'control socket failed'));
  let closed: Promise<void> | undefined;
  return {
    close() {
      closed ??= socket
        .remove()
        .catch((error: unknown) =>
          options.log?.error({ problem: errorMessage(error) }, 'control socket stays'),
        )
        .then(() => end(server, service.streams));
      return closed;
    },
  };
}

function end(server: Server, streams: Iterable<ServerResponse>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    for (const stream of streams) stream.end();
  });
}

/** Never rejects. */
async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const route = `${request.method} ${request.url}`;
    if (!isRoute(route)) {
      const problem = 'it knows no such request; if it is of an older version, restart it';
      answer(
        response,
        404,
        errorAnswer(new AgentError('usage', `asking the daemon for ${route}: ${problem}`)),
      );
    } else if (route === 'GET /status/watch') {
      await watch(service, response);
    } else if (route === 'GET /metrics') {
      send(response, 200, await service.handlers.metrics());
    } else {
      answer(response, 200, await handle(service.handlers, route, request));
    }
  } catch (error) {
    if (!(error instanceof AgentError))
      service.log?.error(
        { problem: errorMessage(error), stack: error instanceof Error ? error.stack : undefined },
        'control request failed',
      );
    const isTheirs = error instanceof AgentError && error.code === 'usage';
    if (response.headersSent) response.destroy();
    else answer(response, isTheirs ? 400 : 500, errorAnswer(error));
  }
}

function isRoute(route: string): route is Route {
  return Object.hasOwn(ROUTES, route);
}

async function handle(
  handlers: ControlHandlers,
  route: Exclude<Route, 'GET /status/watch' | 'GET /metrics'>,
  request: IncomingMessage,
): Promise<unknown> {
  switch (route) {
    case 'GET /status':
      return handlers.status();
    case 'POST /reconfigure':
      return handlers.reconfigure(await readBody(request, RECONFIGURE_REQUEST));
    case 'POST /release':
      return handlers.release(await readBody(request, RELEASE_REQUEST));
    case 'POST /reload':
      return handlers.reload();
  }
}

function answer(response: ServerResponse, status: number, document: unknown): void {
  send(response, status, { contentType: 'application/json', text: toLine(document) });
}

function send(response: ServerResponse, status: number, { contentType, text }: Page): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  });
  response.end(text);
}

/** The present status, then that of each change. A client that reads too slowly misses all but the last. */
async function watch({ handlers, streams }: Service, response: ServerResponse): Promise<void> {
  let latest: string | undefined;
  const flush = (): void => {
    if (latest === undefined || response.writableEnded || response.writableNeedDrain) return;
    response.write(latest);
    latest = undefined;
  };
  const tell = (report: unknown): void => {
    latest = toLine(report);
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' });
    flush();
  };
  response.on('drain', flush);
  // Who asks again is told why, or gets the status that there is by then. The first failure is the answer itself.
  const stop = handlers.watchStatus(tell, () => {
    if (response.headersSent) response.destroy();
  });
  streams.add(response);
  response.once('close', () => {
    streams.delete(response);
    stop();
  });
  const present = await handlers.status();
  // A change that came meanwhile is newer.
  if (!response.headersSent) tell(present);
}

async function readBody<Schema extends v.GenericSchema>(
  request: IncomingMessage,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const refuse = (problem: string): AgentError =>
    new AgentError('usage', `reading the request ${request.method} ${request.url}: ${problem}`);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    }
  } catch (error) {
    throw refuse(errorMessage(error));
  }
  // Read to its end all the same: a client that still writes would not see the answer.
  if (length > MAX_BODY_BYTES) throw refuse(`it has more than ${MAX_BODY_BYTES} bytes`);
  const result = v.safeParse(schema, parseJson(Buffer.concat(chunks), refuse));
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'the request'}: ${issue.message}`);
  throw refuse(problems.join('; '));
}

function parseJson(bytes: Uint8Array, refuse: (problem: string) => AgentError): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw refuse(errorMessage(error));
  }
}

function toLine(document: unknown): string {
  return `${JSON.stringify(document ?? null)}\n`;
}
