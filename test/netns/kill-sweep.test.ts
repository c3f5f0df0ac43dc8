/**
 * Invariant 5, at every system call that changes something: before it is made, the process is gone; the next run ends in the
 * very state that an undisturbed one ends in. kill.test.ts does the same at random instants.
 */
import { mkdir } from 'node:fs/promises';
import { afterAll, expect, test } from 'vitest';
import { CONNECTIONS } from '../../src/model/files.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';

/** Files by name and content, what goes to the kernel's network, to the metadata service and to the terminal. */
const CALLS = sized(
  ['rename'],
  ['mkdir', 'link', 'rename', 'unlink', 'fsync', 'sendmsg', 'sendto', 'write', 'writev'],
);
/** No run makes that many of one kind. */
const MOST_CALLS = 200;
/** strace counts the calls of each thread for itself: all files are handled by one. */
const ONE_WORKER = { UV_THREADPOOL_SIZE: '1' };

const ADDRESSES = ['10.0.1.4', '10.0.1.5'];
const MAC = '02:00:0a:00:01:04';
/** Removals at once. */
const CONFIG = 'daemon: { removalConfirmations: 1 }\n';
/** And a gateway that the kernel refuses. */
const REFUSED = `${CONFIG}interfaces:
  - match: { role: secondary }
    routes: [{ to: 172.20.0.0/16, via: 192.0.2.1 }]
`;

interface Operation {
  readonly name: string;
  /** What happens before the run. */
  readonly before: (lab: Lab) => Promise<unknown>;
  readonly args: readonly string[];
  readonly exitCode: number;
}

/** One after the other leads back to where the first began. */
const CYCLES: readonly (readonly Operation[])[] = [
  [
    {
      name: 'attach',
      before: (lab) => lab.attachEni({ addresses: ADDRESSES, mac: MAC }),
      args: ['reconfigure'],
      exitCode: 0,
    },
    { name: 'detach', before: (lab) => lab.detachEni(MAC), args: ['reconfigure'], exitCode: 0 },
  ],
  [
    {
      name: 'assign',
      before: (lab) => lab.assignAddress(lab.primary.mac, '10.0.0.5'),
      args: ['reconfigure'],
      exitCode: 0,
    },
    {
      name: 'unassign',
      before: (lab) => lab.unassignAddress(lab.primary.mac, '10.0.0.5'),
      args: ['reconfigure'],
      exitCode: 0,
    },
  ],
  [{ name: 'rollback', before: (lab) => lab.vm.writeConfig(REFUSED), args: ['reconfigure'], exitCode: 3 }],
  [
    { name: 'release', before: async () => {}, args: ['release', 'eth1'], exitCode: 0 },
    { name: 'taking back', before: async () => {}, args: ['reconfigure', 'eth1'], exitCode: 0 },
  ],
  [
    { name: 'moving to keyfiles', before: useKeyfiles, args: ['reconfigure'], exitCode: 0 },
    {
      name: 'moving back',
      before: (lab) => lab.vm.writeConfig(CONFIG),
      args: ['reconfigure'],
      exitCode: 0,
    },
  ],
];

async function useKeyfiles({ vm }: Lab): Promise<void> {
  await mkdir(vm.path(CONNECTIONS), { recursive: true });
  await vm.writeConfig(`${CONFIG}persistence: { backend: networkmanager-keyfile }\n`);
}

/** What is rolled back. kill.test.ts attaches and detaches. */
const FEW_CYCLES = CYCLES.slice(2, 3);

const points = new Map<string, number>();

test.each(sized(FEW_CYCLES, CYCLES).map((cycle) => ({ cycle, names: namesOf(cycle) })))(
  'killed before any call of $names, the next run ends in the right state',
  { timeout: 3_600_000 },
  async ({ cycle }) => {
    const lab = await prepare(cycle);
    const expected: (readonly string[])[] = [];
    for (const operation of cycle) {
      await operation.before(lab);
      expect((await lab.vm.agent(operation.args)).exitCode).toBe(operation.exitCode);
      expected.push(await outcomeOf(lab));
    }
    for (const call of CALLS) {
      let isOver = cycle.map(() => false);
      for (let nth = 1; isOver.includes(false); nth += 1) {
        if (nth > MOST_CALLS) expect.fail(`more than ${MOST_CALLS} calls of ${call}`);
        isOver = [];
        for (const [index, operation] of cycle.entries()) {
          await operation.before(lab);
          isOver.push(!(await killedAt(lab, operation, call, nth)));
          const { exitCode } = await lab.vm.agent(operation.args);
          const point = `${operation.name}, before ${call} ${nth}`;
          expect(exitCode, point).toBe(operation.exitCode);
          expect(await outcomeOf(lab), point).toEqual(expected[index]);
        }
      }
    }
    for (const { name } of cycle) expect(points.get(name), name).toBeGreaterThan(0);
  },
);

test('an address that a killed run put on the primary NIC is known to be ours: it goes when it is unassigned', async () => {
  const lab = await openLab();
  await lab.vm.writeConfig(CONFIG);
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
    if (run.exitCode === 0) return expect(nth).toBe(6);
  }
  expect.fail('no run was left alone');
});

test('a run that fails after one that was killed undoes what that one had done, too', async () => {
  const lab = await openLab();
  await lab.vm.writeConfig(REFUSED);
  await lab.attachEni({ addresses: ADDRESSES, mac: MAC });
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
  const expected = await outcomeOf(lab);
  await lab.vm.writeConfig(CONFIG);
  const journal = lab.vm.path('/run/eni-agent/journal.json');
  const through = [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-P',
    journal,
    '-e',
    'inject=unlink:signal=SIGKILL',
  ];
  expect((await lab.vm.agent(['reconfigure'], { through })).exitCode).toBeNull();
  expect((await lab.vm.run('ip', ['-o', 'addr', 'show', 'eth1'])).stdout).toContain('10.0.1.4/');
  await lab.vm.writeConfig(REFUSED);
  expect((await lab.vm.agent(['reconfigure'])).exitCode).toBe(3);
  expect(await outcomeOf(lab)).toEqual(expected);
});

afterAll(() => {
  const total = [...points.values()].reduce((sum, count) => sum + count, 0);
  const list = [...points].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(`killed at ${total} points: ${list}`);
});

function namesOf(cycle: readonly Operation[]): string {
  return cycle.map(({ name }) => name).join(', ');
}

async function prepare(cycle: readonly Operation[]): Promise<Lab> {
  const lab = await openLab();
  await lab.vm.writeConfig(CONFIG);
  if (cycle[0]?.name !== 'attach') await lab.attachEni({ addresses: ADDRESSES, mac: MAC });
  if (cycle[0]?.name !== 'rollback') await lab.vm.agent(['reconfigure']);
  return lab;
}

/** Whether it was killed: false when it made fewer such calls. */
async function killedAt(
  lab: Lab,
  { name, args, exitCode }: Operation,
  call: string,
  nth: number,
): Promise<boolean> {
  const run = await lab.vm.agent(args, {
    env: ONE_WORKER,
    strace: `inject=${call}:signal=SIGKILL:when=${nth}`,
  });
  if (run.exitCode === null) {
    points.set(name, (points.get(name) ?? 0) + 1);
    return true;
  }
  expect(run.exitCode, `${name}, without a ${nth}th ${call}`).toBe(exitCode);
  return false;
}

/** Kernel, files, and what the state file says but for its times and the last run. A dead holder's lock is lost, whether or not its file is there; a killed run is not in the history. */
async function outcomeOf({ vm }: Lab): Promise<readonly string[]> {
  const isUnsure = (line: string): boolean => /\/run\/eni-agent\/lock|history\.jsonl/.test(line);
  const lines = (await vm.snapshot()).split('\n').filter((line) => !isUnsure(line));
  const state: unknown = JSON.parse(await vm.readFile('/var/lib/eni-agent/state.json'));
  const timeless = JSON.stringify(state, (key, value: unknown) => {
    if (key === 'lastRun' || key === 'checksum') return undefined;
    return ['readAt', 'detachedAt'].includes(key) && value !== null ? 'then' : value;
  });
  const kernelAndFiles = lines.map((line) =>
    line.replace(/^\d+: eth/, 'eth').replace(/(state\.json(?:\.previous)?) .*/, '$1'),
  );
  return [...kernelAndFiles.toSorted(), timeless];
}
