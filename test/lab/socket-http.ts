/** HTTP over a Unix socket. */
import http from 'node:http';
import { text } from 'node:stream/consumers';

export interface SocketAnswer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

/** Rejects when nobody listens there. */
export async function getFromSocket(socketPath: string, path: string): Promise<SocketAnswer> {
  const request = http.get({ socketPath, path });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  return {
    status: response.statusCode,
    type: response.headers['content-type'],
    body: await text(response),
  };
}
