/** Reads keys of a metadata service; what is wrong becomes an AgentError that says which path, and what came back. */
import { AgentError } from '../errors.ts';
import type { HttpClient } from './http.ts';
import { excerpt } from './http-answer.ts';

export interface Reader {
  /** The body, or null when the key does not exist. */
  optional(path: string): Promise<string | null>;
  /** The body; that the key does not exist is `metadata-malformed`. */
  required(path: string): Promise<string>;
}

/** Paths are relative to `base`, whose path ends in a slash. `deadline` is a performance.now(). */
export function createReader(client: HttpClient, base: URL, deadline: number): Reader {
  async function optional(path: string): Promise<string | null> {
    const answer = await client.get(new URL(path, base), deadline);
    if (answer.kind === 'body') return answer.body;
    if (answer.kind === 'missing') return null;
    throw new AgentError(answer.code, `${path}: ${answer.problem}`);
  }
  async function required(path: string): Promise<string> {
    const body = await optional(path);
    if (body === null) throw new AgentError('metadata-malformed', `${path}: HTTP 404`);
    return body;
  }
  return { optional, required };
}

/** `text` is what came back instead of what was `expected`. */
export function malformed(path: string, text: string, expected: string): AgentError {
  const found = text.trim() === '' ? 'an empty answer' : excerpt(text);
  return new AgentError('metadata-malformed', `${path}: ${found} instead of ${expected}`);
}

/** One value on one line. `parse` makes undefined of anything else. */
export function parseValue<Value>(
  path: string,
  text: string,
  parse: (text: string) => Value | undefined,
  expected: string,
): Value {
  const value = parse(text.trim());
  if (value === undefined) throw malformed(path, text, expected);
  return value;
}

/** The entries of a listing without the slash that marks a directory; each once, never empty. */
export function parseListing(path: string, text: string, expected: string): string[] {
  const lines = text.split('\n').map((line) => line.trim().replace(/\/$/, ''));
  const entries = new Set(lines.filter((line) => line !== ''));
  if (entries.size === 0) throw malformed(path, text, expected);
  return [...entries];
}
