/** A command's side of the daemon's control socket. */
import { type IncomingMessage, request as sendRequest } from 'node:http';
import { connect } from 'node:net';
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import { isDenied } from './atomic-file.ts';
import {
  parseErrorAnswer,
  type ReconfigureRequest,
  type ReleaseRequest,
  type Route,
} from './control-protocol.ts';
import { fitsSocket, isListening } from './unix-socket.ts';

/**
 * All reject with the AgentError of the daemon, or with `daemon-unreachable` when it went away or did not answer in time.
 * What the documents are is between the handlers of the server and the caller.
 */
export interface ControlClient {
  status(): Promise<unknown>;
  /** Resolves when the daemon ends the stream or the signal is given, and rejects when the daemon is gone without a word. */
  watchStatus(onDocument: (report: unknown) => void, signal?: AbortSignal): Promise<void>;
  reconfigure(request: ReconfigureRequest): Promise<unknown>;
  release(request: ReleaseRequest): Promise<unknown>;
  reload(): Promise<unknown>;
}

export interface ControlTimeouts {
  readonly statusMs: number;
  readonly runMs: number;
}

/** A run of the daemon may have to wait for another one, for udev, and for the metadata to confirm a removal. */
const TIMEOUTS: ControlTimeouts = { statusMs: 5_000, runMs: 120_000 };

interface Call {
  readonly path: string;
  readonly route: Route;
  readonly timeoutMs: number;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** null when no daemon listens there; AgentError `permission-denied` when one may, but not for this user. */
export async function connectControl(path: string, timeouts = TIMEOUTS): Promise<ControlClient | null> {
  // A daemon cannot have such a socket, so there is none.
  if (!fitsSocket(path)) return null;
  try {
    if (!(await isListening(path))) return null;
  } catch (error) {
    throw failure({ path, route: 'GET /status' }, error);
  }
  const { statusMs, runMs } = timeouts;
  return {
    status: () => ask({ path, route: 'GET /status', timeoutMs: statusMs }),
    watchStatus: (onDocument, signal) =>
      watch({ path, route: 'GET /status/watch', timeoutMs: statusMs, signal }, onDocument),
    reconfigure: (body) => ask({ path, route: 'POST /reconfigure', timeoutMs: runMs, body }),
    release: (body) => ask({ path, route: 'POST /release', timeoutMs: runMs, body }),
    reload: () => ask({ path, route: 'POST /reload', timeoutMs: statusMs }),
  };
}

async function ask(call: Call): Promise<unknown> {
  return readDocument(call, await open(call));
}

async function watch(call: Call, onDocument: (report: unknown) => void): Promise<void> {
  for await (const line of readLines(call)) onDocument(parseJson(call, line));
}

async function* readLines(call: Call): AsyncGenerator<string, void, undefined> {
  try {
    const response = await open(call);
    // The status may stay as it is for as long as it likes.
    response.setTimeout(0);
    let rest = '';
    for await (const chunk of readChunks(call, response)) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    if (call.signal?.aborted !== true) throw error;
  }
}

/** The answer, when it is not an error. */
async function open(call: Call): Promise<IncomingMessage> {
  const response = await send(call);
  if (response.statusCode === 200) return response;
  throw (
    parseErrorAnswer(await readDocument(call, response)) ??
    unreachable(call, `HTTP ${response.statusCode}, which is no answer of this program's daemon`)
  );
}

function send(call: Call): Promise<IncomingMessage> {
  const { path, route, timeoutMs, signal } = call;
  const [method, target] = route.split(' ');
  const body = call.body === undefined ? '' : JSON.stringify(call.body);
  return new Promise((resolve, reject) => {
    const request = sendRequest({
      // Without an agent, which would begin by asking whether the host's name is an address: 5 ms of regular expressions.
      createConnection: () => connect({ path, timeout: timeoutMs }),
      method,
      path: target,
      // Of silence, and the daemon is silent until it has the whole answer.
      timeout: timeoutMs,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      ...(signal === undefined ? {} : { signal }),
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    request.on('error', (error) => reject(failure(call, error)));
    request.once('response', resolve);
    request.end(body);
  });
}

async function readDocument(call: Call, response: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of readChunks(call, response)) text += chunk;
  return parseJson(call, text);
}

async function* readChunks(call: Call, response: IncomingMessage): AsyncGenerator<string, void, undefined> {
  try {
    yield* response.setEncoding('utf8') as AsyncIterable<string>;
  } catch (error) {
    throw failure(call, error);
  }
}

function parseJson(call: Call, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure(call, error);
  }
}

function failure(call: Pick<Call, 'path' | 'route'>, cause: unknown): AgentError {
  const problem = errorMessage(cause);
  if (!isDenied(cause)) return unreachable(call, problem, cause);
  return new AgentError('permission-denied', `${asking(call)}: ${problem}; run as root`, { cause });
}

function unreachable(call: Pick<Call, 'path' | 'route'>, problem: string, cause?: unknown): AgentError {
  const advice = 'look at the log of the daemon, and try again';
  return new AgentError('daemon-unreachable', `${asking(call)}: ${problem}; ${advice}`, { cause });
}

function asking({ path, route }: Pick<Call, 'path' | 'route'>): string {
  return `asking the daemon at ${path} for ${route}`;
}

/** A document of the daemon, which may be of another version and say something else. */
export function parseAnswer<Schema extends v.GenericSchema>(
  schema: Schema,
  answer: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, answer);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue) ?? 'the whole of it';
  const advice = 'is it of another version? restart it';
  throw new AgentError(
    'daemon-unreachable',
    `reading the daemon's answer: ${where}: ${issue.message}; ${advice}`,
  );
}
