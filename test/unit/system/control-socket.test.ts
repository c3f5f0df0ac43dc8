/** Real sockets, and real processes where one has to die. */
import { once } from 'node:events';
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { type ControlClient, connectControl } from '../../../src/system/control-client.ts';
import {
  type ControlHandlers,
  type ControlServer,
  startControlServer,
} from '../../../src/system/control-socket.ts';
import { bound } from '../../lab/until.ts';
import { bundleScript, contains, makeFolder, removeFolder, type Script, until } from './script.ts';

/** PATH JOURNAL: a daemon that says in the journal when it listens, and why not when it does not. `reconfigure` never ends. */
const DAEMON = `
  import { appendFileSync } from 'node:fs';
  import { startControlServer } from '../../../src/system/control-socket.ts';
  const [path, journal] = process.argv.slice(2);
  const say = (text) => appendFileSync(journal, text + '\\n');
  const forever = () => new Promise(() => {});
  const status = async () => ({ pid: process.pid });
  const handlers = { status, reconfigure: forever, release: forever, reload: forever, watchStatus: () => () => {} };
  try {
    await startControlServer({ path, handlers });
    say('listening ' + process.pid);
  } catch (error) {
    say(error.code + ' ' + error.message);
  }`;

/** PATH JOURNAL: listens with room for one in its queue, and stops. */
const HANGING = `
  import { appendFileSync } from 'node:fs';
  import net from 'node:net';
  const [path, journal] = process.argv.slice(2);
  net.createServer().listen({ path, backlog: 1 }, () => {
    appendFileSync(journal, 'listening\\n');
    process.kill(process.pid, 'SIGSTOP');
  });`;

/** PATH: a client. */
const CLIENT = `
  import { connectControl } from '../../../src/system/control-client.ts';
  await connectControl(process.argv[2]).catch((error) => process._rawDebug(error.code + ' ' + error.message));`;

const QUIET: ControlHandlers = {
  status: async () => ({ state: 'in-sync' }),
  reconfigure: async (request) => ({ reconfigured: request }),
  release: async (request) => ({ released: request }),
  reload: async () => ({ reloaded: true }),
  metrics: async () => ({ contentType: 'text/plain', text: 'one 1\n' }),
  watchStatus: () => () => {},
};
const EVERYTHING = { selection: null, all: true, dryRun: false };

let root: string;
let script: Script;
let hanging: Script;
let visitor: Script;
let folder: string;
let socket: string;
let journal: string;

beforeAll(async () => {
  root = await makeFolder();
  [script, hanging, visitor] = (await Promise.all(
    [DAEMON, HANGING, CLIENT].map((source) => bundleScript(root, source)),
  )) as [Script, Script, Script];
});
afterAll(() => removeFolder(root));

interface Daemon {
  readonly pid: number;
  kill(): Promise<void>;
}

const servers: ControlServer[] = [];
const daemons: Daemon[] = [];

beforeEach(async () => {
  folder = await makeFolder();
  socket = path.join(folder, 'run', 'control.sock');
  journal = path.join(folder, 'journal');
  return async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await Promise.all(daemons.splice(0).map((daemon) => daemon.kill()));
    await removeFolder(folder);
  };
});

async function serve(handlers: Partial<ControlHandlers> = {}, at = socket): Promise<ControlServer> {
  const server = await startControlServer({ path: at, handlers: { ...QUIET, ...handlers } });
  servers.push(server);
  return server;
}

async function connect(timeouts?: { statusMs: number; runMs: number }): Promise<ControlClient> {
  const client = await connectControl(socket, timeouts);
  if (client === null) throw new Error('no daemon');
  return client;
}

function spawnDaemon(): Daemon {
  const child = script.run(socket, journal);
  const daemon = {
    pid: child.pid ?? 0,
    kill: async () => {
      child.kill('SIGKILL');
      await child;
    },
  };
  daemons.push(daemon);
  return daemon;
}

async function startDaemon(): Promise<Daemon> {
  const daemon = spawnDaemon();
  await until('the daemon listens', () => contains(journal, `listening ${daemon.pid}\n`));
  return daemon;
}

/** A promise, and what resolves it. */
function gate() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** What comes back until the end of the connection. */
async function say(bytes: string | Buffer): Promise<string> {
  const connection = net.connect(socket).setEncoding('utf8');
  connection.write(bytes);
  let text = '';
  for await (const chunk of connection) text += chunk;
  return text;
}

function post(route: string, body: string | Buffer): Promise<string> {
  const head = `POST ${route} HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return say(Buffer.concat([Buffer.from(head), Buffer.from(body)]));
}

/** A connection that the client keeps, after having said this. */
async function hold(bytes: string): Promise<net.Socket> {
  const connection = net.connect({ path: socket, allowHalfOpen: true });
  connection.on('error', () => {});
  await once(connection, 'connect');
  connection.write(bytes);
  return connection;
}

describe('a command', () => {
  test('is answered by the handler that it is for, with what it asked for', async () => {
    await serve();
    const client = await connect();
    expect(await client.status()).toEqual({ state: 'in-sync' });
    const request = { selection: ['eth1', '02:00:00:00:00:02'], all: false, dryRun: true };
    expect(await client.reconfigure(request)).toEqual({ reconfigured: request });
    const release = { selection: null, dryRun: false };
    expect(await client.release(release)).toEqual({ released: release });
  });

  test('gets the error of its handler', async () => {
    const message = 'selecting eth9: there is no such interface';
    await serve({
      reconfigure: () => Promise.reject(new AgentError('usage', message)),
      release: () => Promise.reject(new AgentError('lock-busy', 'taking the lock')),
    });
    const client = await connect();
    const refused = client.reconfigure(EVERYTHING);
    await expect(refused).rejects.toBeInstanceOf(AgentError);
    await expect(refused).rejects.toMatchObject({ code: 'usage', message, retry: 'never' });
    await expect(client.release(EVERYTHING)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('all'),
    });
    await expect(client.release({ selection: null, dryRun: false })).rejects.toMatchObject({
      code: 'lock-busy',
    });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['throws', () => Promise.reject(new TypeError('x is not a function'))],
    [
      'throws at once',
      () => {
        throw new TypeError('x is not a function');
      },
    ],
  ])('of which the handler %s sees a bug, which is logged, and the daemon lives on', async (_name, bug) => {
    const lines: object[] = [];
    const log = { error: (fields: object, message: string) => lines.push({ ...fields, message }) };
    const handlers = { ...QUIET, reconfigure: bug };
    servers.push(await startControlServer({ path: socket, handlers, log }));
    const client = await connect();
    const answer = client.reconfigure(EVERYTHING);
    await expect(answer).rejects.toThrow('x is not a function');
    await expect(answer).rejects.not.toBeInstanceOf(AgentError);
    expect(lines).toMatchObject([{ problem: 'x is not a function', message: 'control request failed' }]);
    expect(await client.status()).toEqual({ state: 'in-sync' });
  });

  test('is done to its end when the client has gone', async () => {
    const began = gate();
    const may = gate();
    let isDone = false;
    await serve({
      reconfigure: async () => {
        began.open();
        await may.opened;
        isDone = true;
      },
    });
    const client = await connect({ statusMs: 1_000, runMs: 50 });
    await Promise.all([began.opened, expect(client.reconfigure(EVERYTHING)).rejects.toThrow('0.05 s')]);
    may.open();
    await until('it is done', async () => isDone);
    expect(await client.status()).toEqual({ state: 'in-sync' });
  });

  test('that gets no answer in time says so', async () => {
    const mute = net.createServer(() => {});
    await mkdir(path.dirname(socket));
    mute.listen(socket);
    await once(mute, 'listening');
    const client = await connect({ statusMs: 50, runMs: 50 });
    const problem = 'no answer within 0.05 s; look at the log of the daemon, and try again';
    await expect(client.status()).rejects.toMatchObject({
      code: 'daemon-unreachable',
      message: `asking the daemon at ${socket} for GET /status: ${problem}`,
    });
    await expect(client.watchStatus(() => {})).rejects.toThrow(problem);
    mute.close();
  });

  test('whose daemon is killed meanwhile says so', async () => {
    const daemon = await startDaemon();
    const client = await connect();
    const answer = client.reconfigure(EVERYTHING);
    await expect(Promise.all([answer, daemon.kill()])).rejects.toMatchObject({ code: 'daemon-unreachable' });
    await expect(client.status()).rejects.toMatchObject({ code: 'daemon-unreachable' });
  });

  test('to something else than a daemon says so', async () => {
    await mkdir(path.dirname(socket));
    const other = http.createServer((request, response) => {
      response.statusCode = request.method === 'GET' ? 200 : 500;
      response.end('<html>');
    });
    other.listen(socket);
    await once(other, 'listening');
    const client = await connect();
    await expect(client.status()).rejects.toMatchObject({ code: 'daemon-unreachable' });
    await expect(client.reconfigure(EVERYTHING)).rejects.toMatchObject({ code: 'daemon-unreachable' });
    other.close();
  });
});

describe('a request', () => {
  const GOOD = JSON.stringify(EVERYTHING);

  test.each<[string, string | Buffer, string]>([
    ['that is no JSON', '{"selection":', 'JSON'],
    ['that is no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'encoded data was not valid'],
    ['without a body', '', 'JSON'],
    ['that lacks a key', '{"selection":null,"all":true}', 'dryRun'],
    ['with an unknown key', `{"confirm":1,${GOOD.slice(1)}`, 'confirm'],
    ['with a number for a NIC', '{"selection":[1],"all":true,"dryRun":true}', 'selection.0'],
    ['that is a list', '[]', 'selection'],
    ['that is too long', `${GOOD}${' '.repeat(64 * 1024)}`, 'more than 65536 bytes'],
    ['that is far too long', ' '.repeat(1024 * 1024), 'more than 65536 bytes'],
  ])('%s is refused with the reason', async (_name, body, reason) => {
    const asked: unknown[] = [];
    await serve({ reconfigure: async (request) => asked.push(request) });
    const [head = '', text = ''] = (await post('/reconfigure', body)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(text)).toEqual({ error: { code: 'usage', message: expect.stringContaining(reason) } });
    expect(asked).toEqual([]);
    expect(await post('/reconfigure', GOOD)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ['GET /', 404],
    ['GET /toString', 404],
    ['POST /status', 404],
    ['GET /status?x', 404],
    ['DELETE /release', 404],
    ['\u0000\u0001\u0002', 400],
    ['SSH-2.0-OpenSSH_9.2', 400],
  ])('%j has the answer %i', async (line, status) => {
    await serve();
    expect(await say(`${line} HTTP/1.1\r\nhost: x\r\n\r\n`)).toContain(`HTTP/1.1 ${status} `);
    expect(await (await connect()).status()).toEqual({ state: 'in-sync' });
  });

  test('that breaks off at any byte does no harm', async () => {
    const asked: unknown[] = [];
    const lines: string[] = [];
    const handlers: ControlHandlers = { ...QUIET, reconfigure: async (request) => asked.push(request) };
    const log = { error: (_fields: object, message: string) => lines.push(message) };
    servers.push(await startControlServer({ path: socket, handlers, log }));
    const whole = `POST /reconfigure HTTP/1.1\r\nhost: x\r\ncontent-length: ${GOOD.length}\r\n\r\n${GOOD}`;
    for (let length = 0; length < whole.length; length += 1)
      (await hold(whole.slice(0, length))).destroySoon();
    expect(await (await connect()).status()).toEqual({ state: 'in-sync' });
    expect(asked).toEqual([]);
    expect(lines).toEqual([]);
  });

  test('leaves no descriptor behind, not one of a thousand', async () => {
    await serve();
    const client = await connect();
    await client.status();
    const before = (await readdir('/proc/self/fd')).length;
    for (let round = 0; round < 20; round += 1)
      await Promise.all(Array.from({ length: 50 }, () => client.status()));
    await until('the descriptors are gone', async () => (await readdir('/proc/self/fd')).length <= before);
  });
});

describe('a watch', () => {
  /** A status that changes when told to. */
  function changing(first: number) {
    const listeners = new Set<(report: unknown) => void>();
    let value = first;
    return {
      listeners,
      set(next: number) {
        value = next;
        for (const listener of listeners) listener({ value });
      },
      handlers: {
        status: async () => ({ value }),
        watchStatus: (onChange: (report: unknown) => void) => {
          listeners.add(onChange);
          return () => listeners.delete(onChange);
        },
      } satisfies Partial<ControlHandlers>,
    };
  }

  /** Starts to watch, and comes back when the first document is there. */
  async function watch(signal?: AbortSignal) {
    const documents: unknown[] = [];
    const ended = (await connect()).watchStatus((document) => documents.push(document), signal);
    ended.catch(() => {});
    await until('the first document is there', async () => documents.length > 0);
    return { documents, ended };
  }

  test('gets the present status and that of each change, and ends when the daemon does', async () => {
    const source = changing(1);
    const server = await serve(source.handlers);
    const [one, other] = await Promise.all([watch(), watch()]);
    source.set(2);
    await until('the second is there', async () => one.documents.length + other.documents.length === 4);
    source.set(3);
    await server.close();
    await Promise.all([one.ended, other.ended]);
    const expected = [{ value: 1 }, { value: 2 }, { value: 3 }];
    expect([one.documents, other.documents]).toEqual([expected, expected]);
    expect(source.listeners.size).toBe(0);
  });

  test('is never told an older status after a newer one', async () => {
    const source = changing(1);
    await serve({
      ...source.handlers,
      status: async () => {
        source.set(2);
        return { value: 1 };
      },
    });
    const { documents } = await watch();
    source.set(3);
    await until('the last is there', async () => documents.length === 2);
    expect(documents).toEqual([{ value: 2 }, { value: 3 }]);
  });

  test('lasts, however long nothing changes', async () => {
    const source = changing(1);
    const server = await serve(source.handlers);
    const documents: unknown[] = [];
    const client = await connect({ statusMs: 200, runMs: 200 });
    const ended = client.watchStatus((document) => documents.push(document));
    await new Promise((resolve) => setTimeout(resolve, 500));
    source.set(2);
    await server.close();
    await ended;
    expect(documents).toEqual([{ value: 1 }, { value: 2 }]);
  });

  test('ends with the signal, and the daemon forgets it', async () => {
    const source = changing(1);
    await serve(source.handlers);
    const abort = new AbortController();
    const { ended } = await watch(abort.signal);
    abort.abort();
    await ended;
    await until('it is forgotten', async () => source.listeners.size === 0);
    await expect((await connect()).watchStatus(() => {}, abort.signal)).resolves.toBeUndefined();
  });

  test('rejects with what the callback throws, and the daemon forgets it', async () => {
    const source = changing(1);
    await serve(source.handlers);
    const watching = (await connect()).watchStatus(() => {
      throw new Error('no room');
    });
    await expect(watching).rejects.toThrow('no room');
    await until('it is forgotten', async () => source.listeners.size === 0);
  });

  test('rejects when the daemon is killed', async () => {
    const daemon = await startDaemon();
    const { ended } = await watch();
    await daemon.kill();
    await expect(ended).rejects.toMatchObject({ code: 'daemon-unreachable' });
  });

  test('gets the error of the status', async () => {
    const error = new AgentError('kernel-unavailable', 'opening a socket: no');
    await serve({ status: () => Promise.reject(error) });
    const watching = (await connect()).watchStatus(() => {});
    await expect(watching).rejects.toMatchObject({ code: 'kernel-unavailable', message: error.message });
  });

  test('ends when there is no status any more, so that who asks again hears why', async () => {
    let fail = (): void => {};
    await serve({
      watchStatus: (_onChange, onFailure) => {
        fail = onFailure;
        return () => {};
      },
    });
    const { ended } = await watch();
    fail();
    await expect(ended).rejects.toMatchObject({ code: 'daemon-unreachable' });
  });

  test('that does not read misses changes but the last, and the daemon keeps one for it', async () => {
    let change: (report: unknown) => void = () => {};
    await serve({
      watchStatus: (onChange) => {
        change = onChange;
        return () => {};
      },
    });
    const slow = await hold('GET /status/watch HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(slow, 'readable');
    const padding = 'x'.repeat(100_000);
    for (let number = 1; number <= 300; number += 1) change({ number, padding });
    let text = '';
    slow.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await until('the last is there', async () => text.includes('"number":300'));
    expect(text.length).toBeLessThan(50 * padding.length);
    slow.destroy();
  });
});

describe('a daemon that ends', () => {
  test.each<[string, string]>([
    ['says nothing', ''],
    ['is in the middle of a header', 'GET /status HTTP/1.1\r\nho'],
    ['is in the middle of a body', 'POST /release HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{'],
    ['waits for an answer', 'GET /status HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['watches', 'GET /status/watch HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['wants a tunnel', 'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['wants another protocol', 'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  ])('does so within a second when a client %s', async (_name, bytes) => {
    const server = await serve({ status: () => new Promise(() => {}) });
    const connections = await Promise.all([hold(bytes), hold(bytes), hold(bytes)]);
    const startedAt = performance.now();
    await server.close();
    expect(performance.now() - startedAt).toBeLessThan(bound(1_000));
    for (const connection of connections) connection.destroy();
  });

  test('gives the answer under way the time that it needs', async () => {
    const began = gate();
    const may = gate();
    const server = await serve({
      reconfigure: async () => {
        began.open();
        await may.opened;
        return 'done';
      },
    });
    const answer = (await connect()).reconfigure(EVERYTHING);
    await began.opened;
    const closed = server.close();
    may.open();
    expect(await answer).toBe('done');
    await closed;
  });

  test('leaves an empty folder, and a second close does nothing', async () => {
    const server = await serve();
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(await readdir(path.dirname(socket))).toEqual([]);
    expect(await connectControl(socket)).toBeNull();
  });

  test('leaves the file of another one', async () => {
    const first = await serve();
    await unlink(socket);
    await serve({ status: async () => 'second' });
    await first.close();
    expect(await (await connect()).status()).toBe('second');
  });

  test('whose file is gone already ends all the same', async () => {
    const server = await serve();
    await unlink(socket);
    await server.close();
    expect(await readdir(path.dirname(socket))).toEqual([]);
  });
});

describe('the socket', () => {
  test('is for root alone, in a folder that all may enter', async () => {
    const umask = process.umask(0);
    await serve();
    process.umask(umask);
    const file = await lstat(socket);
    expect([file.isSocket(), file.mode & 0o7777]).toEqual([true, 0o600]);
    expect((await stat(path.dirname(socket))).mode & 0o7777).toBe(0o755);
    expect(await readdir(path.dirname(socket))).toEqual(['control.sock']);
  });

  test('is so, and answers, from the first instant', async () => {
    const seen = new Set<string>();
    const looking = { isDone: false };
    const look = (async () => {
      while (!looking.isDone) {
        const mode = await lstat(socket).then(
          (file) => file.mode & 0o7777,
          () => 'absent',
        );
        seen.add(String(mode));
      }
    })();
    for (let time = 0; time < 30; time += 1) await (await serve()).close();
    looking.isDone = true;
    await look;
    expect([...seen].toSorted()).toEqual([String(0o600), 'absent'].toSorted());
  });

  test('of a daemon that lives is left to it', async () => {
    await serve();
    await expect(serve()).rejects.toMatchObject({
      code: 'daemon-running',
      retry: 'never',
      message: expect.stringContaining(`listening on ${socket}: another daemon does; stop it first`),
    });
    expect(await (await connect()).status()).toEqual({ state: 'in-sync' });
    expect(await readdir(path.dirname(socket))).toEqual(['control.sock']);
  });

  test('of a daemon that hangs, with no room in its queue, is left to it', async () => {
    await mkdir(path.dirname(socket));
    const child = hanging.run(socket, journal);
    await until('it hangs', async () => (await lines()).length === 1 && (await stateOf(child.pid)) === 'T');
    // Linux queues one more than it was told to.
    const waiting = await Promise.all([hold(''), hold('')]);
    await expect(serve()).rejects.toMatchObject({ code: 'daemon-running' });
    await expect((await connect()).status()).rejects.toMatchObject({
      code: 'daemon-unreachable',
      message: expect.stringContaining('EAGAIN'),
    });
    for (const connection of waiting) connection.destroy();
    child.kill('SIGKILL');
    await child;
  });

  async function stateOf(pid: number | undefined): Promise<string | undefined> {
    return (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.slice(0, 1);
  }

  test('of a daemon that was killed is taken by the next one', async () => {
    for (let time = 0; time < 3; time += 1) {
      const daemon = await startDaemon();
      expect(await (await connect()).status()).toEqual({ pid: daemon.pid });
      await daemon.kill();
      expect((await lstat(socket)).isSocket()).toBe(true);
      expect(await connectControl(socket)).toBeNull();
    }
  });

  test('goes to one of several daemons that start at once, and the others say who has it', async () => {
    await (await startDaemon()).kill();
    for (let round = 0; round < 3; round += 1) {
      await writeFile(journal, '');
      const started = Array.from({ length: 6 }, spawnDaemon);
      await until('all have spoken', async () => (await lines()).length === started.length);
      const listening = (await lines()).filter((line) => line.startsWith('listening '));
      expect(listening).toHaveLength(1);
      expect((await lines()).filter((line) => line.startsWith('daemon-running '))).toHaveLength(5);
      expect(await (await connect()).status()).toEqual({ pid: Number(listening[0]?.split(' ')[1]) });
      await Promise.all(started.map((daemon) => daemon.kill()));
    }
  });

  async function lines(): Promise<readonly string[]> {
    return (await readFile(journal, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  }

  test.each<[string, () => Promise<unknown>]>([
    ['a file', () => writeFile(socket, '')],
    ['a link to nowhere', () => symlink('/nowhere', socket)],
    ['what a killed start left', () => mkdir(path.join(folder, 'run', '.new', 'x'), { recursive: true })],
  ])('takes the place of %s', async (_name, make) => {
    await mkdir(path.dirname(socket));
    await make();
    await serve();
    expect(await (await connect()).status()).toEqual({ state: 'in-sync' });
    expect(await readdir(path.dirname(socket))).toEqual(['control.sock']);
  });

  test('that cannot be made says why, and nothing listens', async () => {
    await mkdir(path.join(socket, 'full'), { recursive: true });
    await expect(serve()).rejects.toMatchObject({
      code: 'file-failed',
      message: expect.stringContaining(`listening on ${socket}: EISDIR`),
    });
    await chmod(path.dirname(socket), 0o555);
    await script.runUnprivileged(socket, journal);
    expect(await lines()).toEqual([expect.stringMatching(/^permission-denied .*EACCES.*; run as root$/)]);
    await chmod(path.dirname(socket), 0o755);
  });
});

describe('the path of a socket', () => {
  function ofLength(bytes: number): string {
    const directory = path.join(folder, 'é');
    const rest = bytes - Buffer.byteLength(directory) - '//control.sock'.length;
    return path.join(directory, 'x'.repeat(rest), 'control.sock');
  }

  test('may have 107 bytes', async () => {
    const longest = ofLength(107);
    await serve({}, longest);
    expect(await (await connectControl(longest))?.status()).toEqual({ state: 'in-sync' });
    expect(await readdir(path.dirname(longest))).toEqual(['control.sock']);
  });

  test('may have no more: no daemon, and so nobody to ask', async () => {
    const tooLong = ofLength(108);
    await expect(serve({}, tooLong)).rejects.toMatchObject({
      code: 'path-too-long',
      message: `listening on ${tooLong}: the path has 108 bytes, a Unix socket's at most 107; use a shorter --root`,
    });
    expect(await readdir(folder)).toEqual([]);
    expect(await connectControl(tooLong)).toBeNull();
  });
});

describe('a client', () => {
  test('finds nobody where nobody is', async () => {
    expect(await connectControl(socket)).toBeNull();
    await writeFile(path.join(folder, 'file'), '');
    expect(await connectControl(path.join(folder, 'file', 'control.sock'))).toBeNull();
  });

  test('without the right to ask says so', async () => {
    await serve();
    await chmod(socket, 0o000);
    const { all } = await visitor.runUnprivileged(socket);
    expect(all).toMatch(/^permission-denied asking the daemon at \S+ .*EACCES.*; run as root$/);
  });
});
