import dgram from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLookup } from '../../../src/metadata/lookup.ts';
import { bound } from '../../lab/until.ts';

const NAME = 'metadata.example.com';
/** A pointer to the question's name, A, IN, TTL of 60 s, four bytes: 10.9.8.7 (RFC 1035, 4.1). */
const A_RECORD = Buffer.from('c00c000100010000003c00040a090807', 'hex');

let folder: string;
let hostsFile: string;
const sockets: dgram.Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lookup-'));
  hostsFile = join(folder, 'hosts');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await rm(folder, { recursive: true });
});

/** `answers` A records, or silence. */
async function startNameServer(answers: number | null): Promise<string> {
  const socket = dgram.createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (query, { port, address }) => {
    if (answers === null) return;
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0]);
    socket.send(Buffer.concat([header, question, ...Array(answers).fill(A_RECORD)]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return `127.0.0.1:${socket.address().port}`;
}

function look(lookup: LookupFunction, hostname: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    lookup(hostname, {}, (error, address, family) =>
      error === null ? resolve([address, family]) : reject(error),
    );
  });
}

test('the hosts file goes first, in any case, without comments', async () => {
  await writeFile(
    hostsFile,
    `# 10.0.0.1 ${NAME}\n127.0.0.1 localhost # ${NAME}\n10.0.0.2\tfoo METADATA.example.com\n`,
  );
  const lookup = createLookup({ timeoutMs: 100, hostsFile, servers: [await startNameServer(null)] });
  expect(await look(lookup, NAME)).toEqual(['10.0.0.2', 4]);
});

test('then the name servers are asked', async () => {
  const lookup = createLookup({ timeoutMs: 2000, hostsFile, servers: [await startNameServer(1)] });
  expect(await look(lookup, NAME)).toEqual(['10.9.8.7', 4]);
});

test('a dead name server before a living one costs a part of the timeout', async () => {
  const servers = [await startNameServer(null), await startNameServer(1)];
  const lookup = createLookup({ timeoutMs: 1500, hostsFile, servers });
  expect(await look(lookup, NAME)).toEqual(['10.9.8.7', 4]);
});

test('silence is an error when the timeout is over, and a name without an address at once', async () => {
  const start = performance.now();
  const silent = createLookup({ timeoutMs: 150, hostsFile, servers: [await startNameServer(null)] });
  await expect(look(silent, NAME)).rejects.toThrow();
  expect(performance.now() - start).toBeLessThan(bound(1_000));
  const empty = createLookup({ timeoutMs: 60_000, hostsFile, servers: [await startNameServer(0)] });
  await expect(look(empty, NAME)).rejects.toThrow(NAME);
});
