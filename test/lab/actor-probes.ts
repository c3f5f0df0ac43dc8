/** Questions other than by TCP: UDP, ping, HTTP; and who answers UDP. */
import { execFile } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import type { Answer, ConnectRequest, ConnectResult, Handlers, ProbeRequest } from './protocol.ts';

const OUTCOMES: Readonly<Record<string, ConnectResult['outcome']>> = {
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
};

export function failureOf(error: NodeJS.ErrnoException): ConnectResult {
  return { outcome: OUTCOMES[error.code ?? ''] ?? 'failed', detail: error.message };
}

export function probeHandlers(
  connect: (request: ConnectRequest) => Promise<ConnectResult>,
): Pick<Handlers, 'respondUdp' | 'probe'> {
  const bound = new Map<string, dgram.Socket>();
  const probes = { tcp: connect, udp: query, ping, http: get };
  return {
    respondUdp: async ({ host, port }) => {
      const missing = ownAddresses().filter((address) => !bound.has(address));
      for (const address of missing) bound.set(address, await answerOn(address, port, host));
      return null;
    },
    probe: ({ protocol, ...request }) => probes[protocol](request),
  };
}

function ownAddresses(): readonly string[] {
  const addresses = Object.values(os.networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses
    .map(({ address }) => address)
    .filter((address) => !address.startsWith('fe80:') && address !== '::1');
}

function socketFor(address: string): dgram.Socket {
  return dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
}

/** A socket that is bound to one address answers from it: from an unbound one the kernel would choose another. */
async function answerOn(local: string, port: number, host: string): Promise<dgram.Socket> {
  const socket = socketFor(local).bind({ address: local, port });
  await once(socket, 'listening');
  // A client that did not wait for the answer.
  socket.on('error', () => undefined);
  socket.on('message', (_, { address, port: remotePort }) => {
    const answer: Answer = { host, local, remote: address };
    socket.send(JSON.stringify(answer), remotePort, address, () => undefined);
  });
  return socket;
}

type Request = Omit<ProbeRequest, 'protocol'>;

/** A connected socket hears the queried address alone. */
function query({ to, port, source, timeoutMs }: Request): Promise<ConnectResult> {
  return new Promise((resolve) => {
    const socket = socketFor(to);
    const finish = (result: ConnectResult): void => {
      clearTimeout(deadline);
      socket.removeAllListeners('message').close();
      resolve(result);
    };
    const deadline = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    socket.once('error', (error) => finish(failureOf(error)));
    socket.on('message', (text) =>
      finish({ outcome: 'ok', answer: JSON.parse(text.toString('utf8')) as Answer }),
    );
    socket.once('connect', () => socket.send('who are you?'));
    if (source === undefined) socket.connect(port, to);
    else socket.bind({ address: source, port: 0 }, () => socket.connect(port, to));
  });
}

function ping({ to, source, timeoutMs }: Request): Promise<ConnectResult> {
  const from = source === undefined ? [] : ['-I', source];
  const args = ['-n', '-q', '-c', '1', '-W', String(timeoutMs / 1_000), ...from, to];
  return new Promise((resolve) => {
    execFile('ping', args, (error, stdout, stderr) => {
      const detail = `${stdout}${stderr}`.trim();
      if (error === null) resolve({ outcome: 'ok' });
      else if (/unreachable|No route|\+1 errors/.test(detail)) resolve({ outcome: 'unreachable', detail });
      else resolve({ outcome: error.code === 1 ? 'timeout' : 'failed', detail });
    });
  });
}

/** Any answer of the service is one. */
function get({ to, port, source, timeoutMs }: Request): Promise<ConnectResult> {
  return new Promise((resolve) => {
    const local = source === undefined ? {} : { localAddress: source };
    const request = http.get({ host: to, port, path: '/', agent: false, ...local }, (response) => {
      response.resume();
      finish({ outcome: 'ok' });
    });
    const finish = (result: ConnectResult): void => {
      clearTimeout(deadline);
      request.destroy();
      resolve(result);
    };
    const deadline = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    request.on('error', (error) => finish(failureOf(error)));
  });
}
