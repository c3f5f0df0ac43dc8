/** The same as kill.test.ts, at every system call that changes something: before it is made, the process is gone. */
import { expect, test } from 'vitest';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';

/** Files by name and content, and what goes to the kernel's network. */
const IS_FULL = process.env['ENI_TEST_SIZE'] === 'full';
const CALLS = IS_FULL ? ['mkdir', 'link', 'rename', 'unlink', 'fsync', 'sendmsg'] : ['rename'];
/** No run makes that many. */
const MOST_CALLS = 60;
/** strace counts the calls of each thread for itself: all files are handled by one. */
const ONE_WORKER = { UV_THREADPOOL_SIZE: '1' };
/** Most messages to the kernel only ask: the small size leaves some of them out. */
const MESSAGE_STRIDE = IS_FULL ? 1 : 8;

test.each(CALLS)(
  'killed before any of its %s calls, the next run ends in the right state',
  { timeout: 170_000 },
  async (call) => {
    const lab = await openLab();
    await lab.vm.writeConfig('daemon: { removalConfirmations: 1 }\n');
    const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
    await lab.vm.agent(['reconfigure']);
    const complete = await networkAndFiles(lab);
    let kills = 0;
    for (let nth = 1; nth < MOST_CALLS; nth += call === 'sendmsg' ? MESSAGE_STRIDE : 1) {
      await lab.detachEni(mac);
      await lab.vm.agent(['reconfigure']);
      await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'], mac });
      const run = await lab.vm.agent(['reconfigure'], {
        env: ONE_WORKER,
        strace: `inject=${call}:signal=SIGKILL:when=${nth}`,
      });
      if (run.exitCode === 0) return expect(kills).toBeGreaterThan(0);
      kills += 1;
      expect((await lab.vm.agent(['reconfigure'])).exitCode, `${call} ${nth}`).toBe(0);
      expect(await networkAndFiles(lab), `${call} ${nth}`).toEqual(complete);
    }
    expect.fail(`more than ${MOST_CALLS} calls of ${call}`);
  },
);

test('an address that a killed run put on the primary NIC is known to be ours: it goes when it is unassigned', async () => {
  const lab = await openLab();
  await lab.vm.writeConfig('daemon: { removalConfirmations: 1 }\n');
  await lab.vm.agent(['reconfigure']);
  for (let nth = 1; nth < MOST_CALLS; nth += 1) {
    await lab.assignAddress(lab.primary.mac, '10.0.0.5');
    const run = await lab.vm.agent(['reconfigure'], {
      env: ONE_WORKER,
      strace: `inject=rename:signal=SIGKILL:when=${nth}`,
    });
    await lab.unassignAddress(lab.primary.mac, '10.0.0.5');
    await lab.vm.agent(['reconfigure']);
    const { stdout } = await lab.vm.run('ip', ['-o', '-4', 'addr', 'show', 'eth0']);
    expect(stdout, `killed before rename ${nth}`).not.toContain('10.0.0.5');
    if (run.exitCode === 0) return expect(nth).toBe(3);
  }
  expect.fail('no run was left alone');
});

async function networkAndFiles({ vm }: Lab): Promise<readonly string[]> {
  // A dead holder has lost its lock, whether or not the file is still there.
  const lines = (await vm.snapshot()).split('\n').filter((line) => !line.includes('/run/eni-agent'));
  return lines.map((line) => line.replace(/^\d+: eth/, 'eth').replace(/(state\.json) .*/, '$1')).toSorted();
}
