/** What an HTTP response means to a reader of metadata. */
import type { IncomingMessage } from 'node:http';
import { quoted } from '../model/printable.ts';

export type HttpAnswer =
  | { readonly kind: 'body'; readonly body: string }
  /** HTTP 404: the key does not exist. */
  | { readonly kind: 'missing' }
  | {
      readonly kind: 'error';
      readonly code: 'metadata-unreachable' | 'metadata-malformed';
      /** What came back. */
      readonly problem: string;
      /** So long the server wants to be left alone (Retry-After, RFC 9110, 10.2.3); at most `LONGEST_RETRY_AFTER_MS`. */
      readonly retryAfterMs?: number;
    };

/** Whoever asks for more is asked again nevertheless: a VM cannot be left without its addresses for an hour. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** The longest listing (30 addresses) has 600 bytes. */
const MAX_BODY_BYTES = 64 * 1024;
const EXCERPT_LENGTH = 60;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

export function unreachable(problem: string): HttpAnswer {
  return { kind: 'error', code: 'metadata-unreachable', problem };
}

function malformed(problem: string): HttpAnswer {
  return { kind: 'error', code: 'metadata-malformed', problem };
}

/** The start of something that came from outside, fit for one line of an error message. */
export function excerpt(text: string): string {
  return quoted(text.length <= EXCERPT_LENGTH ? text : `${text.slice(0, EXCERPT_LENGTH)}…`);
}

/** Calls back once; before the response is complete if its body is too large or breaks off. */
export function collectAnswer(response: IncomingMessage, callback: (answer: HttpAnswer) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    else callback(malformed(`a body of more than ${MAX_BODY_BYTES} bytes`));
  });
  response.once('error', () => callback(unreachable(`a body that broke off after ${size} bytes`)));
  response.once('end', () => callback(interpret(response, Buffer.concat(chunks))));
}

function interpret(response: IncomingMessage, bytes: Buffer): HttpAnswer {
  const { statusCode = 0, headers } = response;
  if (statusCode === 404) return { kind: 'missing' };
  if (statusCode >= 400) return refusal(response);
  if (statusCode >= 300 && statusCode < 400) {
    return malformed(
      `HTTP ${statusCode} to ${excerpt(headers.location ?? '')}, and redirects are not followed`,
    );
  }
  if (statusCode !== 200) return malformed(`HTTP ${statusCode}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return malformed(`content-encoding ${excerpt(encoding)}`);
  try {
    return { kind: 'body', body: UTF8.decode(bytes) };
  } catch {
    return malformed(`${bytes.length} bytes that are no UTF-8`);
  }
}

/** Too many requests and what is wrong in the server pass; anything else says that this is no metadata service. */
function refusal({ statusCode = 0, headers }: IncomingMessage): HttpAnswer {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], headers.date);
  const wait = retryAfterMs === undefined ? '' : ` (Retry-After: ${excerpt(headers['retry-after'] ?? '')})`;
  const problem = `HTTP ${statusCode}${wait}`;
  const code = statusCode >= 500 || statusCode === 429 ? 'metadata-unreachable' : 'metadata-malformed';
  return { kind: 'error', code, problem, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Seconds, or a date by the server's clock. undefined for anything else, and for what is over. */
function parseRetryAfter(text = '', date = ''): number | undefined {
  const now = parseDate(date) ?? Date.now();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : (parseDate(text) ?? now) - now;
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : undefined;
}

/** RFC 9110, 5.6.7. Date.parse() alone takes a "-1" for a year. */
function parseDate(text: string): number | undefined {
  const ms = /^[A-Z][a-z]{2}, .* GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
