/** The histories of test/unit/plan, with the whole program, a real kernel, a metadata service and real kills. */
import { readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, inject, test } from 'vitest';
import {
  addressOf,
  anyHistory,
  CloudModel,
  type Fault,
  FOREIGN_KS,
  farewells,
  foreignAddress,
  type HistoryEvent,
  happening,
  listedIn,
  shortcut,
} from '../lab/histories.ts';
import { createLab, type Lab } from '../lab/lab.ts';
import type { Fault as ServiceFault } from '../lab/metadata-server.ts';
import { setUp } from '../lab/netns.ts';
import { networkOf, seeded, sized } from '../lab/settled.ts';
import { macFor } from '../lab/topology.ts';

const HISTORIES = sized(1, 200);
const LONGEST = 16;
const TIMEOUT_MS = sized(60_000, 3_600_000);
const SCRIPTS = '/etc/sysconfig/network-scripts';
const TABLE_BASE = 21_000;
/** strace counts the calls of each thread for itself: all files are handled by one. */
const ONE_WORKER = { UV_THREADPOOL_SIZE: '1' };

const OTHER_LINK = [
  'link add other0 address 0a:00:00:00:00:01 type veth peer name other1 address 0a:00:00:00:00:02',
  'link set other0 up',
  'link set other1 up',
];
/** Of IPv6 there is what the kernel does by itself, in its own time. */
const IPV6 = /fe80::|ff00::/;

/** `one-nic` is the only one that is about an ENI. */
const FAULTS: Readonly<Record<Exclude<Fault, 'none' | 'down'>, ServiceFault>> = {
  empty: { mode: 'empty' },
  'error-500': { mode: 'status', status: 500 },
  truncated: { mode: 'truncate' },
  'one-nic': { mode: 'html' },
};

interface Scene {
  readonly lab: Lab;
  readonly cloud: CloudModel;
  fault: Fault;
}

async function withScene<T>(work: (scene: Scene) => Promise<T>): Promise<T> {
  const lab = await createLab({ actorBundle: inject('actorBundle') });
  try {
    await lab.vm.writeConfig('daemon: { removalConfirmations: 1 }\n');
    await setUp(lab.vm.namespace, { ip: OTHER_LINK });
    return await work({ lab, cloud: new CloudModel(), fault: 'none' });
  } finally {
    // The primary is untouched, or this throws.
    await lab.close();
  }
}

async function happen(scene: Scene, event: HistoryEvent): Promise<void> {
  const { lab, cloud } = scene;
  if (!cloud.apply(event)) return;
  switch (event.kind) {
    case 'run':
      return run(scene, event.killedAt);
    case 'fault':
      return setFault(scene, event.fault, event.nic);
    case 'attach': {
      const addresses = [addressOf(event.nic, 0), addressOf(event.nic, 1)];
      await lab.attachEni({ addresses, name: linkOf(event.nic) });
      return;
    }
    case 'detach':
      return lab.detachEni(macOf(lab, event.nic));
    case 'hide':
      return lab.metadata.hide(macOf(lab, event.nic));
    case 'show':
      return lab.metadata.show(macOf(lab, event.nic));
    case 'assign':
      await lab.assignAddress(macOf(lab, event.nic), addressOf(event.nic, event.k));
      return;
    case 'unassign':
      await lab.unassignAddress(macOf(lab, event.nic), addressOf(event.nic, event.k));
      return;
    default:
      await lab.vm.tryRun('sh', ['-c', commandOf(event)]);
  }
}

type KernelEvent = Exclude<
  HistoryEvent,
  { kind: 'run' | 'fault' | 'attach' | 'detach' | 'hide' | 'show' | 'assign' | 'unassign' }
>;

function commandOf(event: KernelEvent): string {
  const link = linkOf(event.nic);
  if (event.kind === 'link-down' || event.kind === 'link-up')
    return `ip link set ${link} ${event.kind === 'link-up' ? 'up' : 'down'}`;
  const { nic, k } = event as { readonly nic: number; readonly k: number };
  const things = {
    'foreign-address': [`ip address`, `${foreignAddress(nic, k)}/32 dev ${link}`],
    'foreign-rule': ['ip rule', `from 100.64.${k}.0/24 lookup 100 priority ${1_000 + k}`],
    'foreign-route': ['ip route', `100.65.${k}.0/24 dev other0`],
    'lose-address': ['ip address', `${addressOf(nic, k)}/24 dev ${link}`],
    'lose-rule': ['ip rule', `from ${addressOf(nic, k)}`],
  } as const;
  const [what, which] = things[event.kind as keyof typeof things];
  const undo = `${what} del ${which}`;
  return event.kind.startsWith('foreign') ? `${undo} || ${what} add ${which}` : undo;
}

function linkOf(nic: number): string {
  return `eth${nic - 1}`;
}

function macOf(lab: Lab, nic: number): string {
  return nic === 1 ? lab.primary.mac : macFor(addressOf(nic, 0));
}

async function setFault(scene: Scene, fault: Fault, nic: number): Promise<void> {
  const { metadata } = scene.lab;
  if (scene.fault === 'down') await metadata.up();
  scene.fault = fault;
  if (fault === 'down') return metadata.down();
  const about = fault === 'one-nic' ? { mac: macOf(scene.lab, nic) } : {};
  return metadata.fault(fault === 'none' ? null : { ...FAULTS[fault], ...about });
}

/** A kill comes before a file takes its name, or before a message to the kernel. */
async function run({ lab, cloud, fault }: Scene, killedAt: number | null): Promise<void> {
  const before = await keepsake(lab, cloud);
  if (killedAt === null) {
    const { exitCode, stdout, stderr } = await lab.vm.agent(['reconfigure']);
    if (fault === 'none') expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 });
    else expect([0, 1, 3]).toContain(exitCode);
    if (fault === 'none') expect((await lab.vm.agent(['plan', '--check'])).exitCode).toBe(0);
  } else {
    const [call, when] = killedAt % 2 === 0 ? ['sendmsg', killedAt] : ['rename', (killedAt % 5) + 1];
    await lab.vm.agent(['reconfigure'], {
      env: ONE_WORKER,
      strace: `inject=${call}:signal=SIGKILL:when=${when}`,
    });
  }
  // What is listed and was missing may have come.
  expect(await keepsake(lab, cloud)).toEqual(expect.arrayContaining([...before]));
}

/** What is there of others, and of what the cloud has and lists. */
async function keepsake(lab: Lab, cloud: CloudModel): Promise<readonly string[]> {
  const listed = listedIn(cloud).map((address) => ` inet ${address}/24 `);
  return [
    ...(await ofOthers(lab)),
    ...(await linesOf(lab)).filter((line) => listed.some((part) => line.includes(part))),
  ];
}

/** Lines of `ip` that are nobody's but others'. */
async function ofOthers(lab: Lab): Promise<readonly string[]> {
  const lines = await linesOf(lab);
  return lines.filter((line) => OTHERS.some((pattern) => pattern.test(line))).toSorted();
}

async function linesOf({ vm }: Lab): Promise<readonly string[]> {
  const { stdout } = await vm.run('sh', ['-c', 'ip -o -4 address; ip rule; ip route']);
  // Which address of a subnet is the first is a matter of which was lost.
  return stdout
    .split('\n')
    .map((line) =>
      line.replace(/( secondary)?( deprecated)?( noprefixroute)?( dynamic)? \S+\\ +valid_lft.*/, '').trim(),
    );
}

const OTHERS = [
  / inet 10\.0\.\d+\.1\d\d\/32 /,
  / inet 10\.0\.0\.4\/24 /,
  /^(?!21\d{3}:)\d+:.*(?:from|lookup)/,
  /^default /,
  /^172\.16\./,
  /^100\.65\./,
];

async function ending(scene: Scene): Promise<string> {
  const { cloud, lab } = scene;
  await setFault(scene, 'none', 1);
  for (const event of farewells(cloud)) await happen(scene, event);
  await happen(scene, { kind: 'run', killedAt: null });
  return network(lab);
}

/** Of tables, which follow the order of attaching, the NIC remains. */
async function network({ vm }: Lab): Promise<string> {
  const scripts = await readdir(vm.path(SCRIPTS));
  const contents = await Promise.all(
    scripts.map(async (name) => `## ${name}\n${await vm.readFile(`${SCRIPTS}/${name}`)}`),
  );
  const lines = (await networkOf(vm))
    .split('\n')
    .map((line) => line.replace(/(\/(?:route|rule)-eth\d) \w+$/, '$1'));
  const { nics } = JSON.parse(await vm.readFile('/var/lib/eni-agent/state.json')) as {
    readonly nics: readonly { readonly mac: string; readonly slot: number }[];
  };
  const text = [...lines, ...contents].join('\n');
  const named = nics.reduce(
    (all, { mac, slot }) => all.replaceAll(String(TABLE_BASE + slot), `TABLE-OF-${mac}`),
    text,
  );
  const all = named.split('\n').filter((line) => !IPV6.test(line));
  return all.toSorted().join('\n');
}

/** The same cloud and the same things of others, with nothing on the way there. */
async function directly(cloud: CloudModel, others: readonly string[]): Promise<string> {
  return withScene(async (scene) => {
    for (const event of [...shortcut(cloud), ...foreignEvents(others)]) await happen(scene, event);
    return ending(scene);
  });
}

function foreignEvents(others: readonly string[]): readonly HistoryEvent[] {
  const has = (text: string): boolean => others.some((line) => line.includes(text));
  return [1, 2, 3, 4].flatMap((nic) =>
    FOREIGN_KS.flatMap((k): HistoryEvent[] => [
      ...(has(` ${foreignAddress(nic, k)}/32 `) ? [{ kind: 'foreign-address' as const, nic, k }] : []),
      ...(nic === 1 && has(`from 100.64.${k}.0/24 `) ? [{ kind: 'foreign-rule' as const, nic, k }] : []),
      ...(nic === 1 && has(`100.65.${k}.0/24 `) ? [{ kind: 'foreign-route' as const, nic, k }] : []),
    ]),
  );
}

test('a history of whatever happens leaves what others have, and ends as if none of it had happened', {
  timeout: TIMEOUT_MS,
}, async () => {
  const property = fc.asyncProperty(anyHistory(LONGEST), async (events) => {
    const { cloud, end, others } = await withScene(async (scene) => {
      for (const event of happening(events).events) await happen(scene, event);
      return { cloud: scene.cloud, end: await ending(scene), others: await ofOthers(scene.lab) };
    });
    expect(end).toBe(await directly(cloud, others));
  });
  await fc.assert(property, seeded('histories on a real kernel', HISTORIES));
});
