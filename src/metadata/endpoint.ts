/**
 * An endpoint is `http://host[:port]` and nothing more: the provider knows its paths, and link-local metadata services
 * speak no TLS. Undefined for anything else (other schemes, credentials, a path, a query, white space).
 */
export function parseEndpoint(text: string): URL | undefined {
  // The pattern first: the URL parser silently drops tabs and newlines, and repairs backslashes.
  if (!/^http:\/\/[^\s\\/@?#]+\/?$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text);
}
