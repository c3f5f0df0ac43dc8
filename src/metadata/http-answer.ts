/** What an HTTP response means to a reader of metadata. */
import type { IncomingMessage } from 'node:http';

export type HttpAnswer =
  | { readonly kind: 'body'; readonly body: string }
  /** HTTP 404: the key does not exist. */
  | { readonly kind: 'missing' }
  | {
      readonly kind: 'error';
      readonly code: 'metadata-unreachable' | 'metadata-malformed';
      /** What came back. */
      readonly problem: string;
    };

/** The longest listing (30 addresses) has 600 bytes. */
const MAX_BODY_BYTES = 64 * 1024;
const EXCERPT_LENGTH = 60;

export function unreachable(problem: string): HttpAnswer {
  return { kind: 'error', code: 'metadata-unreachable', problem };
}

function malformed(problem: string): HttpAnswer {
  return { kind: 'error', code: 'metadata-malformed', problem };
}

/** The start of something that came from outside, fit for one line of an error message. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length <= EXCERPT_LENGTH ? text : `${text.slice(0, EXCERPT_LENGTH)}…`);
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

function interpret({ statusCode = 0, headers }: IncomingMessage, bytes: Buffer): HttpAnswer {
  if (statusCode === 404) return { kind: 'missing' };
  if (statusCode >= 500 || statusCode === 429) return unreachable(`HTTP ${statusCode}`);
  if (statusCode >= 300 && statusCode < 400) {
    return malformed(
      `HTTP ${statusCode} to ${excerpt(headers.location ?? '')}, and redirects are not followed`,
    );
  }
  if (statusCode !== 200) return malformed(`HTTP ${statusCode}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return malformed(`content-encoding ${excerpt(encoding)}`);
  try {
    return { kind: 'body', body: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return malformed(`${bytes.length} bytes that are no UTF-8`);
  }
}
