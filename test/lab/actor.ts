/** The process that lives in a namespace of the lab; it ends when the lab's process goes away. */
import net from 'node:net';
import { errorMessage } from '../../src/errors.ts';
import { failureOf, probeHandlers } from './actor-probes.ts';
import { sessionHandlers } from './actor-sessions.ts';
import {
  type Fault,
  type MetadataServer,
  type ServedModel,
  type ServedRequest,
  startMetadataServer,
} from './metadata-server.ts';
import type {
  ActorReply,
  ActorRequest,
  Answer,
  ConnectRequest,
  ConnectResult,
  Handlers,
} from './protocol.ts';

function run(): void {
  const handlers: Handlers = {
    ...trafficHandlers(),
    ...probeHandlers(connect),
    ...sessionHandlers(),
    ...metadataHandlers(),
  };
  process.on('disconnect', () => process.exit(0));
  const answer = async ({ id, command, arguments: args }: ActorRequest): Promise<void> => {
    const handle = handlers[command] as (args: unknown) => Promise<unknown>;
    try {
      reply({ id, result: await handle(args) });
    } catch (error) {
      reply({ id, error: errorMessage(error) });
    }
  };
  process.on('message', (request: ActorRequest) => void answer(request));
  reply({ ready: true });
}

function reply(message: ActorReply): void {
  process.send?.(message);
}

function trafficHandlers(): Pick<Handlers, 'respond' | 'connect'> {
  return {
    respond: async ({ host, port, address = '::' }) => {
      const server = net.createServer((socket) => {
        const answer: Answer = {
          host,
          local: plain(socket.localAddress),
          remote: plain(socket.remoteAddress),
        };
        socket.on('error', () => socket.destroy());
        socket.end(JSON.stringify(answer));
      });
      // '::' without ipv6Only takes IPv4 as well.
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen({ host: address, port }, resolve);
      });
      return null;
    },
    connect,
  };
}

function connect({ to, port, source, timeoutMs }: ConnectRequest): Promise<ConnectResult> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: to, port, ...(source === undefined ? {} : { localAddress: source }) });
    let text = '';
    const finish = (result: ConnectResult): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(result);
    };
    const deadline = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => finish(resultOf(text)));
    socket.on('error', (error) => finish(failureOf(error)));
  });
}

function resultOf(text: string): ConnectResult {
  try {
    return { outcome: 'ok', answer: JSON.parse(text) as Answer };
  } catch {
    return { outcome: 'failed', detail: `answered ${JSON.stringify(text)}` };
  }
}

/** Node shows an IPv4 peer of a dual-stack socket as `::ffff:10.0.1.4`. */
function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}

type MetadataCommand = 'startMetadata' | 'stopMetadata' | 'setMetadata' | 'setFault' | 'readRequests';

/** The service outlives its listener: going down and up keeps the model, the fault and the requests seen. */
function metadataHandlers(): Pick<Handlers, MetadataCommand> {
  let server: MetadataServer | undefined;
  const models = new Map<string, ServedModel>();
  let fault: Fault | null = null;
  const earlier: ServedRequest[] = [];
  return {
    startMetadata: async (address) => {
      server = await startMetadataServer(address);
      for (const [client, model] of models) server.setModel(model, client);
      server.setFault(fault);
      return null;
    },
    stopMetadata: async () => {
      earlier.push(...(server?.requests ?? []));
      await server?.close();
      server = undefined;
      return null;
    },
    setMetadata: async ({ client, model }) => {
      models.set(client, model);
      server?.setModel(model, client);
      return null;
    },
    setFault: async (next) => {
      fault = next.fault;
      server?.setFault(fault);
      return null;
    },
    readRequests: async () => [...earlier, ...(server?.requests ?? [])],
  };
}

run();
