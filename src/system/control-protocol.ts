/** What the daemon and its clients say to each other: HTTP/1.1 over a Unix socket, one request per connection, JSON both ways. */
import * as v from 'valibot';
import { AgentError, ERROR_CODES, type ErrorCode, errorMessage } from '../errors.ts';

/** NICs by name or MAC as the operator typed them; null when none was named. */
const SELECTION = v.nullable(v.pipe(v.array(v.string()), v.readonly()));

export const RECONFIGURE_REQUEST = v.pipe(
  v.strictObject({ selection: SELECTION, all: v.boolean(), dryRun: v.boolean() }),
  v.readonly(),
);
export const RELEASE_REQUEST = v.pipe(
  v.strictObject({ selection: SELECTION, dryRun: v.boolean() }),
  v.readonly(),
);

export type ReconfigureRequest = v.InferOutput<typeof RECONFIGURE_REQUEST>;
export type ReleaseRequest = v.InferOutput<typeof RELEASE_REQUEST>;

export type Route = keyof typeof ROUTES;
/** `GET /status/watch` answers with one document a line (NDJSON), as long as both sides live; `GET /metrics` in Prometheus's text format. */
export const ROUTES = {
  'GET /status': true,
  'GET /status/watch': true,
  'GET /metrics': true,
  'POST /reconfigure': true,
  'POST /release': true,
  'POST /reload': true,
} as const;

/** The body of every answer that is not 200. The code is null for what is a bug of the daemon. */
const ERROR_ANSWER = v.object({ error: v.object({ code: v.nullable(v.string()), message: v.string() }) });

export function errorAnswer(error: unknown): v.InferOutput<typeof ERROR_ANSWER> {
  const code = error instanceof AgentError ? error.code : null;
  return { error: { code, message: errorMessage(error) } };
}

/** The error that errorAnswer() was made of; undefined for an answer of another make. */
export function parseErrorAnswer(answer: unknown): Error | undefined {
  const { success, output } = v.safeParse(ERROR_ANSWER, answer);
  if (!success) return undefined;
  const { code, message } = output.error;
  return isErrorCode(code) ? new AgentError(code, message) : new Error(message);
}

function isErrorCode(code: string | null): code is ErrorCode {
  return code !== null && Object.hasOwn(ERROR_CODES, code);
}
