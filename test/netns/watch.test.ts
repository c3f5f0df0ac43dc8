/** `status --watch` on a real terminal, and on none. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync } from '../lab/settled.ts';
import { openWindow, type Size, type TerminalWindow } from '../lab/tmux.ts';
import { addressRange } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;

function watchCommand(lab: Lab): readonly string[] {
  return [process.execPath, CLI, '--root', lab.vm.root, 'status', '--watch'];
}

const NORMAL: Size = { columns: 80, rows: 24 };
/** Node with a bug that shows when it gets SIGUSR2. */
const BUG = `data:text/javascript,process.on("SIGUSR2", () => { throw new Error("a bug") })`;

async function openWatch(lab: Lab, size = NORMAL): Promise<TerminalWindow> {
  return openWindow(lab.vm.namespace, watchCommand(lab), size);
}

async function shows(window: TerminalWindow, ...texts: readonly string[]): Promise<string> {
  return until({
    what: `the screen shows ${texts.join(', ')}`,
    read: () => window.screen(),
    holds: (screen) => texts.every((text) => screen.includes(text)),
  });
}

test('on a terminal it shows what is and what changes, in any size, and leaves it as it was', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  const first = await lab.attachEni({ addresses: addressRange('10.0.1.4', 10) });
  await daemon.waitForStatus(inSync(first.mac));
  const window = await openWatch(lab);
  const calm = await shows(window, 'in-sync', '10.0.1.13/24', 'a run (', 'q quit');
  expect(calm).not.toContain('BEFORE');
  expect(calm).not.toContain('*');
  const second = await lab.attachEni({ addresses: addressRange('10.0.2.4', 30) });
  await shows(window, '* eth2', '* 10.0.2.33/24', 'eth2 is here', 'and 28 more: configured');
  await window.resize({ columns: 200, rows: 50 });
  const wide = await shows(window, 'eth0', '* 10.0.2.33/24', 'eth2 is here');
  // Twelve in a line, where it was five.
  expect(wide).toMatch(/^ {2}\* 10\.0\.2\.4\/24 .* 10\.0\.2\.15\/24$/m);
  await window.resize({ columns: 40, rows: 12 });
  await shows(window, 'eth0', 'lines 1-6 of');
  await window.press('PageDown');
  await shows(window, 'eth1', 'lines 7-12 of');
  await window.press('G');
  await shows(window, '10.0.2.33/24');
  await window.press('Home');
  await shows(window, 'eth0');
  await lab.detachEni(second.mac);
  await shows(window, 'eth2 is gone');
  await window.press('q');
  const after = await shows(window, 'BEFORE', 'AFTER 0');
  expect(after.trim()).toBe('BEFORE\nAFTER 0');
});

test('a daemon that stops is missed and found again', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const window = await openWatch(lab);
  await shows(window, 'eth0');
  await daemon.stop();
  await shows(window, '! not up to date: the daemon is not running', 'eth0');
  await lab.vm.startDaemon();
  expect(await shows(window, 'the daemon is there again')).not.toContain('not up to date');
});

test('what is wrong with the metadata is there to be read, before the first good answer too, and changes with it', async () => {
  const lab = await openLab();
  await lab.metadata.fault({ mode: 'status', status: 503 });
  await lab.vm.startDaemon({ config: EVERY_SECOND });
  const window = await openWatch(lab);
  expect(await shows(window, 'no tencent metadata yet', 'HTTP 503')).not.toContain('last good answer');
  await lab.metadata.fault({ mode: 'status', status: 500 });
  await shows(window, 'HTTP 500');
  await lab.metadata.fault(null);
  expect(await shows(window, 'eth0', 'answers again')).toMatch(/^\S+Z {2}in-sync /);
});

test('whatever ends it, the terminal is given back, and an error can be read', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const [program, ...args] = watchCommand(lab);
  const interrupted = await openWatch(lab);
  const ended = await openWatch(lab);
  const left = await openWatch(lab);
  const broken = await openWindow(lab.vm.namespace, [`${program}`, '--import', BUG, ...args], NORMAL);
  const lost = await openWatch(lab);
  for (const window of [interrupted, ended, left, broken, lost]) await shows(window, 'eth0', 'q quit');
  await interrupted.press('C-c');
  process.kill(await ended.pid(), 'SIGTERM');
  process.kill(await left.pid(), 'SIGHUP');
  for (const window of [interrupted, ended, left])
    expect((await shows(window, 'AFTER')).trim()).toBe('BEFORE\nAFTER 0');
  process.kill(await broken.pid(), 'SIGUSR2');
  expect(await shows(broken, 'BEFORE', 'Error: a bug', 'AFTER 1')).not.toContain('q quit');
  const pid = await lost.pid();
  await lost.hangUp();
  await until({
    what: 'the watch has ended with its terminal',
    read: () => existsSync(`/proc/${pid}`),
    holds: (isThere) => !isThere,
  });
});

test('colours are for a terminal that has them, and for who wants them', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const coloured = await openWatch(lab);
  await shows(coloured, 'eth0', 'q quit');
  expect(await coloured.colours()).toContain('\u001b[32m  in-sync');
  const withEnv = (word: string): Promise<TerminalWindow> =>
    openWindow(lab.vm.namespace, ['env', word, ...watchCommand(lab)], NORMAL);
  const plain = await withEnv('NO_COLOR=1');
  await shows(plain, 'eth0', 'q quit');
  expect(await plain.colours()).not.toContain('\u001b');
  const dumb = await withEnv('TERM=dumb');
  // In lines below what was there.
  expect(await shows(dumb, 'eth0', '10.0.0.4/24')).toMatch(/^BEFORE\nin-sync /);
  expect(await dumb.colours()).not.toContain('\u001b');
});

test('on no terminal it prints the report, and then a line for each change, as long as somebody reads', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const child = lab.vm.start({ name: 'the watch', command: watchCommand(lab) });
  const prints = (text: string): Promise<string> =>
    until({ what: `it prints ${text}`, read: () => child.stdout, holds: (out) => out.includes(text) });
  await prints('10.0.0.4/24');
  const head = ['-c', '"$@" | head -n 1; echo "${PIPESTATUS[0]}"', 'bash', ...watchCommand(lab)];
  const cut = lab.vm.run('bash', head);
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await daemon.waitForStatus(inSync(mac));
  await prints('eth1 10.0.1.4, 10.0.1.5: configured');
  // That the reader has gone is noticed at the next change.
  await lab.detachEni(mac);
  const { stdout, stderr } = await cut;
  expect({ lines: stdout.split('\n').slice(1), stderr }).toEqual({ lines: ['0'], stderr: '' });
  await daemon.stop();
  const out = await prints('the daemon is not running');
  expect(out).not.toContain('\u001b');
  const [changes = ''] = out.split(/^(?=\d{4}-)/m).slice(-1);
  expect(changes).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}the daemon is not running$/m);
  expect(await child.end('SIGTERM')).toMatchObject({ exitCode: 0 });
});
