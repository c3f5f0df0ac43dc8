/** `status --watch` on a real terminal, and on none. */
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

async function openWatch(lab: Lab, size: Size): Promise<TerminalWindow> {
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
  const window = await openWatch(lab, { columns: 80, rows: 24 });
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

test('a daemon that stops is missed and found again; Ctrl-C and SIGTERM give the terminal back', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const window = await openWatch(lab, { columns: 80, rows: 24 });
  await shows(window, 'eth0');
  await daemon.stop();
  await shows(window, '! not up to date: the daemon is not running', 'eth0');
  await lab.vm.startDaemon();
  expect(await shows(window, 'the daemon is there again')).not.toContain('not up to date');
  await window.press('C-c');
  await shows(window, 'BEFORE', 'AFTER 0');
  const other = await openWatch(lab, { columns: 80, rows: 24 });
  await shows(other, 'eth0');
  process.kill(await other.pid(), 'SIGTERM');
  expect((await shows(other, 'AFTER')).trim()).toBe('BEFORE\nAFTER 0');
});

test('on no terminal it prints the report, and then a line for each change', async () => {
  const lab = await openLab();
  const daemon = await lab.vm.startDaemon({ config: EVERY_SECOND });
  await daemon.waitForStatus(inSync(lab.primary.mac));
  const child = lab.vm.start({ name: 'the watch', command: watchCommand(lab) });
  const prints = (text: string): Promise<string> =>
    until({ what: `it prints ${text}`, read: () => child.stdout, holds: (out) => out.includes(text) });
  await prints('10.0.0.4/24');
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await daemon.waitForStatus(inSync(mac));
  await prints('eth1 10.0.1.4, 10.0.1.5: configured');
  await daemon.stop();
  const out = await prints('the daemon is not running');
  expect(out).not.toContain('\u001b');
  const [changes = ''] = out.split(/^(?=\d{4}-)/m).slice(-1);
  expect(changes).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}the daemon is not running$/m);
  expect(await child.end('SIGTERM')).toMatchObject({ exitCode: 0 });
});
