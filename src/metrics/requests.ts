/** How long each HTTP request of this process took: the daemon makes none but to the metadata service. Nothing is measured by who makes them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';

/** Node's own, when a request has been written. */
const CHANNEL = 'http.client.request.start';

export type OnRequest = (result: 'success' | 'failure', durationMs: number) => void;

/** Any whole answer is a success of the request, whatever it says. Returns what ends it. */
export function watchRequests(onRequest: OnRequest): () => void {
  const onStart = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest };
    const startedAt = performance.now();
    let isAnswered = false;
    request.once('response', (response) => {
      response.once('end', () => {
        isAnswered = response.complete;
      });
    });
    request.once('close', () => onRequest(isAnswered ? 'success' : 'failure', performance.now() - startedAt));
  };
  subscribe(CHANNEL, onStart);
  return () => {
    unsubscribe(CHANNEL, onStart);
  };
}
