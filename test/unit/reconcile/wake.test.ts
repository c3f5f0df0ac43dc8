/** What rings, with real files, a real clock and real signals. What the kernel says is in test/netns/monitor.test.ts. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Trigger } from '../../../src/model/state.ts';
import { startWake, type Wake, type WakeOptions, withJitter } from '../../../src/reconcile/wake.ts';
import { createOwnFiles } from '../../../src/system/own-files.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const HOUR_MS = 3_600_000;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
function ignore(): void {}

let folder: string;
let paths: Paths;
let wake: Wake;
let rung: Trigger[];

beforeEach(async () => {
  folder = await makeFolder();
  paths = createPaths(folder);
  await mkdir(paths.below('/etc'));
  await mkdir(paths.runDirectory, { recursive: true });
  rung = [];
});
afterEach(async () => {
  wake.close();
  await removeFolder(folder);
});

async function start(options: Partial<WakeOptions> = {}): Promise<void> {
  wake = startWake({
    paths,
    resyncInterval: () => HOUR_MS,
    isOwnPort: () => false,
    isOwnFile: () => false,
    // The kernel of the machine that the tests run on may have its own to say.
    onWake: (trigger) => trigger !== 'link' && trigger !== 'kernel' && rung.push(trigger),
    log,
    ...options,
  });
  await wake.ready;
}

/**
 * Until these ring, each once, and nothing else does before what is touched later. The doorbell may ring twice for one touch:
 * writing a file changes its time more than once.
 */
async function rings(trigger?: Trigger): Promise<void> {
  const heard = (): readonly Trigger[] => rung.filter((each) => each !== 'wake');
  if (trigger === 'wake') await expect.poll(() => rung, { timeout: 10_000, interval: 5 }).toContain('wake');
  else if (trigger !== undefined)
    await expect.poll(heard, { timeout: 10_000, interval: 5 }).toEqual([trigger]);
  const before = heard();
  rung = [];
  await writeFile(paths.wake, `${Math.random()}`);
  await expect.poll(() => rung, { timeout: 10_000, interval: 5 }).toContain('wake');
  expect([...before, ...heard()]).toEqual(trigger === undefined || trigger === 'wake' ? [] : [trigger]);
  rung = [];
}

describe('the clock', () => {
  test('rings again and again, by the interval that holds now', async () => {
    let interval = 20;
    await start({ resyncInterval: () => interval });
    await expect.poll(() => rung.length, { timeout: 10_000 }).toBeGreaterThan(3);
    interval = HOUR_MS;
    rung = [];
    await expect.poll(() => rung, { timeout: 10_000 }).toEqual(['timer']);
  });

  test('comes earlier by up to a fifth, and never later', () => {
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: HOUR_MS }), random, (interval, chance) => {
        const jittered = withJitter(interval, chance);
        expect(jittered).toBeLessThanOrEqual(interval);
        expect(jittered).toBeGreaterThanOrEqual(interval * 0.8 - 1e-6);
      }),
    );
    expect([withJitter(1000, 0), withJitter(1000, 1)]).toEqual([1000, 800]);
  });
});

describe('the configuration', () => {
  test('rings when its folder and file appear, change, are renamed over, and go', async () => {
    await start();
    await mkdir(path.dirname(paths.config));
    await writeFile(paths.config, 'log: { level: info }');
    await rings('config');
    await writeFile(paths.config, 'log: { level: debug }');
    await rings('config');
    await writeFile(`${paths.config}.new`, 'log: { level: warn }');
    await rename(`${paths.config}.new`, paths.config);
    await rings('config');
    await rm(paths.config);
    await rings('config');
  });

  test('rings once for an editor that writes in steps', async () => {
    await mkdir(path.dirname(paths.config));
    await start();
    for (const text of ['a', 'ab', 'abc']) await writeFile(paths.config, text);
    await rings('config');
  });

  test('rings for templates, and for nothing beside them', async () => {
    await mkdir(path.dirname(paths.config));
    await start();
    await writeFile(paths.below('/etc/hosts'), '');
    await writeFile(paths.below('/etc/eni-agent/config.yaml.swp'), '');
    await rings();
    await mkdir(paths.templates);
    await writeFile(path.join(paths.templates, 'ifcfg.eta'), '1');
    await rings('config');
    await writeFile(path.join(paths.templates, 'ifcfg.eta.swp'), '1');
    await rings();
    await rm(path.join(paths.templates, 'ifcfg.eta'));
    await rings('config');
  });

  test('rings at SIGHUP', async () => {
    await start();
    process.emit('SIGHUP');
    await rings('config');
  });
});

describe("the distribution's files", () => {
  test('ring when others write or remove one, and not as we left them', async () => {
    const own = createOwnFiles();
    await mkdir(paths.networkScripts, { recursive: true });
    const pathOf = (name: string): string => path.join(paths.networkScripts, name);
    writeFileSync(pathOf('route-eth1'), 'ours\n');
    await start({ isOwnFile: own.isAsLeft });
    for (const file of [pathOf('ifcfg-eth1'), pathOf('rule-eth1')]) {
      writeFileSync(file, 'ours\n');
      own.changed(file);
    }
    rmSync(pathOf('route-eth1'));
    own.changed(pathOf('route-eth1'));
    for (const name of ['.ifcfg-eth1.eni-agent-tmp', 'ifcfg-eth1.orig', 'readme'])
      await writeFile(pathOf(name), '');
    // What has not rung when the second of these does, which come later one after the other, will not ring.
    await mkdir(path.dirname(paths.config));
    for (const rings of [1, 2]) {
      await writeFile(paths.config, `# ${rings}\n`);
      await expect
        .poll(() => rung.filter((each) => each === 'config').length, { timeout: 10_000, interval: 5 })
        .toBe(rings);
    }
    expect(rung).toEqual(['config', 'config']);
    rung = [];
    await writeFile(pathOf('ifcfg-eth1'), 'theirs\n');
    await rings('wake');
    await rm(pathOf('rule-eth1'));
    await rings('wake');
  });
});

test("NetworkManager's profiles ring, also in a folder that is new; what it does not read does not", async () => {
  await start();
  await mkdir(paths.connections, { recursive: true });
  await rings('wake');
  for (const name of ['.eni-agent-eth1.nmconnection.eni-agent-tmp', '.Wired 1.nmconnection.orig', 'Wired~'])
    await writeFile(path.join(paths.connections, name), '');
  await writeFile(path.join(paths.connections, 'Wired 1.nmconnection'), '');
  await expect.poll(() => rung, { timeout: 10_000, interval: 5 }).toEqual(['wake']);
  rung = [];
  await rm(path.join(paths.connections, 'Wired 1.nmconnection'));
  await rings('wake');
});

describe('the doorbell file', () => {
  test('rings when it is made, and when it is touched', async () => {
    await start();
    await writeFile(paths.wake, '');
    await rings('wake');
    await utimes(paths.wake, new Date(), new Date());
    await rings('wake');
    await writeFile(paths.lock, '');
    await rings();
  });

  test('rings though the run directory comes later', async () => {
    await start();
    for (let round = 0; round < 50; round += 1) {
      await rm(paths.runDirectory, { recursive: true });
      mkdirSync(paths.runDirectory);
      writeFileSync(paths.wake, '');
      await rings('wake');
    }
  });
});

test('after close() nothing rings and nothing is left', async () => {
  const handles = () =>
    process
      .getActiveResourcesInfo()
      .filter((kind) => /FSEvent|Process|Pipe/.test(kind))
      .toSorted();
  const before = handles();
  const listeners = process.listenerCount('SIGHUP');
  await start({ resyncInterval: () => 20 });
  expect(handles()).not.toEqual(before);
  wake.close();
  rung = [];
  expect(process.listenerCount('SIGHUP')).toBe(listeners);
  await writeFile(paths.wake, '');
  await expect.poll(handles, { timeout: 10_000 }).toEqual(before);
  expect(rung).toEqual([]);
});
