/** sd_notify over a real datagram socket: systemd-socket-activate listens, and a small program prints what it reads. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { createNotifier, type NotifyLog } from '../../src/system/notify.ts';

/** One read(2), one message; reading BARRIER=1 drops the descriptor that came with it, which is what systemd-notify waits for. */
const READER = `
const fs = require('fs');
const bytes = Buffer.alloc(4096);
for (;;) console.log(JSON.stringify(bytes.toString('utf8', 0, fs.readSync(3, bytes))));
`;
const DEADLINE_MS = 20_000;
const SILENT: NotifyLog = { debug: () => undefined };

interface ServiceManager {
  readonly socket: string;
  /** What has come, each message as its variables. */
  readonly messages: readonly (readonly string[])[];
}

async function startServiceManager(): Promise<ServiceManager> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-notify-'));
  const socket = path.join(folder, 'notify');
  const messages: (readonly string[])[] = [];
  const args = ['--datagram', `--listen=${socket}`, process.execPath, '-e', READER];
  const receiver = execa('systemd-socket-activate', args, { reject: false, stdin: 'ignore' });
  onTestFinished(async () => {
    receiver.kill('SIGKILL');
    await receiver;
    await rm(folder, { recursive: true });
  });
  void collect(receiver, messages);
  await until('the socket is there', () =>
    access(socket).then(
      () => true,
      () => false,
    ),
  );
  return { socket, messages };
}

async function collect(lines: AsyncIterable<unknown>, messages: (readonly string[])[]): Promise<void> {
  for await (const line of lines) {
    const message = JSON.parse(String(line)) as string;
    if (message !== 'BARRIER=1') messages.push(message.split('\n'));
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waiting until ${what}: not within ${DEADLINE_MS} ms`);
    await delay(5);
  }
}

test('systemd hears every state in the order of the calls, though each is a process', async () => {
  const { socket, messages } = await startServiceManager();
  const notifier = createNotifier({ NOTIFY_SOCKET: socket }, SILENT);
  notifier.ready('in sync');
  notifier.reloading();
  notifier.ready('in sync, with the new configuration');
  notifier.status('eth1 is\npending');
  void notifier.stopping();
  await until('five messages came', () => messages.length >= 5);
  expect(messages).toEqual([
    ['READY=1', `MAINPID=${process.pid}`, 'STATUS=in sync'],
    ['RELOADING=1'],
    ['READY=1', `MAINPID=${process.pid}`, 'STATUS=in sync, with the new configuration'],
    ['STATUS=eth1 is pending'],
    ['STOPPING=1'],
  ]);
});

test('a status that is shown already is not said again', async () => {
  const { socket, messages } = await startServiceManager();
  const notifier = createNotifier({ NOTIFY_SOCKET: socket }, SILENT);
  notifier.ready('in sync');
  for (const text of ['in sync', 'eth1 is pending', 'eth1 is pending', 'in sync', 'the end'])
    notifier.status(text);
  await until('the last one came', () => messages.at(-1)?.[0] === 'STATUS=the end');
  expect(messages.slice(1)).toEqual([['STATUS=eth1 is pending'], ['STATUS=in sync'], ['STATUS=the end']]);
});

test('the watchdog is pinged at a third of its time until it is stopped', async () => {
  const { socket, messages } = await startServiceManager();
  const notifier = createNotifier({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' }, SILENT);
  const started = performance.now();
  const stop = notifier.startWatchdog();
  await until('four pings came', () => messages.length >= 4);
  const elapsedMs = performance.now() - started;
  stop();
  notifier.status('stopped');
  await delay(250);
  notifier.status('and silent');
  await until('the last one came', () => messages.at(-1)?.[0] === 'STATUS=and silent');
  expect(elapsedMs).toBeGreaterThan(280);
  const pings = messages.slice(0, -2);
  expect(new Set(pings.flat())).toEqual(new Set(['WATCHDOG=1']));
  expect(messages.at(-2)).toEqual(['STATUS=stopped']);
});

test.each([{}, { NOTIFY_SOCKET: '', WATCHDOG_USEC: '1000' }, { WATCHDOG_USEC: '1000' }])(
  'without a service manager (%o) nothing is started',
  (env) => {
    const before = process.getActiveResourcesInfo();
    const notifier = createNotifier(env, { debug: () => expect.unreachable('nothing is tried') });
    notifier.ready('in sync');
    notifier.status('pending');
    notifier.startWatchdog()();
    notifier.reloading();
    void notifier.stopping();
    expect(process.getActiveResourcesInfo()).toEqual(before);
  },
);

test('a service manager that does not listen is worth a line for debugging, and the next message is tried all the same', async () => {
  const lines: object[] = [];
  const log: NotifyLog = { debug: (fields, message) => lines.push({ ...fields, message }) };
  const notifier = createNotifier({ NOTIFY_SOCKET: '/nonexistent/notify' }, log);
  notifier.reloading();
  void notifier.stopping();
  await until('both have failed', () => lines.length >= 2);
  expect(lines).toEqual([
    expect.objectContaining({ message: 'systemd was not told', variables: ['RELOADING=1'] }),
    expect.objectContaining({ message: 'systemd was not told', variables: ['STOPPING=1'] }),
  ]);
});
